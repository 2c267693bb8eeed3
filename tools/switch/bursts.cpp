// SPDX-License-Identifier: BSD-3-Clause
#include "tools/switch/bursts.hpp"

namespace vhostx::tools {

std::uint16_t TransferBurst::add(TxQueue& queue, std::uint16_t i, std::uint16_t count) noexcept {
  std::uint16_t added = count;
  if (!queue.takes_transfers())
    for (added = 0; added < count && copy(static_cast<std::uint16_t>(i + added));) ++added;
  out_.add(queue, numbers_.data() + i, added);
  return added;
}

bool TransferBurst::copy(std::uint16_t i) noexcept {
  copies_[i] = transfer_.copy(i, pool_);
  if (copies_[i] == nullptr) return false;
  ++copied_;
  return true;
}

/// As with every copy one reference is the queue's that sends it; this one is nobody's.
void TransferBurst::end_sharing(std::uint16_t i) noexcept { rte_pktmbuf_free(copies_[i]); }

void TransferBurst::finish(std::uint16_t done) noexcept {
  out_.send_all([this](TxQueue& queue, const std::uint8_t* numbers, std::uint16_t count) {
    if (copied_ == 0) [[likely]]
      queue.move(transfer_, numbers, count, pool_);
    else
      send_mixed(queue, numbers, count);
  });
  if (copied_ != 0) copies_.fill(nullptr);
  copied_ = 0;
  transfer_.end(done);
}

/// Copies and packets that are moved, in the order in which they came.
void TransferBurst::send_mixed(TxQueue& queue, const std::uint8_t* numbers, std::uint16_t count) noexcept {
  std::array<rte_mbuf*, burst_max> run;
  for (std::uint16_t begin = 0, end = 0; begin < count; begin = end) {
    const bool copied = copies_[numbers[begin]] != nullptr;
    for (end = begin; end < count && (copies_[numbers[end]] != nullptr) == copied; ++end)
      run[static_cast<std::size_t>(end - begin)] = copies_[numbers[end]];
    const auto length = static_cast<std::uint16_t>(end - begin);
    if (copied)
      queue.send(run.data(), length);
    else
      queue.move(transfer_, numbers + begin, length, pool_);
  }
}

}  // namespace vhostx::tools
