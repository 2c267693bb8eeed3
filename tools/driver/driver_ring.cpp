// SPDX-License-Identifier: BSD-3-Clause
#include "tools/driver/driver_ring.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vhostx::tools {
namespace {

constexpr std::size_t line = 64;
constexpr std::size_t lead = line - 12;  // so that what follows the header begins a line

std::uint16_t chains_of(const DriverRingOptions& options) noexcept {
  return options.size / DriverChains::entries(options.layout);
}

std::size_t stride_of(const DriverRingOptions& options) noexcept {
  return (options.buffer_bytes + line - 1) / line * line;
}

}  // namespace

std::size_t DriverRing::memory_bytes(const DriverRingOptions& options) noexcept {
  const std::size_t areas = options.packed ? PackedDriver::area_bytes(options) : SplitDriver::area_bytes(options);
  return areas + chains_of(options) * (stride_of(options) + DriverChains::table_bytes) + 2 * line;
}

std::size_t DriverRing::piece_bytes_max(const DriverRingOptions& options) noexcept {
  const std::size_t area =
      options.packed ? PackedDriver::area_bytes_max(options) : SplitDriver::area_bytes_max(options);
  return std::max(stride_of(options) + 2 * line, area);
}

Result<DriverRing> DriverRing::create(SharedMemory& memory, const DriverRingOptions& options) {
  DriverRing ring(options);
  auto kick = EventFd::create();
  if (!kick) return kick.error();
  auto call = EventFd::create();
  if (!call) return call.error();
  ring.kick_ = *std::move(kick);
  ring.call_ = *std::move(call);
  ring.lay_out(memory);
  ring.want_calls(false);
  return ring;
}

void DriverRing::lay_out(SharedMemory& memory) {
  with_kind([&](auto& ring) { ring.lay_out(memory, options()); });
  const std::uint16_t chains = chains_of(options());
  chains_.out.resize(chains);
  chains_.described.resize(chains);
  if (options().layout == ChainLayout::indirect)
    for (std::uint16_t i = 0; i < chains; ++i)
      chains_.tables.push_back(memory.allocate(DriverChains::table_bytes, sizeof(virtqueue::Descriptor)));
  for (std::uint16_t i = 0; i < chains; ++i) {
    const auto piece = memory.allocate(stride_of(options()), line);
    chains_.buffers.push_back({piece.at + lead, piece.guest + lead});
  }
  memory.allocate(line, line);  // the last buffer reaches as far beyond its place as it begins behind it
}

void DriverRing::restart_at(std::uint16_t index) noexcept {
  std::fill(chains_.out.begin(), chains_.out.end(), std::uint8_t{0});
  out_count_ = 0;
  with_kind([&](auto& ring) { ring.restart_at(index); });
}

protocol::VringAddress DriverRing::addresses(std::uint32_t vring) const noexcept {
  return with_kind([&](const auto& ring) { return ring.addresses(vring); });
}

bool DriverRing::want_calls(bool wanted) noexcept {
  calls_wanted_ = wanted;
  with_kind([&](auto& ring) { ring.want_calls(wanted); });
  return used_waiting() != 0;
}

std::string DriverRing::fault() const {
  if (faults_ == 0) return {};
  return fmt::format("{} used buffers that were not with the back-end (the first: id {})", faults_, first_bad_id_);
}

}  // namespace vhostx::tools
