// SPDX-License-Identifier: BSD-3-Clause
// A guest in the same process, for counting and timing a back-end's data path: memory, queue pairs, a driver whose
// buffers are laid out once and posted again and again, and real messages over a real socket to any back-end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/event_fd.hpp"
#include "tests/support/fake_driver.hpp"
#include "tests/support/fake_front_end.hpp"
#include "tests/support/fake_guest.hpp"

namespace vhostx::bench {

/// How the driver lays a packet out.
enum class Shape { one_descriptor, two_descriptors, indirect };

inline constexpr std::uint64_t mergeable_feature = 1ULL << 15;  ///< VIRTIO_NET_F_MRG_RXBUF

struct BenchOptions {
  std::uint32_t packet_bytes = 64;
  std::uint16_t ring_size = 256;
  std::uint64_t features = (1ULL << 32) | mergeable_feature | (1ULL << 28);  ///< VERSION_1, INDIRECT_DESC
  Shape shape = Shape::one_descriptor;
  std::uint32_t regions = 1;  ///< Of guest memory; with more than one, the buffers are spread over all but the first.
  bool interrupts = false;    ///< The driver wants to be called.
  std::uint16_t queue_pairs = 1;
  std::uint32_t receive_bytes = 0;  ///< Of a receive buffer, behind the net header; 0: room for a packet.
  bool tcp_segments = false;        ///< Transmitted are large TCP segments, which ask for checksum and segmentation.
  bool logged = false;              ///< The guest migrates: the back-end marks the pages that it writes.
  bool recorded = false;            ///< The front-end keeps a record of what is in flight.
  bool spread = false;              ///< Buffers as far apart, and in the same mixed order, as with many regions.
  bool packed = false;              ///< The rings are packed.
  bool in_order = false;            ///< Buffers are used in order, and the driver relies on it.
};

inline constexpr std::uint32_t net_header_bytes = 12;  ///< The net header of a modern driver.
/// SET_MEM_TABLE takes no more; a back-end without CONFIGURE_MEM_SLOTS, such as rte_vhost, knows nothing else.
inline constexpr std::uint32_t table_regions_max = 8;

/// Ends the process with a message when anything fails.
class BenchGuest {
 public:
  explicit BenchGuest(const BenchOptions& options);

  std::uint16_t queue_pairs() const { return options_.queue_pairs; }
  bool is_recorded() const { return options_.recorded; }
  bool is_in_order() const { return options_.in_order; }
  /// Of vring `index`.
  virtqueue::RingAddresses ring_addresses(std::uint32_t index) const { return rings_[index].driver->addresses(); }

  /// A front-end's connection to one back-end. The rings belong to the guest.
  struct Connection {
    std::unique_ptr<test::FakeFrontEnd> front_end;
    std::vector<EventFd> kicks;
    std::vector<EventFd> calls;
  };
  /// Shares the memory, starts and enables all rings. More than one back-end may be connected if they take turns: one
  /// may go on where it stopped once `index_period` packets, or a multiple, have passed through the ring since.
  Connection connect(const std::string& socket_path);

  /// A ring's 16-bit indices, or its place and wrap counter, are where they were after so many packets.
  static constexpr std::uint32_t index_period = 65536;

  /// The guest sends `count` packets, and takes back what was used before.
  void post_transmit(std::uint16_t count, std::uint16_t pair = 0) { rings_[2U * pair + 1].post(count); }
  /// The guest posts `count` receive buffers, and takes what was delivered before.
  void post_receive(std::uint16_t count, std::uint16_t pair = 0) { rings_[2U * pair].post(count); }

 private:
  /// A ring whose chains stand in its table from the start; posting is moving an index. The chains of a packed ring
  /// have its entries for their own, and are written there again and again.
  struct Ring {
    void post(std::uint16_t count);
    void post_packed(std::uint16_t count);
    void keep_chains();
    bool is_used_up() const;

    std::unique_ptr<test::FakeDriver> driver;
    std::vector<std::uint16_t> heads;
    std::uint16_t next = 0;
    // A packed ring.
    std::vector<test::GuestPackedDescriptor> entries;  // without the flags of a lap
    std::uint32_t chain_entries = 1;
    bool in_order = false;
    virtqueue::PackedPosition begin;  // of what was posted last
    virtqueue::PackedPosition end;
  };

  void lay_out(std::uint32_t index);
  void write_tcp_segment(std::uint64_t at);
  std::uint64_t place_buffer(std::uint32_t slot, std::uint32_t bytes);
  void negotiate(test::FakeFrontEnd& front_end);
  void share_memory(test::FakeFrontEnd& front_end);
  void configure(Connection& connection, std::uint32_t index);
  void keep_record(test::FakeFrontEnd& front_end);
  void begin_log(test::FakeFrontEnd& front_end);

  BenchOptions options_;
  test::FakeGuest guest_;
  std::vector<Ring> rings_;  ///< By vring index: even ones receive.
};

/// A path for a socket of this process, another at each call.
std::string fresh_socket_path();

}  // namespace vhostx::bench
