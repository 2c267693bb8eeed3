// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/guest_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <unistd.h>

#include "base/error.hpp"

namespace vhostx::tools::probe {
namespace {

bool read_file(int fd, std::uint64_t offset, std::span<std::byte> into) {
  constexpr auto last = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
  while (!into.empty()) {
    if (offset > last) return false;
    const auto got = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    offset += static_cast<std::uint64_t>(got);
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

}  // namespace

// Regions of a peer that lies may overlap: of those that have the address, the one that reaches the furthest.
const RegionMemory::Part* RegionMemory::part_at(std::uint64_t address) const {
  const Part* found = nullptr;
  for (const Part& part : parts_) {
    if (address < part.address || address - part.address >= part.bytes) continue;
    if (found == nullptr || part.bytes - (address - part.address) > found->bytes - (address - found->address))
      found = &part;
  }
  return found;
}

bool RegionMemory::read(std::uint64_t address, std::span<std::byte> into) const {
  while (!into.empty()) {
    const Part* const part = part_at(address);
    if (part == nullptr) return false;
    const std::uint64_t inside = address - part->address;
    const std::uint64_t here = std::min<std::uint64_t>(into.size(), part->bytes - inside);
    if (part->fd < 0 || part->offset + inside < inside) return false;
    if (!read_file(part->fd, part->offset + inside, into.first(here))) return false;
    into = into.subspan(here);
    if (address + here < address && !into.empty()) return false;  // nothing lies behind the last address
    address += here;
  }
  return true;
}

Result<ProcessMemory> ProcessMemory::open(int pid) {
  UniqueFd file(::open(fmt::format("/proc/{}/mem", pid).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return make_system_error(errno, "reading the memory of process {}", pid);
  return ProcessMemory(std::move(file));
}

bool ProcessMemory::read(std::uint64_t address, std::span<std::byte> into) const {
  return read_file(file_.get(), address, into);
}

}  // namespace vhostx::tools::probe
