// SPDX-License-Identifier: BSD-3-Clause
// InflightStore: a back-end's own memory for the records of what is in flight on the rings of one port.
#pragma once

#include <cstdint>
#include <memory>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "virtqueue/inflight_area.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::virtqueue {

/// A file that outlives the process if somebody else holds it, too. Each ring's region has room for the largest ring,
/// and no memory until a ring uses it. Control thread.
class InflightStore {
 public:
  using Shared = std::shared_ptr<const InflightStore>;
  static constexpr std::uint64_t bytes_of_a_ring =
      InflightArea::Shape{.queue_size = ring_size_max, .kind = RingKind::packed}.region_bytes();

  /// For `rings`, at least 1: nothing is in flight. Errors: system, out_of_memory.
  static Result<Shared> create(std::uint16_t rings);
  /// One that another process has made. It may hold anything: InflightRecord::open() checks that. Errors: system;
  /// protocol_violation (the file's size, or it is not sealed, so that it could shrink under us).
  static Result<Shared> adopt(UniqueFd file, std::uint16_t rings);

  int fd() const noexcept { return file_.get(); }
  std::uint16_t rings() const noexcept { return rings_; }

  /// The region of `ring`, which is below rings(), as the area of one queue of `ring_size` entries. Errors: as
  /// InflightArea::map().
  Result<std::shared_ptr<const InflightArea>> area(std::uint16_t ring, std::uint16_t ring_size,
                                                   RingKind kind = RingKind::split) const;

 private:
  InflightStore(UniqueFd file, std::uint16_t rings) noexcept : file_(std::move(file)), rings_(rings) {}

  const UniqueFd file_;
  const std::uint16_t rings_;
};

}  // namespace vhostx::virtqueue
