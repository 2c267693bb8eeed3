// SPDX-License-Identifier: BSD-3-Clause
// A guest that writes anything into its rings and buffers, and an application that holds what it was lent for any time
// and gives it back in any order, also when the ring was stopped and started anew, with another table or with none of
// its loans back. Input as fuzz_rings'.
#include <random>
#include <vector>

#include <rte_mbuf.h>

#include "fuzz/ring_world.hpp"
#include "zerocopy/borrow.hpp"
#include "zerocopy/dequeue.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::fuzz;

/// Holds mbufs, and lets go of them in an order that the input chooses.
class Holder {
 public:
  explicit Holder(unsigned seed) : random_(seed) {}

  unsigned choose(unsigned below) { return static_cast<unsigned>(random_()) % below; }
  void hold(rte_mbuf* packet) { held_.push_back(packet); }
  void free_some(bool all) {
    for (auto count = all ? held_.size() : choose(static_cast<unsigned>(held_.size()) + 1); count != 0; --count) {
      std::swap(held_[choose(static_cast<unsigned>(held_.size()))], held_.back());
      rte_pktmbuf_free(held_.back());
      held_.pop_back();
    }
  }

 private:
  std::minstd_rand random_;
  std::vector<rte_mbuf*> held_;
};

/// Every byte may be read, and lies where the guard pages are not.
void read_all(const rte_mbuf* packet) {
  volatile std::uint8_t sum = 0;
  for (const rte_mbuf* segment = packet; segment != nullptr; segment = segment->next)
    for (std::uint16_t i = 0; i < segment->data_len; ++i)
      sum = static_cast<std::uint8_t>(sum + rte_pktmbuf_mtod(segment, const std::uint8_t*)[i]);
}

void lend(const net::Context auto& context, const zerocopy::Lending& lending, Holder& holder) {
  std::array<rte_mbuf*, burst_max> packets;
  const auto result = zerocopy::dequeue(context, lending, pool(), packets.data(), burst_max);
  require(result.packets <= burst_max);
  for (std::uint16_t i = 0; i < result.packets; ++i) {
    const char* reason = nullptr;
    require(rte_mbuf_check(packets[i], 1, &reason) == 0);
    require(packets[i]->pkt_len >= net::ethernet_header_bytes && packets[i]->pkt_len <= net::packet_bytes_max);
    read_all(packets[i]);
    holder.hold(packets[i]);
  }
}

/// Fills a buffer as far as it likes, and mostly as it should.
void fill(rte_mbuf* buffer, Holder& holder) {
  if (holder.choose(8) == 0) buffer->data_off = 0;
  std::uint32_t bytes = 0;
  for (rte_mbuf* segment = buffer; segment != nullptr; segment = segment->next) {
    const std::uint16_t room = rte_pktmbuf_tailroom(segment);
    segment->data_len = holder.choose(4) == 0 ? static_cast<std::uint16_t>(holder.choose(room + 1U)) : room;
    std::memset(rte_pktmbuf_mtod(segment, void*), 0x5a, segment->data_len);
    bytes += segment->data_len;
  }
  buffer->pkt_len = bytes;
}

void borrow(const net::Context auto& context, const zerocopy::Lending& lending, Holder& holder) {
  std::array<rte_mbuf*, 16> buffers;
  const auto result = zerocopy::borrow(context, lending, pool(), buffers.data(), buffers.size());
  std::vector<rte_mbuf*> packets;
  for (std::uint16_t i = 0; i < result.packets; ++i) {
    fill(buffers[i], holder);
    if (holder.choose(4) == 0)
      holder.hold(buffers[i]);
    else if (packets.empty() || holder.choose(4) != 0 || rte_pktmbuf_chain(packets.back(), buffers[i]) != 0)
      packets.push_back(buffers[i]);
  }
  if (context.cursor.fault.cause != VringFaultCause::none) {
    for (rte_mbuf* packet : packets) holder.hold(packet);
    return;
  }
  const auto done =
      zerocopy::commit(context, lending, packets.data(), static_cast<std::uint16_t>(packets.size())).packets;
  require(done <= packets.size());
  for (std::size_t i = done; i < packets.size(); ++i) holder.hold(packets[i]);
}

/// The ring is given up. Every chain that is out is given back once, and what comes back later changes nothing.
void stop(zerocopy::LoanTable::Owned table, Holder& holder) {
  const std::uint32_t out = table->outstanding();
  std::uint32_t given_back = 0;
  if (holder.choose(2) == 0) given_back = table->collect([](const virtqueue::Chain&) {});
  const std::uint32_t closed = table->close([](const virtqueue::Chain&) {});
  require(given_back + closed == out);
  holder.free_some(false);
  require(table->outstanding() <= closed);
}

/// From one start of the ring to its stop.
void live(const Control& control, Holder& holder) {
  static const auto dma = zerocopy::DmaMemory::create(world().memory, nullptr);
  auto table = zerocopy::LoanTable::create(control.size(), {.copy_below = std::uint32_t{control.packet_length} * 16});
  require(table.ok());
  const zerocopy::Lending lending{**table, (*table)->pin(dma)};
  run_bursts(control, [&](const net::Context auto& context, bool last) {
    const bool to_guest = control.is_to_guest();
    to_guest ? borrow(context, lending, holder) : lend(context, lending, holder);
    holder.free_some(last && holder.choose(2) == 0);
    if (context.cursor.fault.cause != VringFaultCause::none) return;
    if (to_guest)
      zerocopy::return_spares(context, lending.table);
    else
      zerocopy::return_transmitted(context, lending.table);
  });
  if (holder.choose(4) != 0) stop(std::move(*table), holder);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Control control;
  if (!read_input(data, size, control)) return 0;
  Holder holder(control.start);
  for (unsigned lives = 1 + control.start % 3; lives != 0; --lives) live(control, holder);
  holder.free_some(true);  // the last mbuf of each life ends its table
  require(rte_mempool_in_use_count(pool()) == 0);
  return 0;
}
