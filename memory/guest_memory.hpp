// SPDX-License-Identifier: BSD-3-Clause
// GuestMemory: mapped regions behind an AddressTable, and the only way from a peer's numbers to pointers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <vhostx/result.hpp>

#include "memory/address.hpp"
#include "memory/address_table.hpp"
#include "memory/mapped_region.hpp"

namespace vhostx::memory {

struct MemoryLimits {
  std::size_t regions_max = 512;
  std::uint64_t bytes_max = std::uint64_t{1} << 46;
  /// Bytes of files that regions map a second time. That costs us page tables, and the front-end no memory. Real
  /// layouts have none, or little.
  std::uint64_t aliased_bytes_max = std::uint64_t{1} << 30;
};

/// A table never changes: for a change a new one is built and published. The old one lives until its last user (a
/// burst, a loan) releases it. All functions may be called from any thread.
class GuestMemory {
  struct Checked;  // regions that may be one table

 public:
  using Hint = AddressTable::Hint;

  GuestMemory() : table_({}) {}
  explicit GuestMemory(Checked&& checked);  ///< For create().
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  /// A table of these regions. Errors: protocol_violation (overlap in guest or in front-end addresses, with both
  /// regions), limit (too many regions or bytes, or the same bytes of a file too often, with the bound).
  static Result<std::shared_ptr<const GuestMemory>> create(std::vector<std::shared_ptr<const MappedRegion>> regions,
                                                           const MemoryLimits& limits);

  /// As the functions of these names in AddressTable; the entries are the regions.
  HostSpan translate_prefix(GuestAddress address, std::size_t length, Hint& hint) const noexcept {
    return table_.translate_prefix(address.value, length, hint);
  }
  HostSpan translate(GuestAddress address, std::size_t length, Hint& hint) const noexcept {
    return table_.translate(address.value, length, hint);
  }
  HostSpan translate(GuestAddress address, std::size_t length) const noexcept {
    return table_.translate(address.value, length);
  }

  /// The same for addresses of the front-end's process (SET_VRING_ADDR). Control thread.
  HostSpan translate(FrontEndAddress address, std::size_t length) const noexcept;

  /// The guest address of a byte in one of the regions: for what was written by an address of ours. A search.
  std::optional<GuestAddress> address_of(const std::uint8_t* host) const noexcept;

  /// Finds guest addresses.
  const AddressTable& table() const noexcept { return table_; }
  const std::vector<std::shared_ptr<const MappedRegion>>& regions() const noexcept { return regions_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  /// The last byte of all; there is a region.
  GuestAddress last() const noexcept {
    const RegionDescription& region = regions_.back()->description();
    return {region.guest.value + (region.size - 1)};
  }

  /// What translations read, each in pages of its own: for NUMA placement.
  std::array<HostSpan, 4> own_pages() const noexcept;

 private:
  AddressTable table_;
  std::vector<std::shared_ptr<const MappedRegion>> regions_;  // by guest address
  std::uint64_t bytes_ = 0;
};

}  // namespace vhostx::memory
