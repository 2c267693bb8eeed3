// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/packed_driver.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace vhostx::hostile {

using virtqueue::Descriptor;

namespace {
constexpr std::uint16_t turning_flags = virtqueue::packed_avail_flag | virtqueue::packed_used_flag;
}

PackedDriver::PackedDriver(const tools::DriverRing& ring)
    : described_(ring.options().size),
      ring_(reinterpret_cast<Entry*>(ring.addresses(0).descriptor)),
      driver_(reinterpret_cast<Event*>(ring.addresses(0).available)),
      device_(reinterpret_cast<Event*>(ring.addresses(0).used)) {
  *driver_ = {};  // calls are wanted
}

std::uint32_t PackedDriver::entries_of(std::uint16_t head) const {
  std::uint32_t entries = 1;
  for (std::uint32_t i = head % size(); (described_[i].flags & Descriptor::next_flag) != 0 && entries < size();
       i = described_[i].next % size())
    ++entries;
  return entries;
}

void PackedDriver::show(std::uint16_t head) {
  const Out chain{head, entries_of(head), next_};
  write_chain(chain);
  out_.push_back(chain);
  out_entries_ += chain.entries;
  next_ = next_.after(chain.entries, size());
}

// The flags of the first come last.
void PackedDriver::write_chain(const Out& chain) {
  std::uint16_t first_flags = 0;
  std::uint32_t i = chain.head % size();
  for (std::uint32_t k = 0; k < chain.entries; ++k) {
    const Descriptor& from = described_[i];
    const Position at = chain.at.after(k, size());
    const auto flags = static_cast<std::uint16_t>((from.flags & ~turning_flags) | at.available());
    Entry& to = ring_[at.index()];
    to.address = from.address;
    to.length = from.length;
    to.id = chain.head;
    if (k == 0)
      first_flags = flags;
    else
      to.flags = flags;
    i = from.next % size();
  }
  __atomic_store_n(&ring_[chain.at.index()].flags, first_flags, __ATOMIC_RELEASE);
}

void PackedDriver::show_entry(Entry entry) {
  Entry& to = ring_[next_.index()];
  to.address = entry.address;
  to.length = entry.length;
  to.id = entry.id;
  __atomic_store_n(&to.flags, static_cast<std::uint16_t>((entry.flags & ~turning_flags) | next_.available()),
                   __ATOMIC_RELEASE);
  next_ = next_.after(1, size());
}

void PackedDriver::show_endless() {
  for (std::uint32_t i = size(); i-- > 0;) {
    const Position at = next_.after(i, size());
    __atomic_store_n(&ring_[at.index()].flags, static_cast<std::uint16_t>(at.available() | Descriptor::next_flag),
                     __ATOMIC_RELEASE);
  }
}

void PackedDriver::write_again() {
  for (const Out& chain : out_) write_chain(chain);
}

unsigned PackedDriver::used() {
  for (;;) {
    const Entry& entry = ring_[reaped_.index()];
    const std::uint16_t flags = __atomic_load_n(&entry.flags, __ATOMIC_ACQUIRE);
    if (out_.empty() || (flags & turning_flags) != reaped_.used()) return used_;
    const auto found = std::find_if(out_.begin(), out_.end(), [&](const Out& one) { return one.head == entry.id; });
    if (found == out_.end()) {
      fault_ = fmt::format("a used buffer (id {}) that was not posted", entry.id);
      return used_;
    }
    reaped_ = reaped_.after(found->entries, size());
    out_entries_ -= found->entries;
    out_.erase(found);
    ++used_;
  }
}

void PackedDriver::restart_at(Position place) {
  next_ = reaped_ = place;
  out_.clear();
  out_entries_ = 0;
  for (std::uint32_t i = 0; i < size(); ++i)  // as if all before had been used
    ring_[i].flags =
        Position{static_cast<std::uint16_t>(i < place.index() ? place.value : place.value ^ Position::wrap_bit)}.used();
}

}  // namespace vhostx::hostile
