// SPDX-License-Identifier: BSD-3-Clause
// FakeDevice: a port whose other side is the test.
#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include "tools/switch/frame_device.hpp"

namespace vhostx::test {

class FakeDevice final : public tools::FrameDevice {
 public:
  ~FakeDevice() override {
    for (auto* packet : incoming) rte_pktmbuf_free(packet);
  }

  std::uint16_t receive(rte_mempool*, rte_mbuf** packets, std::uint16_t count) noexcept override {
    std::uint16_t done = 0;
    for (; done < count && !incoming.empty(); incoming.pop_front()) packets[done++] = incoming.front();
    return done;
  }
  /// Takes what there is room for, and keeps a copy of its bytes.
  std::uint16_t send(rte_mbuf* const* packets, std::uint16_t count) noexcept override {
    ++calls;
    std::uint16_t done = 0;
    for (; done < count && room != 0; --room) {
      const auto* bytes = rte_pktmbuf_mtod(packets[done], const std::byte*);
      delivered.emplace_back(bytes, bytes + packets[done]->data_len);
      ++done;
    }
    return done;
  }
  int fd() const noexcept override { return -1; }
  VringStats received() const noexcept override { return {}; }
  VringStats sent() const noexcept override { return {}; }

  std::deque<rte_mbuf*> incoming;
  std::vector<std::vector<std::byte>> delivered;
  std::size_t room = SIZE_MAX;
  std::size_t calls = 0;
};

}  // namespace vhostx::test
