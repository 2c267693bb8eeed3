// SPDX-License-Identifier: BSD-3-Clause
#include "net/move.hpp"

#include <cstddef>
#include <cstring>

#include "net/copy.hpp"
#include "net/enqueuer.hpp"
#include "net/offload_to_guest.hpp"
#include "net/prefetch.hpp"

namespace vhostx::net {
namespace {

/// Packets that lie in another guest's memory.
struct PeekedSource {
  struct Packets {
    PeekedBurst* burst;
    const std::uint8_t* which;
  };
  struct Packet {
    const PeekedPacket& seen;
    const PeekedBurst::Detail& detail;
  };

  friend Packets operator+(Packets packets, std::uint16_t count) noexcept {
    return {packets.burst, packets.which + count};
  }
  static Packet at(Packets packets, std::size_t i) noexcept {
    const std::size_t number = packets.which[i];
    return {packets.burst->packets[number], packets.burst->details[number]};
  }
  static bool is_plain(const Packet& packet, std::uint32_t length_max) noexcept {
    return packet.detail.is_plain() && packet.seen.length <= length_max;
  }
  static std::uint32_t length(const Packet& packet) noexcept { return packet.seen.length; }
  static std::uint64_t flags(const Packet&) noexcept { return 0; }
  template <typename BeforeLongCopy>
  [[gnu::always_inline]] static void copy(const Packet& packet, std::uint8_t* to, std::uint32_t length,
                                          BeforeLongCopy before_long_copy) noexcept {
    const std::uint8_t* const head = packet.seen.head;
    if (length <= head_bytes) {
      copy_packet(to, head, length, before_long_copy);
    } else if (packet.seen.head_length == head_bytes) [[likely]] {
      std::memcpy(to, head, head_bytes);
      copy_packet(to + head_bytes, packet.detail.rest, length - head_bytes, before_long_copy);
    } else {  // a longer head: its packet asked for a checksum that was completed
      std::memcpy(to, head, packet.seen.head_length);
      std::memcpy(to + packet.seen.head_length, packet.detail.rest, length - packet.seen.head_length);
    }
  }
  static void copy(const Packet& packet, std::uint8_t* to, std::uint32_t length) noexcept {
    copy(packet, to, length, [] {});
  }
  static void prefetch_rest(Packets packets, std::size_t i) noexcept {
    const Packet packet = at(packets, i);
    if (packet.detail.is_plain() && packet.seen.length > head_bytes)
      net::prefetch_rest<virtqueue::Direction::readable>(packet.detail.rest,
                                                         std::min(packet.seen.length - head_bytes, prefetch_rest_max));
  }
  /// A guest that wants its checksums finished has them summed over bytes that nobody can change between the summing
  /// and the copying.
  static const rte_mbuf& whole(Packets packets, std::size_t i, std::uint64_t features) noexcept {
    const std::size_t number = packets.which[i];
    const bool summed = (features & feature_guest_csum) == 0 && packets.burst->details[number].ol_flags != 0;
    return summed ? packets.burst->whole_private(number) : packets.burst->whole(number);
  }
  static void count(RingCounters& counters, std::uint64_t packets) noexcept {
    counters.add(VringCounter::moved, packets);
  }
};

}  // namespace

BurstResult move(const RingContext& to, PeekedBurst& burst, const std::uint8_t* which, std::uint16_t count) noexcept {
  return enqueue_from<PeekedSource>(to, {&burst, which}, count);
}

}  // namespace vhostx::net
