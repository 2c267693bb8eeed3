// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/inflight_area.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <sys/mman.h>

#include "base/error.hpp"

namespace vhostx::virtqueue {

Result<UniqueFd> InflightArea::create_file(const Shape& shape) {
  UniqueFd file(::memfd_create("vhostx-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return make_system_error(errno, "memfd_create");
  if (::ftruncate(file.get(), static_cast<off_t>(shape.bytes())) != 0)
    return make_system_error(errno, "ftruncate to {} bytes", shape.bytes());
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return make_system_error(errno, "F_ADD_SEALS");
  return file;
}

Result<std::shared_ptr<const InflightArea>> InflightArea::map(UniqueFd file, std::uint64_t offset, const Shape& shape,
                                                              std::shared_ptr<const EventFd> alarm,
                                                              std::shared_ptr<memory::TouchBudget> budget) {
  // Each field must be where one store writes it.
  if (offset % sizeof(std::uint64_t) != 0)
    return protocol_violation("in-flight area: offset {:#x}, expected a multiple of {}", offset, sizeof(std::uint64_t));
  auto region = memory::MappedRegion::map({.size = shape.bytes(), .mmap_offset = offset}, std::move(file),
                                          std::move(alarm), std::move(budget));
  if (!region) return make_error(region.error().code, "in-flight area: {}", region.error().message);
  return std::shared_ptr<const InflightArea>(new InflightArea(std::move(region).value(), shape));
}

}  // namespace vhostx::virtqueue
