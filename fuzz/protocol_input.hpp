// SPDX-License-Identifier: BSD-3-Clause
// How the protocol fuzzers read their input, beside how seeds are written, so that the two cannot part.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "protocol/codec.hpp"

namespace vhostx::fuzz {

/// Takes fields off the front of an input; zeros once it is used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const std::byte*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() { return rest_.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(bytes(1)[0]); }
  std::uint16_t two_bytes() {
    const std::uint8_t low = byte();
    return static_cast<std::uint16_t>(low | byte() << 8);
  }
  std::span<const std::byte> bytes(std::size_t count) {
    const auto taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  std::span<const std::byte> rest() { return bytes(rest_.size()); }

 private:
  std::span<const std::byte> rest_;
};

inline protocol::Incoming incoming_of(std::uint8_t byte) { return static_cast<protocol::Incoming>(byte & 3); }

/// fuzz_codec: direction, number of descriptors, the message.
inline std::vector<std::byte> codec_input(protocol::Incoming incoming, std::size_t fds,
                                          std::span<const std::byte> message) {
  std::vector<std::byte> input{static_cast<std::byte>(incoming), static_cast<std::byte>(fds)};
  input.insert(input.end(), message.begin(), message.end());
  return input;
}

/// What one sendmsg of the peer carries.
struct Chunk {
  std::size_t fds = 0;
  std::vector<std::byte> bytes;
};

/// fuzz_channel: direction, behaviour of the owner, then for each chunk: descriptors, length, bytes.
inline std::vector<std::byte> channel_input(protocol::Incoming incoming, const std::vector<Chunk>& chunks) {
  std::vector<std::byte> input{static_cast<std::byte>(incoming), std::byte{0}};
  for (const Chunk& chunk : chunks) {
    const auto size = static_cast<std::uint16_t>(chunk.bytes.size());
    input.push_back(static_cast<std::byte>(chunk.fds));
    input.push_back(static_cast<std::byte>(size & 0xff));
    input.push_back(static_cast<std::byte>(size >> 8));
    input.insert(input.end(), chunk.bytes.begin(), chunk.bytes.end());
  }
  return input;
}

}  // namespace vhostx::fuzz
