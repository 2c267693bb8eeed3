// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/inflight_store.hpp"

#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include <sys/mman.h>

#include "base/error.hpp"
#include "base/sealed_file.hpp"

namespace vhostx::virtqueue {
namespace {

constexpr int seals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

constexpr std::uint64_t bytes_for(std::uint16_t rings) noexcept { return rings * InflightStore::bytes_of_a_ring; }

}  // namespace

Result<InflightStore::Shared> InflightStore::create(std::uint16_t rings) {
  UniqueFd file(::memfd_create("vhostx-own-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes_for(rings))) != 0 ||
      ::fcntl(file.get(), F_ADD_SEALS, seals) != 0)
    return make_system_error(errno, "making a record of what is in flight, {} bytes", bytes_for(rings));
  return Shared(new InflightStore(std::move(file), rings));
}

Result<InflightStore::Shared> InflightStore::adopt(UniqueFd file, std::uint16_t rings) {
  const auto bytes = sealed_bytes(file.get(), "a record of what is in flight");
  if (!bytes) return bytes.error();
  if (*bytes != bytes_for(rings))
    return protocol_violation("a record of what is in flight has {} bytes, expected {} for {} rings", *bytes,
                              bytes_for(rings), rings);
  return Shared(new InflightStore(std::move(file), rings));
}

Result<std::shared_ptr<const InflightArea>> InflightStore::area(std::uint16_t ring, std::uint16_t ring_size,
                                                                RingKind kind) const {
  assert(ring < rings_);
  UniqueFd file(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
  if (!file) return make_system_error(errno, "a record of what is in flight");
  return InflightArea::map(std::move(file), ring * bytes_of_a_ring, {1, ring_size, kind});
}

}  // namespace vhostx::virtqueue
