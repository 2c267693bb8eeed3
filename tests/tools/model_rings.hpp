// SPDX-License-Identifier: BSD-3-Clause
// The data path of ModelBackEnd: guest memory, two rings, a dirty log. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"
#include "model_back_end.hpp"
#include "protocol/payloads.hpp"

namespace vhostx::test {

/// Regions, mapped as they came.
class ModelMemory {
 public:
  struct Region {
    protocol::MemoryRegion is;
    std::uint8_t* view = nullptr;
    std::size_t view_bytes = 0;
    UniqueFd fd;
  };

  explicit ModelMemory(Fault fault) : fault_(fault) {}
  ~ModelMemory() { clear(); }
  ModelMemory(const ModelMemory&) = delete;
  ModelMemory& operator=(const ModelMemory&) = delete;

  bool add(const protocol::MemoryRegion& region, UniqueFd fd);
  bool remove(const protocol::MemoryRegion& region);
  void clear();
  std::size_t count() const noexcept { return regions_.size(); }
  /// The guest address of a front-end address that is mapped.
  std::uint64_t guest_address(std::uint64_t front_end) const noexcept;
  /// Null where `bytes` do not lie in one region.
  std::uint8_t* guest(std::uint64_t address, std::uint64_t bytes) const noexcept;
  std::uint8_t* front_end(std::uint64_t address, std::uint64_t bytes) const noexcept;

 private:
  bool overlaps(const protocol::MemoryRegion& region) const noexcept;

  Fault fault_;
  std::vector<Region> regions_;
};

class ModelLog {
 public:
  explicit ModelLog(Fault fault) : fault_(fault) {}
  ~ModelLog();
  ModelLog(const ModelLog&) = delete;
  ModelLog& operator=(const ModelLog&) = delete;

  bool set(const protocol::LogBase& base, const UniqueFd& fd);
  void mark(std::uint64_t guest, std::uint64_t bytes) noexcept;

 private:
  struct View {
    std::uint8_t* bits = nullptr;
    std::size_t bytes = 0;
  };
  static void clear(View& view);
  static void mark(const View& view, std::uint64_t guest, std::uint64_t bytes) noexcept;

  Fault fault_;
  View now_;
  View before_;
};

struct ModelRing {
  std::uint32_t size = 0;
  std::uint16_t base = 0;  ///< Of a packed ring a PackedPosition: what is taken is used at once.
  std::optional<protocol::VringAddress> at;
  EventFd kick;
  EventFd call;
  EventFd old_call;
  EventFd err;
  bool armed = false;  ///< SET_VRING_KICK came, with or without a descriptor.
  bool started = false;
  bool enabled = false;
  bool broken = false;

  void stop() noexcept {
    armed = started = broken = false;
    kick = EventFd();
  }
};

/// Rings 0 (to the guest) and 1 (from it).
class ModelRings {
 public:
  explicit ModelRings(Fault fault) : memory(fault), log(fault), fault_(fault) {}

  bool any_started() const noexcept { return rings[0].started || rings[1].started; }
  /// Starts what is due, and moves what is there.
  void turn();

  ModelMemory memory;
  ModelLog log;
  std::array<ModelRing, 2> rings;
  bool mergeable = false;
  bool logs = false;    ///< VHOST_F_LOG_ALL
  bool packed = false;  ///< VIRTIO_F_RING_PACKED
  bool dead = false;    ///< Nothing moves any more.

 private:
  struct Pointers {
    std::uint8_t* descriptors;
    std::uint8_t* avail;
    std::uint8_t* used;
  };
  struct Piece {
    std::uint64_t guest;
    std::uint8_t* at;
    std::uint32_t bytes;
  };

  /// A chain that the driver has shown.
  struct Chain {
    std::uint16_t id = 0;  ///< Of a split ring its head.
    std::uint16_t entries = 1;
    std::vector<Piece> pieces{};
  };

  void start_if_due(ModelRing& ring);
  std::optional<Pointers> pointers(const ModelRing& ring) const;
  /// The next one; without pieces, and the ring is broken, where the driver broke the rules.
  std::optional<Chain> next(ModelRing& ring);
  std::optional<Chain> next_split(ModelRing& ring);
  std::optional<Chain> next_packed(ModelRing& ring);
  /// False: it is no buffer.
  bool add_piece(Chain& chain, std::uint64_t address, std::uint32_t bytes, std::uint16_t flags) const;
  bool logs_used_of(const ModelRing& ring) const noexcept;
  void give_back(ModelRing& ring, const Chain& chain, std::uint32_t written);
  void give_back_split(ModelRing& ring, const Chain& chain, std::uint32_t written);
  void give_back_packed(ModelRing& ring, const Chain& chain, std::uint32_t written);
  void signal(ModelRing& ring);
  void take_from_guest();
  void deliver(std::vector<std::uint8_t> frame);

  Fault fault_;
};

}  // namespace vhostx::test
