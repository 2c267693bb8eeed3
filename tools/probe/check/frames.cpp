// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/frames.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace vhostx::tools::probe {
namespace {

using Address = std::array<std::uint8_t, 6>;
constexpr Address source{0x02, 0x76, 0x68, 0x6f, 0x73, 0x01};
constexpr Address one{0x02, 0x76, 0x68, 0x6f, 0x73, 0x02};
constexpr Address all{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr std::array<std::uint8_t, 2> ethertype{0x88, 0xb5};
constexpr std::size_t number_at = 14;
constexpr std::size_t body_at = 18;

std::uint8_t body_byte(std::uint32_t number, std::size_t at) noexcept {
  return static_cast<std::uint8_t>(number * 31 + at * 7);
}

}  // namespace

Frame make_frame(std::uint32_t number, std::uint32_t bytes, bool to_all) {
  Frame frame(bytes);
  const Address& to = to_all ? all : one;
  std::copy(to.begin(), to.end(), frame.begin());
  std::copy(source.begin(), source.end(), frame.begin() + 6);
  std::copy(ethertype.begin(), ethertype.end(), frame.begin() + 12);
  std::memcpy(frame.data() + number_at, &number, sizeof number);
  for (std::size_t at = body_at; at < frame.size(); ++at) frame[at] = body_byte(number, at);
  return frame;
}

std::int64_t number_of(std::span<const std::uint8_t> frame) noexcept {
  if (frame.size() < body_at) return -1;
  if (!std::equal(source.begin(), source.end(), frame.begin() + 6)) return -1;
  if (!std::equal(ethertype.begin(), ethertype.end(), frame.begin() + 12)) return -1;
  std::uint32_t number = 0;
  std::memcpy(&number, frame.data() + number_at, sizeof number);
  for (std::size_t at = body_at; at < frame.size(); ++at)
    if (frame[at] != body_byte(number, at)) return -1;
  return number;
}

}  // namespace vhostx::tools::probe
