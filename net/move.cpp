// SPDX-License-Identifier: BSD-3-Clause
#include "net/move.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "net/copy.hpp"
#include "net/enqueuer.hpp"
#include "net/offload_to_guest.hpp"
#include "net/unit_context.hpp"
#include "virtqueue/prefetch.hpp"

namespace vhostx::net {
namespace {

/// Packets in another guest's memory.
struct PeekedSource {
  struct Packets {
    PeekedBurst* burst;
    const std::uint8_t* which;
  };
  struct Packet {
    const PeekedBurst& burst;
    std::size_t number;

    const PeekedPacket& seen() const noexcept { return burst.packets[number]; }
    const std::uint8_t* rest() const noexcept { return burst.rests[number]; }
    /// In one piece and without offload requests (a checksum may have been completed before).
    bool is_plain() const noexcept {
      return burst.is_plain(number) || (burst.details[number].ol_flags | burst.details[number].pieces) == 0;
    }
  };

  friend Packets operator+(Packets packets, std::uint16_t count) noexcept {
    return {packets.burst, packets.which + count};
  }
  static Packet at(Packets packets, std::size_t i) noexcept { return {*packets.burst, packets.which[i]}; }
  static bool is_plain(const Packet& packet, std::uint32_t length_max) noexcept {
    return packet.is_plain() && packet.seen().length <= length_max;
  }
  static std::uint32_t length(const Packet& packet) noexcept { return packet.seen().length; }
  static std::uint64_t flags(const Packet&) noexcept { return 0; }
  template <typename BeforeLongCopy>
  [[gnu::always_inline]] static void copy(const Packet& packet, std::uint8_t* to, std::uint32_t length,
                                          BeforeLongCopy before_long_copy) noexcept {
    const std::uint8_t* const head = packet.seen().head;
    const std::size_t head_length = packet.seen().head_length;
    if (length <= peeked_head_bytes) {
      copy_packet(to, head, length, before_long_copy);
    } else if (head_length == peeked_head_bytes) [[likely]] {
      std::memcpy(to, head, peeked_head_bytes);
      copy_packet(to + peeked_head_bytes, packet.rest(), length - peeked_head_bytes, before_long_copy);
    } else {  // a longer head: its packet asked for a checksum that was completed
      std::memcpy(to, head, head_length);
      copy_packet(to + head_length, packet.rest(), length - head_length, before_long_copy);
    }
  }
  [[gnu::always_inline]] static void copy(const Packet& packet, std::uint8_t* to, std::uint32_t length) noexcept {
    copy(packet, to, length, [] {});
  }
  static void prefetch_rest(Packets packets, std::size_t i) noexcept {
    const Packet packet = at(packets, i);
    const std::uint32_t length = std::min(packet.seen().length, virtqueue::prefetch_rest_max);
    if (length <= prefetch_peeked_max || !packet.is_plain()) return;
    // From the last line on that peek() has prefetched.
    const std::uint8_t* const from =
        packet.rest() - peeked_head_bytes + prefetch_peeked_max - virtqueue::cache_line_bytes;
    virtqueue::prefetch_rest<virtqueue::Direction::readable>(
        from, length - prefetch_peeked_max + virtqueue::cache_line_bytes);
  }
  /// If a checksum must be completed for the receiver, it is computed over private bytes, which the sender cannot
  /// change between summing and copying.
  static const rte_mbuf& whole(Packets packets, std::size_t i, std::uint64_t features) noexcept {
    const std::size_t number = packets.which[i];
    const bool summed = (features & feature_guest_csum) == 0 && !packets.burst->is_plain(number) &&
                        packets.burst->details[number].ol_flags != 0;
    return summed ? packets.burst->whole_private(number) : packets.burst->whole(number);
  }
  static void count(RingCounters& counters, std::uint64_t packets) noexcept {
    counters.add(VringCounter::moved, packets);
  }
};

}  // namespace

template <Context C>
BurstResult move(const C& to, PeekedBurst& burst, const std::uint8_t* which, std::uint16_t count) noexcept {
  return enqueue_from<PeekedSource>(to, {&burst, which}, count);
}

template BurstResult move(const UnitContext&, PeekedBurst&, const std::uint8_t*, std::uint16_t) noexcept;
template BurstResult move(const Logged<UnitContext>&, PeekedBurst&, const std::uint8_t*, std::uint16_t) noexcept;

}  // namespace vhostx::net
