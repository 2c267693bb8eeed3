// SPDX-License-Identifier: BSD-3-Clause
// MutatingGuest: a guest that rewrites each byte of its memory right after the data path has read it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "memory/load_hook.hpp"
#include "tests/support/fake_guest.hpp"

namespace vhostx::fuzz {

/// The same places three times. The data path works on `real`. After each load from it the bytes that were seen go into
/// `seen`, and their words change places with those in `hostile`. Whoever reads each byte once, or begins anew when he
/// reads it again, has done with `real` what he would do with `seen`, which stands still.
class MutatingGuest {
 public:
  explicit MutatingGuest(const std::vector<test::FakeGuest::Region>& regions)
      : real(regions), seen(regions), hostile(regions), real_memory(real.map()), seen_memory(seen.map()) {
    const auto& mapped = real_memory->regions();
    for (std::size_t i = 0; i < mapped.size(); ++i) {
      const std::uint64_t guest = mapped[i]->description().guest.value;
      const auto size = static_cast<std::size_t>(mapped[i]->description().size);
      places_.push_back({mapped[i]->host(), seen_memory->regions()[i]->host(), guest, size, real.at(guest),
                         seen.at(guest), hostile.at(guest)});
    }
    std::sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) { return a.mapped < b.mapped; });
  }
  MutatingGuest(const MutatingGuest&) = delete;
  MutatingGuest& operator=(const MutatingGuest&) = delete;
  ~MutatingGuest() { stop(); }

  void clear() {
    for (const Place& place : places_) {
      std::memset(place.real, 0, place.size);
      std::memset(place.hostile, 0, place.size);
    }
  }
  /// What was not read shall be the same in both.
  void synchronise() {
    for (const Place& place : places_) std::memcpy(place.seen, place.real, place.size);
  }

  /// From now on loads are followed by a change; bit i of `pattern` says whether load i modulo 64 is.
  void start(std::uint64_t pattern) {
    pattern_ = pattern;
    loads_ = 0;
    active() = this;
    memory::load_hook = [](const void* shared, std::size_t size) {
      active()->after_load(static_cast<const std::uint8_t*>(shared), size);
    };
  }
  void stop() { memory::load_hook = nullptr; }

  /// Where a byte of guest memory lies for the guest, whichever of the two mappings `mapped` points into; 0: elsewhere.
  std::uint64_t guest_address(const void* mapped) const {
    const auto* at = static_cast<const std::uint8_t*>(mapped);
    for (const Place& place : places_)
      for (const std::uint8_t* begin : {place.mapped, place.seen_mapped})
        if (at >= begin && at < begin + place.size) return place.guest + static_cast<std::uint64_t>(at - begin);
    return 0;
  }

  test::FakeGuest real;
  test::FakeGuest seen;
  test::FakeGuest hostile;
  std::shared_ptr<const memory::GuestMemory> real_memory;
  std::shared_ptr<const memory::GuestMemory> seen_memory;

 private:
  struct Place {
    const std::uint8_t* mapped;  // as the library has it
    const std::uint8_t* seen_mapped;
    std::uint64_t guest;
    std::size_t size;
    std::uint8_t* real;  // as the guest has it
    std::uint8_t* seen;
    std::uint8_t* hostile;
  };

  // What is rewritten at once: an address is always of one of the two versions, whoever reads it byte by byte. A region
  // is a multiple of it.
  static constexpr std::size_t word_bytes = 8;

  static MutatingGuest*& active() {
    static MutatingGuest* only = nullptr;
    return only;
  }

  void after_load(const std::uint8_t* shared, std::size_t size) {
    const auto next = std::upper_bound(places_.begin(), places_.end(), shared,
                                       [](const std::uint8_t* at, const Place& place) { return at < place.mapped; });
    if (next == places_.begin()) return;
    const Place& place = *std::prev(next);
    const auto offset = static_cast<std::size_t>(shared - place.mapped);
    if (offset >= place.size) return;              // memory of our own
    if (size > place.size - offset) std::abort();  // a load over the end of a region
    std::memcpy(place.seen + offset, place.real + offset, size);
    if ((pattern_ >> (loads_++ % 64) & 1) == 0) return;
    const std::size_t begin = offset / word_bytes * word_bytes;
    const std::size_t end = (offset + size + word_bytes - 1) / word_bytes * word_bytes;
    std::swap_ranges(place.real + begin, place.real + end, place.hostile + begin);
  }

  std::vector<Place> places_;
  std::uint64_t pattern_ = 0;
  std::uint64_t loads_ = 0;
};

}  // namespace vhostx::fuzz
