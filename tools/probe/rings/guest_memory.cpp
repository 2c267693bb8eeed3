// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/guest_memory.hpp"

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

bool RegionMemory::read(std::uint64_t address, std::span<std::byte> into) const {
  for (const Part& part : parts_) {
    if (address < part.address || address - part.address >= part.bytes) continue;
    const std::uint64_t inside = address - part.address;
    if (into.size() > part.bytes - inside) continue;  // regions of a peer that lies may overlap
    if (part.fd < 0 || part.offset + inside < inside) return false;
    return read_file(part.fd, part.offset + inside, into);
  }
  return false;
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
