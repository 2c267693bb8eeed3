// SPDX-License-Identifier: BSD-3-Clause
// HostileRing: a ring full of random chains, most of them almost right, in memory with many borders.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "net/ring_context.hpp"
#include "net/virtio_net_header.hpp"
#include "tests/support/fake_driver.hpp"
#include "virtqueue/any_layout.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::test {

/// Guest memory for them. Each descriptor has two regions of half a KiB to itself, the second of some is missing.
struct HostileWorld {
  static constexpr std::uint64_t ring_at = 0x1'0000;
  static constexpr std::uint64_t areas_at = 0x10'0000;
  static constexpr std::uint64_t half = 512;
  static constexpr std::uint64_t area_count = 131;  // 16 descriptors, and 16 tables, with room behind each
  static constexpr std::uint64_t large_at = 0x100'0000;
  static constexpr std::size_t large_bytes = 0x2'0000;

  /// `far_away`: one more region so far from the others that they share slots of the index.
  explicit HostileWorld(bool far_away) : regions(places(far_away)), guest(regions), memory(guest.map()) { refill(); }

  void refill() {
    for (const auto& region : regions) {
      if (!fresh.contains(region.guest)) {
        auto& bytes = fresh[region.guest];
        for (std::size_t i = 0; i < region.size; ++i)
          bytes.push_back(static_cast<std::uint8_t>((region.guest >> 9) * 5 + i * 3 + (i >> 8) + 1));
      }
      std::memcpy(guest.at(region.guest), fresh[region.guest].data(), fresh[region.guest].size());
    }
  }

  bool holds(std::uint64_t address) const { return bool{memory->translate(memory::GuestAddress{address}, 1)}; }

  std::vector<FakeGuest::Region> regions;
  FakeGuest guest;
  std::shared_ptr<const memory::GuestMemory> memory;
  std::map<std::uint64_t, std::vector<std::uint8_t>> fresh;  // by guest address: what regions hold at first

 private:
  static std::vector<FakeGuest::Region> places(bool far_away) {
    std::vector<FakeGuest::Region> all{{ring_at, 0x1000}, {large_at, large_bytes}};
    for (std::uint64_t i = 0; i < area_count * 2; ++i)
      if (i % 14 != 13) all.push_back({areas_at + i * half, half});
    if (far_away) all.push_back({std::uint64_t{1} << 62, 0x1000});
    return all;
  }
};

class HostileRing {
  HostileWorld& world_;
  std::function<std::uint64_t()> random_;  // before what is drawn from it

 public:
  /// `random` makes all decisions, and never ends with zeros: a fuzzer's input, or a row of random numbers.
  HostileRing(HostileWorld& world, std::function<std::uint64_t()> random, bool for_guest,
              virtqueue::RingKind ring_kind = tested_kind())
      : world_(world),
        random_(std::move(random)),
        to_guest(for_guest),
        kind(ring_kind),
        features(pick<std::uint64_t>({net::feature_version_1 | net::feature_mrg_rxbuf, net::feature_version_1, 0})),
        header(net::header_length(features)),
        size(pick_size()),
        start(pick_start()),
        ring_features{.indirect = !one_in(6)} {
    world_.refill();
    write_chains();
  }
  HostileRing(HostileWorld& world, std::uint64_t seed, bool for_guest)
      : HostileRing(world, std::mt19937_64(seed), for_guest) {}

  bool one_in(unsigned n) { return random_() % n == 0; }
  template <typename T>
  T pick(std::initializer_list<T> all) {
    return *(all.begin() + random_() % all.size());
  }

  static constexpr std::uint64_t table = HostileWorld::ring_at;
  static constexpr std::uint64_t avail = table + 0x400;
  static constexpr std::uint64_t used = table + 0x800;
  const bool to_guest;
  const virtqueue::RingKind kind;
  const std::uint64_t features;
  const std::uint16_t header;
  const std::uint32_t size;
  const std::uint16_t start;  ///< Where both indices begin; in a packed ring a PackedPosition.
  const virtqueue::RingFeatures ring_features;
  std::vector<std::uint16_t> heads;  ///< What is available; in a packed ring, what it was made of.

 private:
  using Descriptor = virtqueue::Descriptor;
  using Descriptors = std::vector<GuestDescriptor>;
  static constexpr std::uint64_t half = HostileWorld::half;
  static std::uint64_t area(std::uint64_t index) { return HostileWorld::areas_at + index * 2 * half; }

  bool is_packed() const { return kind == virtqueue::RingKind::packed; }
  std::uint32_t pick_size() {
    const auto most = pick<std::uint32_t>({1, 2, 4, 8, 16, 16});
    return is_packed() && most > 1 && one_in(2) ? most - 1 : most;
  }
  std::uint16_t pick_start() {
    const auto any = pick<std::uint16_t>({0, 65535, 65530, 3, 1000});
    if (!is_packed()) return any;
    return static_cast<std::uint16_t>((one_in(2) ? 0x8000 : 0) | any % size);
  }

  void write_chains() {
    // Good descriptors behind the table too: whoever looks there finds something to take.
    for (std::uint32_t i = size; i < (avail - table) / sizeof(GuestDescriptor); ++i)
      world_.guest.at_as<GuestDescriptor>(table)[i] = buffer(i % 16, header + payload_length());
    std::uint16_t next_free = 0;
    while (heads.size() < size && !one_in(30)) {
      if (next_free == size || one_in(20)) {
        heads.push_back(static_cast<std::uint16_t>(random_() % size));  // a second time, or a buffer in its middle
      } else if (one_in(25)) {
        heads.push_back(pick<std::uint16_t>({16, 17, 32767, 65535}));
      } else {
        heads.push_back(next_free);
        next_free = write_chain(next_free, static_cast<std::uint16_t>(size - next_free));
      }
    }
    if (is_packed()) return pack();
    auto* ring = world_.guest.at_as<std::uint16_t>(avail);
    for (std::size_t i = 0; i < heads.size(); ++i) ring[2 + (start + i) % size] = heads[i];
    ring[1] = static_cast<std::uint16_t>(start + heads.size());
  }

  /// The chains that begin at the heads, one after the other, as far as the ring reaches; a loop fills it. Seldom an
  /// entry is available in another lap.
  void pack() {
    auto* const split = world_.guest.at_as<GuestDescriptor>(table);
    const Descriptors from(split, split + size);
    auto* const ring = world_.guest.at_as<GuestPackedDescriptor>(table);
    virtqueue::PackedPosition place{start};
    for (std::uint32_t i = 0; i < size; ++i, place = place.after(1, size))
      ring[place.index()].flags =
          virtqueue::PackedPosition{static_cast<std::uint16_t>(place.value ^ virtqueue::PackedPosition::wrap_bit)}
              .used();
    std::uint32_t left = size;
    for (const std::uint16_t head : heads) {
      std::uint32_t at = head % size;
      for (bool more = left != 0; more && left != 0; --left, place = place.after(1, size)) {
        const GuestDescriptor& one = from[at];
        const auto turned = one_in(60) ? virtqueue::packed_avail_flag : std::uint16_t{0};
        const auto flags = static_cast<std::uint16_t>((one.flags & 0x7f) | (place.available() ^ turned));
        ring[place.index()] = {one.address, one.length, static_cast<std::uint16_t>(random_() * 257), flags};
        more = (one.flags & virtqueue::Descriptor::next_flag) != 0;
        at = one.next % size;
      }
    }
  }

  std::uint16_t write_chain(std::uint16_t first, std::uint16_t left) {
    const auto shape = random_() % 10;
    if (shape < 4) return write_direct(first, 1);
    if (shape < 7) return write_direct(first, std::min<std::uint16_t>(left, one_in(4) ? 3 : 2));
    return write_indirect(first);
  }

  std::uint16_t write_direct(std::uint16_t first, std::uint16_t count) {
    Descriptors all = buffers(first, count, first);
    spoil(all, size);
    std::copy(all.begin(), all.end(), world_.guest.at_as<GuestDescriptor>(table) + first);
    return static_cast<std::uint16_t>(first + count);
  }

  std::uint16_t write_indirect(std::uint16_t head) {
    // Room between: what is written to the guest, also behind its buffers, never changes a table.
    const std::uint64_t own = 18 + head * std::uint64_t{7};
    Descriptors all = buffers(own + 1, pick<std::uint16_t>({1, 2, 2, 2, 3, 4}), 0);
    spoil(all, static_cast<std::uint32_t>(all.size()));
    const auto length = static_cast<std::uint32_t>(all.size() * sizeof all[0]);
    if (is_packed())
      for (auto& one : all) one = {one.address, one.length, 0xdead, one.flags};  // id and flags
    const std::uint64_t border = area(own) + half;
    const std::uint64_t place = pick<std::uint64_t>({area(own), border - length, border - 8, border - length + 16});
    const auto* raw = reinterpret_cast<const std::uint8_t*>(all.data());
    for (std::uint32_t i = 0; i < length; ++i)
      if (world_.holds(place + i)) *world_.guest.at(place + i) = raw[i];
    Descriptors one{{place, length, Descriptor::indirect_flag, 0}};
    if (one_in(8))
      one[0].length = pick<std::uint32_t>({0, 8, 15, 16, 17, 31, 32, 33, 48, 64, 0xffff'fff0, 0xffff'ffff});
    spoil(one, size);
    world_.guest.at_as<GuestDescriptor>(table)[head] = one[0];
    return static_cast<std::uint16_t>(head + 1);
  }

  /// Header and packet, in `count` buffers linked as entries from `first` on.
  Descriptors buffers(std::uint64_t first_area, std::uint16_t count, std::uint16_t first) {
    if (count == 1) return {buffer(first_area, header + payload_length())};
    Descriptors all{buffer(first_area, one_in(5) ? pick<std::uint32_t>({0, 1, 9, 11, 13, 40}) : header)};
    for (std::uint16_t i = 1; i < count; ++i) {
      all.back().flags |= Descriptor::next_flag;
      all.back().next = static_cast<std::uint16_t>(first + i);
      all.push_back(buffer(first_area + i, payload_length()));
    }
    return all;
  }

  std::uint32_t payload_length() {
    if (to_guest) return pick<std::uint32_t>({1, 60, 500, 512, 1024, 1600});
    return pick<std::uint32_t>({13, 14, 15, 60, 60, 60, 499, 500, 512, 1024, 1600, 2048, 2049});
  }

  /// A buffer around the border of its area, or elsewhere if it is large.
  GuestDescriptor buffer(std::uint64_t index, std::uint32_t length) {
    const std::uint64_t border = area(index) + half;
    std::uint64_t address = area(index);
    if (length > 2 * half)
      address = HostileWorld::large_at + random_() % 16;
    else if (length <= half)
      address = pick<std::uint64_t>({area(index), border - length, border - length, border - length / 2});
    // From the guest: the first two bytes are what asks for offloads.
    for (const std::uint64_t byte : {address, address + 1})
      if (!to_guest && world_.holds(byte)) *world_.guest.at(byte) = one_in(30) ? pick<std::uint8_t>({1, 2}) : 0;
    return {address, length, to_guest ? Descriptor::write_flag : std::uint16_t{0}, 0};
  }

  /// A lie in one of them, seldom two.
  void spoil(Descriptors& all, std::uint32_t entries) {
    constexpr std::uint32_t packet_max = net::packet_bytes_max;
    while (one_in(8)) {
      auto& one = all[random_() % all.size()];
      switch (random_() % 6) {
        case 0:
          one.flags ^= pick<std::uint16_t>({Descriptor::next_flag, Descriptor::write_flag, 4, 8, 0x8000});
          break;
        case 1:
          one.next = pick<std::uint16_t>(
              {0, 1, static_cast<std::uint16_t>(entries - 1), static_cast<std::uint16_t>(entries), 65535});
          break;
        case 2:
          one.address = pick<std::uint64_t>(
              {0, ~std::uint64_t{0}, one.address + half, HostileWorld::large_at + HostileWorld::large_bytes - 40});
          break;
        case 3:
          one.length = pick<std::uint32_t>({0, 1, 10, 12, 13, header + 13U, header + 14U, 0xffff'ffff, 0xffff'fff0});
          break;
        case 4:
          one.length = packet_max + header - 1 + static_cast<std::uint32_t>(random_() % 3);
          one.address = HostileWorld::large_at;
          break;
        default:
          one.length = packet_max - 1 + static_cast<std::uint32_t>(random_() % 3);
          one.address = HostileWorld::large_at + 16;
      }
    }
  }
};

}  // namespace vhostx::test
