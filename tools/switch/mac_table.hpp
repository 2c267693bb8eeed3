// SPDX-License-Identifier: BSD-3-Clause
// MacTable: which port a station's frames came from last.
//
// A fixed number of 64-byte buckets with eight entries each; an entry is one atomic 64-bit word, so that any number of
// workers look up and learn without a lock. Guests are hostile: a port may hold only its share of the entries and
// never evicts another port's, and the place of an address depends on a secret, so that nobody fills a neighbour's
// bucket.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace vhostx::tools {

static_assert(std::endian::native == std::endian::little, "MAC addresses are read as little-endian words");

/// A MAC address as a number: byte 0 of the wire in bits 0-7. `frame` has at least 14 bytes.
inline std::uint64_t destination_of(const void* frame) noexcept {
  std::uint64_t word;
  std::memcpy(&word, frame, sizeof word);
  return word & 0xffff'ffff'ffffu;
}
inline std::uint64_t source_of(const void* frame) noexcept {
  std::uint64_t word;
  std::memcpy(&word, static_cast<const char*>(frame) + 4, sizeof word);
  return word >> 16;
}
/// Broadcast or multicast: the I/G bit, the first one on the wire.
inline bool is_group(std::uint64_t mac) noexcept { return (mac & 1u) != 0; }

class MacTable {
 public:
  static constexpr std::uint16_t ports_max = 512;  // 9 bits of an entry
  static constexpr std::uint16_t no_port = 0xffff;
  static constexpr std::uint32_t share_max = 4096;  // entries of a port, however few ports there are
  static constexpr unsigned tick_seconds = 4;
  static constexpr unsigned age_ticks_max = 300 / tick_seconds;

  enum class Learned {
    known,    // the entry was there, perhaps refreshed
    added,    // a new one
    moved,    // the station was behind another port before
    refused,  // the port has its share, the bucket is full of others' entries, or the address is no station's
  };

  /// `ports` below ports_max; `secret` from a source that guests do not know.
  MacTable(unsigned ports, std::uint64_t secret);

  /// Port behind which the station is, or no_port. Any thread.
  std::uint16_t lookup(std::uint64_t mac) const noexcept {
    for (const auto& entry : buckets_[bucket_of(mac)].entries) {
      const auto word = entry.load(std::memory_order_relaxed);
      if (word >> mac_shift == mac) return port_in(word);
    }
    return no_port;
  }

  /// A frame from `mac` came in at `port`. Any thread.
  Learned learn(std::uint64_t mac, std::uint16_t port) noexcept;

  /// As learn(), of a frame that came age_s seconds ago, elsewhere: it takes no room that the port has not got, and
  /// changes nothing where a later frame from `mac` is known. Any thread.
  Learned restore(std::uint64_t mac, std::uint16_t port, unsigned age_s) noexcept;

  /// To be called every tick_seconds, by one thread: entries unused for 300 s go.
  void tick() noexcept;
  /// The port's guest is gone, and so are the stations behind it. Returns how many there were. Any thread.
  std::uint32_t forget_port(std::uint16_t port) noexcept;

  /// The address is learned anew, at whatever port a frame comes from next. Any thread.
  void forget(std::uint64_t mac) noexcept;

  struct Station {
    std::uint64_t mac = 0;
    std::uint16_t port = no_port;
    unsigned age_s = 0;  ///< Since a frame came from it, rounded down to a multiple of tick_seconds.
  };
  /// All that is known now. Any thread.
  std::vector<Station> stations() const;
  /// Those behind the port. Any thread.
  std::vector<Station> stations_of(std::uint16_t port) const;

  /// There are so many ports from now on: what each may hold changes. A port that holds more keeps it until it ages.
  /// No other thread is in learn().
  void set_ports(unsigned ports) noexcept { entries_per_port_max_ = share_of(ports); }

  std::uint32_t entries_of(std::uint16_t port) const noexcept { return held_[port].load(std::memory_order_relaxed); }
  std::uint32_t entries_per_port_max() const noexcept { return entries_per_port_max_; }

 private:
  static constexpr std::size_t bucket_bits = 13;
  static constexpr std::size_t ways = 8;
  // All ports together may fill a quarter: buckets stay uncrowded, and there is always room for a port below its share.
  static constexpr std::size_t entries_usable = (std::size_t{1} << bucket_bits) * ways / 4;
  static constexpr unsigned mac_shift = 16;
  static constexpr unsigned port_shift = 7;
  static constexpr std::uint64_t epoch_mask = 0x7f;

  struct alignas(64) Bucket {
    std::array<std::atomic<std::uint64_t>, ways> entries{};
  };
  // Whoever looks for a port's entries looks where it has had some: in a table of half a megabyte, most have few.
  static constexpr std::size_t groups = 64;
  static constexpr std::size_t group_buckets = (std::size_t{1} << bucket_bits) / groups;

  static std::uint32_t share_of(unsigned ports) noexcept;
  std::size_t bucket_of(std::uint64_t mac) const noexcept { return (mac * multiplier_) >> (64 - bucket_bits); }
  static std::uint16_t port_in(std::uint64_t word) noexcept {
    return static_cast<std::uint16_t>((word >> port_shift) & (ports_max - 1));
  }
  /// Of a frame that came so many ticks ago.
  std::uint64_t word_for(std::uint64_t mac, std::uint16_t port, std::uint64_t ticks = 0) const noexcept {
    const auto epoch = (epoch_.load(std::memory_order_relaxed) - ticks) & epoch_mask;
    return mac << mac_shift | std::uint64_t{port} << port_shift | epoch;
  }
  std::uint64_t age_of(std::uint64_t word) const noexcept {
    return (epoch_.load(std::memory_order_relaxed) - word) & epoch_mask;
  }
  Station station_in(std::uint64_t word) const noexcept {
    return {word >> mac_shift, port_in(word), static_cast<unsigned>(age_of(word)) * tick_seconds};
  }
  Learned update(std::atomic<std::uint64_t>& entry, std::uint64_t seen, std::uint64_t wanted) noexcept;
  Learned insert(Bucket& bucket, std::uint64_t wanted) noexcept;
  void mark_group(std::uint64_t mac, std::uint16_t port) noexcept;
  template <typename Visit>
  void visit_port(std::uint16_t port, Visit visit) const;
  bool release(std::atomic<std::uint64_t>& entry, std::uint64_t seen) noexcept;

  std::uint64_t multiplier_;
  std::uint32_t entries_per_port_max_;
  std::atomic<std::uint64_t> epoch_{0};  // ticks, modulo 128
  std::vector<Bucket> buckets_;
  std::array<std::atomic<std::uint32_t>, ports_max> held_{};
  std::array<std::atomic<std::uint64_t>, ports_max> groups_of_{};  // bits: in other groups the port has no entry
};

}  // namespace vhostx::tools
