// SPDX-License-Identifier: BSD-3-Clause
// Guest: a connection with memory and rings, for one check. Calls throw Decided (failed) where the back-end does not
// play its part within the subject's timeout.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "tools/driver/driver_ring.hpp"
#include "tools/driver/shared_memory.hpp"
#include "tools/probe/check/frames.hpp"
#include "tools/probe/check/link.hpp"

namespace vhostx::tools::probe {

struct GuestPlan {
  /// Beside VERSION_1, and RING_PACKED where the subject says so; each must be offered, else the check does not apply.
  protocol::FeatureSet features;
  protocol::ProtocolFeatureSet protocol;  ///< Beside REPLY_ACK and MQ, which are taken where they are offered.
  bool protocol_features = true;          ///< Acknowledges bit 30; else as a front-end that knows no bit 30.
  std::uint16_t ring_size = 64;
  std::optional<std::uint16_t> first_index = {};
  ChainLayout layout = ChainLayout::one;
  std::uint32_t receive_bytes = 2048;
  std::uint32_t transmit_bytes = 256;
  unsigned pairs = 1;
  unsigned regions = 1;
  bool share = true;  ///< Shares the memory with SET_MEM_TABLE.
};

class Guest {
 public:
  /// Connects, negotiates, and shares memory. No ring is touched.
  Guest(const Subject& subject, const GuestPlan& plan);

  Link& link() noexcept { return link_; }
  SharedMemory& memory() noexcept { return *memory_; }
  const Subject& subject() const noexcept { return subject_; }
  bool packed() const noexcept { return features_.has(protocol::VirtioFeature::ring_packed); }
  bool acknowledges() const noexcept { return acknowledges_; }
  protocol::FeatureSet features() const noexcept { return features_; }
  std::uint32_t ring_count() const noexcept { return static_cast<std::uint32_t>(rings_.size()); }
  DriverRing& ring(std::uint32_t vring) noexcept { return rings_[vring]; }
  DriverRing& receive(unsigned pair = 0) noexcept { return rings_[2 * pair]; }
  DriverRing& transmit(unsigned pair = 0) noexcept { return rings_[2 * pair + 1]; }

  // ---- requests
  void share_memory();
  /// A region as this guest tells of it: with GPA_ADDRESSES both addresses are the guest's.
  protocol::MemoryRegion region(std::size_t index) const;
  /// What SET_VRING_ADDR holds.
  protocol::VringAddress addresses(std::uint32_t vring) const;
  /// SET_VRING_NUM, _BASE, _ADDR.
  void describe(std::uint32_t vring, std::uint32_t base);
  /// SET_VRING_CALL, then _KICK.
  void arm(std::uint32_t vring);
  void set_fd(protocol::FrontEndRequest request, std::uint32_t vring, int fd);
  /// SET_VRING_ENABLE, where bit 30 was acknowledged.
  void enable(std::uint32_t vring, bool on = true);
  /// All rings: described, armed, enabled, kicked; receive buffers posted.
  void start();
  /// GET_VRING_BASE.
  std::uint32_t stop(std::uint32_t vring);
  /// Whether this base is that of a ring whose oldest chain that was not taken back is the next one. Of a packed ring
  /// the upper half may be 0.
  bool is_at(std::uint32_t vring, std::uint32_t base) const noexcept;
  /// Described at `base`, armed and kicked again.
  void restart(std::uint32_t vring, std::uint32_t base);

  // ---- the driver
  /// Posts all receive buffers that are not out, or as many as post_at_most() leaves.
  void post_receive(unsigned pair = 0);
  /// Receive buffers that are out at a time from now on; those that are out stay.
  void post_at_most(unsigned buffers) noexcept { posted_max_ = buffers; }
  /// Posts `count` frames and shows them; kicks as the device wishes.
  void send(unsigned count = 1, unsigned pair = 0, bool to_all = false);
  /// All that was sent has been used, once each; the number of used entries taken. Else failed: "<what>: ...".
  unsigned await_sent(std::string_view what, unsigned pair = 0);
  /// Takes what was used; the number of entries.
  unsigned take_sent(unsigned pair = 0);
  /// The next frame that arrived; buffers are posted again.
  struct Arrival {
    Frame bytes;
    std::uint16_t buffers = 0;       ///< As the header says.
    std::uint32_t used_entries = 0;  ///< As the lengths say.
    std::uint32_t first_length = 0;
  };
  std::optional<Arrival> take_arrival();
  std::uint32_t net_header_bytes() const noexcept { return net_header_bytes_; }
  bool mergeable() const noexcept { return features_.has(protocol::VirtioFeature::net_mrg_rxbuf); }

  /// The device has used nothing of the ring for quiet_time: only time can tell.
  bool stays_unused(std::uint32_t vring);
  /// Waits until the condition holds; false: not within the timeout.
  bool wait(const std::function<bool()>& condition) const;
  /// The call descriptor becomes readable, and is read.
  bool await_call(int fd) const;
  /// It is readable now.
  static bool is_signalled(int fd);

 private:
  void negotiate(const GuestPlan& plan);
  void make_rings(const GuestPlan& plan);
  std::uint64_t guest_address(std::uint64_t front_end) const;
  DriverRingOptions ring_options(const GuestPlan& plan, bool device_writes) const;

  const Subject& subject_;
  Link link_;
  protocol::FeatureSet features_;
  bool acknowledges_ = false;
  bool guest_addresses_ = false;  // GPA_ADDRESSES
  std::uint32_t net_header_bytes_ = 12;
  std::optional<SharedMemory> memory_;
  std::vector<DriverRing> rings_;
  unsigned posted_max_ = 1U << 16;
  std::uint32_t next_number_ = 1;
};

}  // namespace vhostx::tools::probe
