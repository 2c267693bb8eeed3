// SPDX-License-Identifier: BSD-3-Clause
// SmallRings: a driver's memory with a ring of a few entries, and the comparison of all that can be done with it with
// the slow model (chain_model.hpp), for tests that try every combination of what is small.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/ring_comparison.hpp"
#include "tests/net/ring_fixture.hpp"
#include "tests/support/eal.hpp"

namespace vhostx::net {

using test::Bytes;
using test::FakeGuest;
using test::GuestDescriptor;

inline constexpr std::uint64_t ring_at = 0x10000;
inline constexpr std::uint64_t buffers_at = 0x20000;  // two regions of 0x100, neighbours for the guest
inline constexpr std::uint64_t border = buffers_at + 0x100;
inline constexpr std::uint64_t buffers_end = buffers_at + 0x200;
inline constexpr std::uint64_t tables_at = 0x30000;  // likewise
inline constexpr std::uint64_t tables_border = tables_at + 0x100;

struct Buffer {
  std::uint64_t address;
  std::uint32_t length;
};
/// By the net header's length: nothing, too little, all but a byte of it, it alone, it and an Ethernet header; at the
/// last byte, one too far, over a border, outside, wrapping; and what is a table behind INDIRECT: of one and of two
/// descriptors, over a border, of half a descriptor too much.
inline std::vector<Buffer> all_buffers(std::uint32_t header) {
  return {{buffers_at, 0},           {buffers_at, 1},
          {buffers_at, header - 1},  {buffers_at, header},
          {buffers_at, header + 14}, {buffers_end - 1, 1},
          {buffers_end - 1, 2},      {border - 8, header + 20},
          {0x5000, header + 14},     {0 - std::uint64_t{8}, header + 14},
          {tables_at, 16},           {tables_at, 32},
          {tables_border - 8, 32},   {tables_at, 24},
          {buffers_at, 0xffffffff}};
}

inline constexpr std::uint16_t next_flag = virtqueue::Descriptor::next_flag;
inline constexpr std::uint16_t write_flag = virtqueue::Descriptor::write_flag;

/// One driver's memory, and the comparison of all that can be done with it.
class SmallRings {
 public:
  explicit SmallRings(bool for_guest, virtqueue::RingKind ring_kind = virtqueue::RingKind::split)
      : to_guest_(for_guest), kind_(ring_kind) {
    test::start_eal();
  }

  /// The content of the ring's table, and which heads are available. In a packed ring `next` is the id, and the flags
  /// say what is available.
  void try_ring(const std::vector<GuestDescriptor>& table, const std::vector<std::uint16_t>& heads) {
    write_memory(table, heads);
    const test::WrittenRing written{guest_,      regions_, ring_at,  ring_at + 0x100,        ring_at + 0x200,
                                    size(table), start,    features, {.indirect = indirect}, kind_};
    ++cases_;
    const std::string difference = to_guest_ ? compare_enqueue(written, heads) : compare_dequeue(written, heads);
    ASSERT_EQ(difference, "") << describe(table, heads);
  }

  std::uint64_t cases() const { return cases_; }
  bool to_guest() const { return to_guest_; }
  std::uint16_t direction() const { return to_guest_ ? write_flag : std::uint16_t{0}; }
  std::uint32_t header() const { return header_length(features); }

  std::uint64_t features = feature_version_1 | feature_mrg_rxbuf;
  bool indirect = true;
  std::uint16_t start = 0;
  std::uint16_t ahead = 0xffff;  ///< avail->idx behind `start`, unless 0xffff: as many as there are heads.

 private:
  static std::uint32_t size(const std::vector<GuestDescriptor>& table) {
    return static_cast<std::uint32_t>(table.size());
  }

  void write_memory(const std::vector<GuestDescriptor>& table, const std::vector<std::uint16_t>& heads) {
    std::memset(guest_.at(ring_at), 0, 0x300);
    for (std::size_t i = 0; i < table.size(); ++i) write(ring_at + i * sizeof table[0], table[i]);
    auto* const avail = guest_.at_as<std::uint16_t>(ring_at + 0x100);
    if (kind_ == virtqueue::RingKind::split)
      avail[1] = static_cast<std::uint16_t>(start + (ahead == 0xffff ? heads.size() : ahead));
    for (std::size_t i = 0; i < heads.size(); ++i) avail[2 + (start + i) % table.size()] = heads[i];
    // Zeros where a net header may lie, numbers elsewhere.
    for (std::uint32_t i = 0; i < 0x100; ++i)
      guest_.at(buffers_at)[i] = static_cast<std::uint8_t>(i < 12 || i >= 0xf8 ? 0 : i);
    for (std::uint32_t i = 0; i < 0x100; ++i) guest_.at(border)[i] = static_cast<std::uint8_t>(i < 12 ? 0 : i * 3);
    const GuestDescriptor header{buffers_at, this->header(), static_cast<std::uint16_t>(next_flag | direction()), 1};
    const GuestDescriptor payload{border - 10, 40, direction(), 0};
    for (const std::uint64_t at : {tables_at, tables_border - 8}) {
      write(at, header);
      write(at + 16, payload);
    }
  }
  void write(std::uint64_t at, GuestDescriptor descriptor) {
    if (kind_ == virtqueue::RingKind::packed) std::swap(descriptor.flags, descriptor.next);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&descriptor);
    for (std::size_t i = 0; i < sizeof descriptor; ++i) *guest_.at(at + i) = bytes[i];
  }

  std::string compare_dequeue(const test::WrittenRing& written, const std::vector<std::uint16_t>& heads) {
    const auto expected = test::model_dequeue(written.model(available(heads)));
    test::ComparedRing one(written, *memory_);
    std::array<rte_mbuf*, 8> mbufs;
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i <= written.size && !one.broken(); ++i) {
      const auto taken = net::dequeue(one.context(), test::test_pool(), mbufs.data(), mbufs.size()).packets;
      for (std::uint16_t k = 0; k < taken; ++k) packets.push_back(test::bytes_of(mbufs[k]));
      rte_pktmbuf_free_bulk(mbufs.data(), taken);
    }
    if (jumps(written, heads))
      return one.cursor.fault.cause == VringFaultCause::avail_index_jump ? "" : "no jump was seen";
    if (expected.depends()) return "";
    if (packets != expected.packets) return "other packets";
    return one.difference(expected);
  }

  std::string compare_enqueue(const test::WrittenRing& written, const std::vector<std::uint16_t>& heads) {
    static const std::vector<Bytes> packets{test::pattern(20, 1), test::pattern(60, 2)};
    static const std::array<rte_mbuf*, 2> mbufs{test::make_packet(test::test_pool(), packets[0]),
                                                test::make_packet(test::test_pool(), packets[1])};
    const auto before = memory();
    const auto expected = test::model_enqueue(written.model(available(heads)), packets);
    test::ComparedRing one(written, *memory_);
    const auto done = net::enqueue(one.context(), mbufs.data(), mbufs.size()).packets;
    if (jumps(written, heads))
      return one.cursor.fault.cause == VringFaultCause::avail_index_jump ? "" : "no jump was seen";
    if (expected.depends()) return "";
    if (done != expected.done) return "done " + std::to_string(done) + ", expected " + std::to_string(expected.done);
    if (memory() != written_over(before, expected)) {
      const auto a = memory(), b = written_over(before, expected);
      const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin());
      return "other bytes in the guest's memory, from " + std::to_string(x - a.begin()) + " on: " + std::to_string(*x) +
             ", expected " + std::to_string(*y);
    }
    return one.difference(expected);
  }

  bool jumps(const test::WrittenRing& written, const std::vector<std::uint16_t>& heads) const {
    return (ahead == 0xffff ? heads.size() : ahead) > written.size;
  }
  std::vector<std::uint16_t> available(std::vector<std::uint16_t> heads) const {
    if (ahead != 0xffff && ahead < heads.size()) heads.resize(ahead);
    return heads;
  }

  /// What is no ring.
  Bytes memory() const {
    Bytes bytes;
    for (const std::uint64_t at : {buffers_at, border, tables_at, tables_border})
      bytes.insert(bytes.end(), guest_.at(at), guest_.at(at) + 0x100);
    return bytes;
  }
  static Bytes written_over(Bytes bytes, const test::ModelResult& expected) {
    for (const auto& [address, byte] : expected.memory)
      bytes[address < tables_at ? address - buffers_at : 0x200 + (address - tables_at)] = byte;
    return bytes;
  }

  std::string describe(const std::vector<GuestDescriptor>& table, const std::vector<std::uint16_t>& heads) const {
    std::string text = to_guest_ ? "to the guest, start " : "from the guest, start ";
    text += std::to_string(start) + ", heads";
    for (const std::uint16_t head : heads) text += " " + std::to_string(head);
    for (const auto& one : table) {
      std::array<char, 96> line;
      std::snprintf(line.data(), line.size(), "; {%#llx, %#x, %#x, %u}", static_cast<unsigned long long>(one.address),
                    one.length, unsigned{one.flags}, unsigned{one.next});
      text += line.data();
    }
    return text;
  }

  const bool to_guest_;
  const virtqueue::RingKind kind_;
  const std::vector<FakeGuest::Region> regions_{
      {ring_at, 0x300}, {buffers_at, 0x100}, {border, 0x100}, {tables_at, 0x100}, {tables_border, 0x100}};
  FakeGuest guest_{regions_};
  const std::shared_ptr<const memory::GuestMemory> memory_ = guest_.map();
  std::uint64_t cases_ = 0;
};

}  // namespace vhostx::net
