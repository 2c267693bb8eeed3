// SPDX-License-Identifier: BSD-3-Clause
// An mbuf chain without a pool or an EAL, for fuzzers: each segment is a heap block of exactly its size, so that the
// sanitizer sees a byte too many.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include <rte_mbuf.h>

namespace vhostx::fuzz {

class MbufChain {
 public:
  /// At most four segments: of `step`, `step` and `2 * step` bytes, and the rest.
  MbufChain(const std::uint8_t* bytes, std::size_t length, std::size_t step) {
    std::size_t at = 0;
    for (const std::size_t wanted : {step, step, 2 * step}) {
      if (at == length || wanted == 0) break;
      const std::size_t count = std::min(wanted, length - at);
      add(bytes + at, count);
      at += count;
    }
    add(bytes + at, length - at);
    segments_[0].pkt_len = static_cast<std::uint32_t>(length);
    segments_[0].nb_segs = static_cast<std::uint16_t>(count_);
  }
  MbufChain(const MbufChain&) = delete;
  MbufChain& operator=(const MbufChain&) = delete;

  rte_mbuf* get() noexcept { return &segments_[0]; }

  std::vector<std::uint8_t> bytes() const {
    std::vector<std::uint8_t> all;
    for (std::size_t i = 0; i < count_; ++i)
      all.insert(all.end(), storage_[i].get(), storage_[i].get() + segments_[i].data_len);
    return all;
  }

 private:
  void add(const std::uint8_t* bytes, std::size_t count) {
    storage_[count_] = std::make_unique<std::uint8_t[]>(count);
    std::copy(bytes, bytes + count, storage_[count_].get());
    rte_mbuf& segment = segments_[count_];
    segment.buf_addr = storage_[count_].get();
    segment.data_len = static_cast<std::uint16_t>(count);
    segment.data_off = 0;
    if (count_ != 0) segments_[count_ - 1].next = &segment;
    ++count_;
  }

  std::size_t count_ = 0;
  std::unique_ptr<std::uint8_t[]> storage_[4];
  rte_mbuf segments_[4] = {};
};

}  // namespace vhostx::fuzz
