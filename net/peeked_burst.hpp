// SPDX-License-Identifier: BSD-3-Clause
// PeekedBurst: packets of a transmitq that were looked at and not yet taken.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <rte_mbuf_core.h>

#include <vhostx/peeked_packet.hpp>
#include <vhostx/vring_stats.hpp>

#include "memory/address.hpp"
#include "net/packet_view.hpp"
#include "net/ring_context.hpp"

namespace vhostx::net {

/// Bytes that peek() copies of a packet without offloads: all that a switch may decide on, up to the TCP ports after
/// IPv4 options (86 bytes) or after two VLAN tags and IPv6 (66).
inline constexpr std::uint16_t peeked_head_bytes = 96;

/// How far into a packet peek() prefetches, bytes from its first. These lines arrive while the other packets are peeked
/// at. move() prefetches the rest, packet by packet.
inline constexpr std::uint32_t prefetch_peeked_max = 320;

/// Most pieces of guest memory that a packet is moved from directly. A packet in more pieces is gathered first. A Linux
/// driver's largest packets have 18 buffers.
inline constexpr std::uint16_t moved_pieces_max = 40;

/// All storage of a burst between peek() and give_back(). Made once and not cleared: `count` and `chains` say what is
/// valid. Filled by peek(), read by move() and copy_out().
struct PeekedBurst {
  /// Details of a packet that is not plain.
  struct Detail {
    std::uint64_t ol_flags;  ///< As apply_guest_offload() sets them.
    std::uint32_t packet_type;
    std::uint16_t tso_segsz;
    std::uint16_t first_piece;  ///< In PeekedBurst::pieces.
    std::uint16_t pieces;       ///< 0: its rest is one piece.
  };
  /// A chain that is no packet. It is counted when it is returned.
  struct Drop {
    std::uint16_t chain;
    VringCounter cause;
  };

  static constexpr std::size_t pieces_in_all = 640;  // of 32 packets, 20 each

  std::uint16_t count = 0;   ///< Packets.
  std::uint16_t chains = 0;  ///< Packets and dropped chains between them, in the ring's order.
  std::uint16_t drop_count = 0;
  std::uint16_t piece_count = 0;
  bool gathered_taken = false;  ///< `gathered` holds a packet of this burst.
  std::uint32_t not_plain = 0;  ///< A bit for each packet with a Detail. All others are one piece without requests.
  std::uint64_t bytes = 0;      ///< Of all packets.

  std::array<PeekedPacket, batch_max> packets;       ///< Heads are in `short_heads`, or `long_heads` with offloads.
  std::array<const std::uint8_t*, batch_max> rests;  ///< What follows the head, if that is one piece.
  std::array<Detail, batch_max> details;
  virtqueue::ChainList taken;  ///< The chains.
  std::array<Drop, batch_max> drops;
  std::array<memory::HostSpan, pieces_in_all> pieces;
  std::array<rte_mbuf, moved_pieces_max + 3> segments;  ///< For whole(): head, pieces, one that is cut.
  struct alignas(64) Head {
    std::uint8_t bytes[128];
  };
  std::array<Head, batch_max> short_heads;  ///< peeked_head_bytes of each are used.
  std::array<std::array<std::uint8_t, parsed_bytes_max>, batch_max> long_heads;
  std::array<std::uint8_t, packet_bytes_max> gathered;   ///< The rest of one packet of the burst.
  std::array<std::uint8_t, packet_bytes_max> completed;  ///< The rest of the packet that is being moved.

  PeekedBurst() noexcept { reset_heads(); }
  PeekedBurst(const PeekedBurst&) = delete;
  PeekedBurst& operator=(const PeekedBurst&) = delete;

  void clear() noexcept {
    if (not_plain != 0) reset_heads();
    count = chains = drop_count = piece_count = 0;
    gathered_taken = false;
    not_plain = 0;
    bytes = 0;
  }

  bool is_plain(std::size_t i) const noexcept { return (not_plain >> i & 1) == 0; }
  /// How many chains of the burst come before packet `i`, or in all when there is no such packet.
  std::uint16_t chains_before(std::uint16_t i) const noexcept {
    if (i == count) return chains;
    for (std::uint16_t k = 0; k < drop_count && drops[k].chain <= i; ++k) ++i;
    return i;
  }

  /// Calls `use(span)` for each piece of packet `i` after its head.
  template <typename Use>
  void for_each_rest(std::size_t i, Use use) const noexcept {
    const std::uint16_t cut = is_plain(i) ? std::uint16_t{0} : details[i].pieces;
    const std::uint32_t length = packets[i].length - packets[i].head_length;
    if (cut == 0 && length != 0) use(memory::HostSpan{rests[i], length});
    for (std::size_t k = 0; k < cut; ++k) use(pieces[details[i].first_piece + k]);
  }

  /// Packet `i` as an mbuf chain over its head and the guest's memory, valid until the next call. It belongs to no pool
  /// and must not leave the burst.
  const rte_mbuf& whole(std::size_t i) noexcept;
  /// The same over private memory: reads each byte of the guest now, and once.
  const rte_mbuf& whole_private(std::size_t i) noexcept;
  /// The mbuf chain of whole(), for writing into a packet whose bytes are all private.
  rte_mbuf& build(std::size_t i) noexcept;

 private:
  void reset_heads() noexcept;
  rte_mbuf* add_segment(rte_mbuf* last, const std::uint8_t* data, std::size_t length) noexcept;
};

}  // namespace vhostx::net
