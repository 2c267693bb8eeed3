// SPDX-License-Identifier: BSD-3-Clause
// Packets into a guest's receiveq of any chains, against the slow model of what its driver sees: used entries, every
// byte in its memory (net header and num_buffers among them), counters and faults. Every other input is of a guest that
// migrates, and whose pages are copied by its dirty log meanwhile.
//
// Input: Choices; the kind of ring is the highest bit of the first.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <unistd.h>
#include <vector>

#include <rte_mbuf.h>
#include <sys/mman.h>

#include "base/unique_fd.hpp"
#include "fuzz/compared_ring.hpp"
#include "memory/dirty_log.hpp"
#include "memory/load_hook.hpp"
#include "tests/net/any_context.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::fuzz;
using Bytes = std::vector<std::uint8_t>;

/// Twenty packets of 1600 bytes in mbufs of 50 take 640.
rte_mempool* pool() { return test::test_pool(2048, 1023); }

Bytes make_bytes(std::size_t length, std::size_t number) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + (i >> 8) + number + 1);
  return bytes;
}

/// In one mbuf, or in many.
rte_mbuf* make_mbuf(const Bytes& bytes, std::size_t part_max) {
  rte_mbuf* const packet = rte_pktmbuf_alloc(pool());
  require(packet != nullptr);
  rte_mbuf* last = packet;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t part = std::min(part_max, bytes.size() - at);
    if (at != 0) {
      last->next = rte_pktmbuf_alloc(pool());
      last = last->next;
      require(last != nullptr);
      ++packet->nb_segs;
    }
    std::memcpy(rte_pktmbuf_mtod(last, void*), bytes.data() + at, part);
    last->data_len = static_cast<std::uint16_t>(part);
    packet->pkt_len += last->data_len;
    at += part;
  }
  return packet;
}

/// Guest memory is as it was, but for what the model wrote and the ring itself.
void compare_memory(test::HostileWorld& world, std::map<std::uint64_t, Bytes> memory,
                    const test::ModelResult& expected) {
  for (const auto& [address, byte] : expected.memory) {
    auto region = std::prev(memory.upper_bound(address));
    region->second[address - region->first] = byte;
  }
  for (const auto& [guest, bytes] : memory)
    require(guest == test::HostileWorld::ring_at ||
            std::memcmp(world.guest.at(guest), bytes.data(), bytes.size()) == 0);
}

/// The dirty log of a world, and its front-end, which takes marks away and copies those pages whenever the data path
/// has loaded something: in the midst of each packet.
class Log {
 public:
  static constexpr std::uint64_t memory_max = std::uint64_t{1}
                                              << 40;  // guest addresses; else the log is too large to map

  explicit Log(const test::HostileWorld& world)
      : world_(world),
        bytes_(memory::DirtyLog::bytes_for(world.memory->last())),
        file_(::memfd_create("fuzz-log", MFD_CLOEXEC)) {
    require(::ftruncate(file_.get(), static_cast<off_t>(bytes_)) == 0);
    void* const view = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    require(view != MAP_FAILED);
    bits_ = static_cast<std::uint8_t*>(view);
    log_ = memory::DirtyLog::map(UniqueFd(::dup(file_.get())), 0, bytes_).value();
  }

  const memory::DirtyLog& log() const { return *log_; }
  void start(const std::map<std::uint64_t, Bytes>& memory) {
    copy_ = memory;
    copy_marked();  // of the run before
    active() = this;
    memory::load_hook = [](const void*, std::size_t) { active()->copy_marked(); };
  }
  /// What is written is in the copy.
  void stop() {
    memory::load_hook = nullptr;
    copy_marked();
    for (const auto& [guest, bytes] : copy_)
      require(std::memcmp(world_.guest.at(guest), bytes.data(), bytes.size()) == 0);
  }

 private:
  static constexpr std::uint64_t page = 4096;

  static Log*& active() {
    static Log* log = nullptr;
    return log;
  }
  bool take_mark(std::uint64_t number) {
    const auto mask = static_cast<std::uint8_t>(1U << (number % 8));
    if ((bits_[number / 8] & mask) == 0) return false;
    bits_[number / 8] = static_cast<std::uint8_t>(bits_[number / 8] & ~mask);
    return true;
  }
  /// Two regions may share a page.
  void copy_marked() {
    std::set<std::uint64_t> marked;
    for (const auto& [guest, bytes] : copy_)
      for (std::uint64_t number = guest / page; number <= (guest + bytes.size() - 1) / page; ++number)
        if (take_mark(number)) marked.insert(number);
    for (auto& [guest, bytes] : copy_)
      for (std::uint64_t at = guest; at < guest + bytes.size(); at = (at / page + 1) * page)
        if (marked.contains(at / page))
          std::memcpy(bytes.data() + (at - guest), world_.guest.at(at),
                      std::min((at / page + 1) * page, guest + bytes.size()) - at);
  }

  const test::HostileWorld& world_;
  std::uint64_t bytes_;
  UniqueFd file_;
  std::uint8_t* bits_;
  std::shared_ptr<const memory::DirtyLog> log_;
  std::map<std::uint64_t, Bytes> copy_;
};

Log& log_of(const test::HostileWorld& world) {
  static std::map<const test::HostileWorld*, Log> logs;
  return logs.try_emplace(&world, world).first->second;
}

std::size_t enqueue_all(test::ComparedRing& one, const test::RunTimeContext auto& context,
                        const std::vector<rte_mbuf*>& mbufs, std::size_t most) {
  std::size_t done = 0;
  while (done != mbufs.size() && !one.broken()) {
    const std::size_t count = std::min(most, mbufs.size() - done);
    const auto now = net::enqueue(context, mbufs.data() + done, static_cast<std::uint16_t>(count)).packets;
    require(now <= count);
    done += now;
    if (now != count) break;
  }
  return done;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  auto& world = pick_world(choices);
  const auto most = choices.pick<std::size_t>({20, 1, 4});
  std::vector<Bytes> packets;
  std::vector<rte_mbuf*> mbufs;
  for (std::uint32_t count = choices.pick({4U, 1U, 2U, 8U, 20U}); count != 0; --count) {
    packets.push_back(
        make_bytes(choices.pick<std::size_t>({60, 0, 1, 14, 60, 499, 500, 501, 1024, 1600}), packets.size()));
    mbufs.push_back(make_mbuf(packets.back(), choices.one_in(8) ? 50 : 2048));
  }
  Choices hint = choices;
  const auto ring = make_ring(world, choices, true, kind_of(data, size));
  const auto what = written(world, ring);
  auto before = world.fresh;
  for (auto& [guest, bytes] : before) std::memcpy(bytes.data(), world.guest.at(guest), bytes.size());
  const auto expected = test::model_enqueue(what.model(ring.heads), packets);
  test::ComparedRing one(what, *world.memory);
  warm_hint(one, hint);
  std::size_t done = 0;
  if (size % 2 == 0 || world.memory->last().value >= Log::memory_max) {
    done = enqueue_all(one, one.context(), mbufs, most);
  } else {
    Log& log = log_of(world);
    const memory::GuestAddress used{test::HostileRing::used};
    log.start(before);
    done = enqueue_all(one, test::AnyLogged{one.context(), {&log.log(), used}}, mbufs, most);
    log.stop();
  }
  rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(mbufs.size()));
  require(rte_mempool_in_use_count(pool()) == 0);
  if (expected.depends()) return 0;
  require(done == expected.done);
  require_none(one.difference(expected));
  compare_memory(world, std::move(before), expected);
  return 0;
}
