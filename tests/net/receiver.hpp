// SPDX-License-Identifier: BSD-3-Clause
// Receiver: a guest's receiveq, and what its driver makes of what came.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/net/ring_fixture.hpp"

namespace vhostx::test {

struct Received {
  net::VirtioNetHeader header;
  Bytes bytes;

  friend bool operator==(const Received&, const Received&) = default;
};

struct Receiver : RingFixture {
  explicit Receiver(std::uint64_t negotiated = net::feature_version_1 | net::feature_mrg_rxbuf,
                    std::uint16_t ring_size = 256)
      : RingFixture(negotiated, ring_size) {}

  void post(int chains, std::uint32_t bytes) {
    for (int i = 0; i < chains; ++i) driver.chain().writable(bytes).publish();
  }

  /// Takes the used buffers and puts packets together as a driver does.
  std::vector<Received> receive() {
    std::vector<Received> all;
    const auto used = driver.reap();
    const std::size_t length = net::header_length(features);
    for (std::size_t i = 0; i < used.size();) {
      Bytes bytes = driver.bytes_of(used[i++]);
      Received one;
      EXPECT_GE(bytes.size(), length);
      std::copy_n(bytes.begin(), length, reinterpret_cast<std::uint8_t*>(&one.header));
      one.bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(length), bytes.end());
      for (int more = length == net::header_length_full ? one.header.num_buffers : 1; more > 1 && i < used.size();
           --more)
        one.bytes = join(one.bytes, driver.bytes_of(used[i++]));
      all.push_back(one);
    }
    return all;
  }
};

inline std::vector<Bytes> packets_of(const std::vector<Received>& received) {
  std::vector<Bytes> packets;
  for (const auto& one : received) packets.push_back(one.bytes);
  return packets;
}

}  // namespace vhostx::test
