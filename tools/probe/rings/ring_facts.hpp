// SPDX-License-Identifier: BSD-3-Clause
// What has to be known of a connection to watch its rings: the part of a SessionState that is about them, in a form
// that can be published, and that QEMU's answers fit too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/features.hpp"
#include "protocol/payloads.hpp"
#include "tools/probe/rings/ring_sample.hpp"

namespace vhostx::tools::probe {

/// A region of the front-end's memory.
struct MemoryFacts {
  protocol::MemoryRegion region;
  int fd = -1;  ///< Of the process that holds it; -1: it came without one.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;  ///< With `device`: which file `fd` was, when this was written.
  friend bool operator==(const MemoryFacts& a, const MemoryFacts& b) noexcept {
    return a.region.guest_address == b.region.guest_address && a.region.size == b.region.size &&
           a.region.front_end_address == b.region.front_end_address && a.region.mmap_offset == b.region.mmap_offset &&
           a.fd == b.fd && a.device == b.device && a.inode == b.inode;
  }
};

/// Notifications that were seen, from the connection's begin on.
struct RingCounts {
  std::uint64_t kicks = 0;
  std::uint64_t calls = 0;
  friend bool operator==(const RingCounts&, const RingCounts&) = default;
};

struct RingFacts {
  std::uint32_t index = 0;
  std::optional<std::uint32_t> size;
  std::optional<RingAddresses> addresses;
  bool enabled = false;
  bool started = false;              ///< It has its kick descriptor, or polls, and GET_VRING_BASE has not come since.
  std::optional<RingCounts> counts;  ///< None: nobody counts.
  std::optional<std::uint64_t> logged_at{};  ///< VHOST_VRING_F_LOG: the guest address that SET_VRING_ADDR gave.
  std::string problem;           ///< Why there are no addresses, or why the back-end has stopped serving it, where
                                 ///< that is known. Not published.
  std::uint64_t packets_at = 0;  ///< Where the back-end counts the ring's packets (u64), if that is known: else 0. Not
                                 ///< published.
  friend bool operator==(const RingFacts&, const RingFacts&) = default;
};

/// SET_LOG_BASE.
struct LogFacts {
  std::uint64_t size = 0;
  std::uint64_t offset = 0;  ///< In its file.
  int fd = -1;               ///< As of MemoryFacts.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend bool operator==(const LogFacts&, const LogFacts&) = default;
};

struct ConnectionFacts {
  std::uint32_t connection = 1;
  std::string name;               ///< Of the front-end, for people; of QEMU's devices their path.
  protocol::FeatureSet features;  ///< Negotiated; none yet: empty.
  bool guest_addresses = false;   ///< Addresses are guest addresses (GPA_ADDRESSES).
  bool network = true;            ///< Its even rings are filled by the device. False: no ring is.
  std::vector<MemoryFacts> regions;
  std::vector<RingFacts> rings;  ///< Ascending.
  std::optional<LogFacts> log{};
  friend bool operator==(const ConnectionFacts&, const ConnectionFacts&) = default;
};

/// Where the ring is; none before SET_VRING_NUM and SET_VRING_ADDR.
std::optional<RingPlace> place_of(const ConnectionFacts& connection, const RingFacts& ring);
/// The regions with their own descriptors.
RegionMemory memory_of(const ConnectionFacts& connection);
/// The bytes of the log, from address 0 on, with its own descriptor; null: there is none.
std::shared_ptr<const GuestMemory> log_memory_of(const ConnectionFacts& connection);

}  // namespace vhostx::tools::probe
