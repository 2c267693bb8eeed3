// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/packed_inflight_record.hpp"

#include <algorithm>
#include <bit>

#include "base/error.hpp"
#include "memory/load_once.hpp"

namespace vhostx::virtqueue {
namespace {

using memory::load_once;

constexpr auto unwatched = [] {};
constexpr std::uint16_t list_end = 0xffff;

/// An entry as it was read.
struct PackedEntry {
  std::uint64_t links;  // inflight in the lowest byte, then next, last and num, of 16 bits each
  std::uint64_t counter;
  std::uint64_t descriptor;
  std::uint64_t address;

  std::uint8_t in_flight() const noexcept { return static_cast<std::uint8_t>(links); }
  std::uint16_t next() const noexcept { return static_cast<std::uint16_t>(links >> 16); }
  std::uint16_t num() const noexcept { return static_cast<std::uint16_t>(links >> 48); }
};

std::vector<PackedEntry> copy_packed_entries(const std::uint8_t* at, std::uint32_t count) {
  std::vector<PackedEntry> entries(count);
  for (PackedEntry& entry : entries) {
    entry.links = load_once<std::uint64_t>(at);
    entry.counter = load_once<std::uint64_t>(at + packed_inflight::counter_at);
    entry.descriptor = load_once<std::uint64_t>(at + packed_inflight::descriptor_at);
    entry.address = load_once<std::uint64_t>(at + packed_inflight::address_at);
    at += packed_inflight::entry_bytes;
  }
  return entries;
}

/// Walks lists of entries, each of which may be in one of them only.
class EntryLists {
 public:
  explicit EntryLists(const std::vector<PackedEntry>& entries) : entries_(entries), seen_(entries.size()) {}

  bool has(std::size_t entry) const { return seen_[entry]; }

  /// `count` entries from `head` on, or all up to an index that is none. Error: protocol_violation.
  Result<std::vector<std::uint16_t>> walk(std::uint16_t head, std::optional<std::uint16_t> count, const char* list) {
    std::vector<std::uint16_t> found;
    for (; !count || found.size() < *count; head = entries_[head].next()) {
      if (head >= entries_.size()) {
        if (!count) break;
        return protocol_violation("in-flight record: {} has entry {}, expected 0 to {}", list, head,
                                  entries_.size() - 1);
      }
      if (seen_[head]) return protocol_violation("in-flight record: {} has entry {}, which is elsewhere", list, head);
      seen_[head] = true;
      found.push_back(head);
    }
    return found;
  }

 private:
  const std::vector<PackedEntry>& entries_;
  std::vector<bool> seen_;
};

Result<PackedPosition> place_of(std::uint64_t used, bool old, std::uint32_t ring_size) {
  const auto index = static_cast<std::uint16_t>(used >> (old ? 16 : 0));
  const auto wrap = static_cast<std::uint8_t>(used >> (old ? 40 : 32));
  if (index >= ring_size || wrap > 1)
    return protocol_violation("in-flight record: {}used_idx {} with wrap counter {}, expected 0 to {} with 0 or 1",
                              old ? "old_" : "", index, wrap, ring_size - 1);
  return PackedPosition{static_cast<std::uint16_t>(index | (wrap != 0 ? PackedPosition::wrap_bit : 0))};
}

}  // namespace

struct PackedInflightRecord::Found {
  bool is_new = false;  // the rest is valid if not
  PackedPosition used;
  std::vector<std::uint16_t> free;
  std::vector<std::uint16_t> done;  // on that list and marked in flight
  struct InFlight {
    std::uint64_t counter;
    std::vector<std::uint16_t> entries;
    std::vector<PackedDescriptor> descriptors;
  };
  std::vector<InFlight> again;
  std::vector<std::uint16_t> lost;  // in no list: who recorded them ended in the midst

  /// What is in flight was made available. A record without it that does not fit is of another ring. Error:
  /// protocol_violation.
  Result<void> check(const PackedLayout& layout) {
    std::size_t descriptors = 0;
    for (const InFlight& chain : again) {
      if (chain.entries.empty()) return protocol_violation("in-flight record: a chain in flight has no descriptors");
      descriptors += chain.entries.size();
    }
    const auto end = layout.find_driver();
    const std::uint32_t ahead = end ? end->since(used, layout.size) : layout.size;
    const std::uint32_t posted = ahead <= layout.size ? ahead : 0;
    is_new = again.empty() && ahead > layout.size;
    if (descriptors > posted)
      return protocol_violation("in-flight record: {} descriptors are in flight, the driver has made {} available",
                                descriptors, posted);
    return {};
  }
};
// Each field is copied once, the copies are checked, and only the copies are used.
Result<PackedInflightRecord::Found> PackedInflightRecord::read(const PackedLayout& layout) const {
  const auto field = [this](std::size_t at) { return load_once<std::uint16_t>(region_ + at); };
  const std::uint16_t version = field(inflight::version_at), desc_num = field(inflight::desc_num_at);
  Found found{.is_new = version == 0};
  if (found.is_new) return found;
  if (version != inflight::version)
    return protocol_violation("in-flight record: version {}, expected {}", version, inflight::version);
  if (desc_num != size_)
    return protocol_violation("in-flight record: desc_num {}, expected {} as in SET_INFLIGHT_FD", desc_num, size_);
  const auto lists = load_once<std::uint32_t>(region_ + packed_inflight::free_at);
  const auto used = load_once<std::uint64_t>(region_ + packed_inflight::used_at);
  const auto next = place_of(used, false, layout.size), old = place_of(used, true, layout.size);
  if (!next || !old) return next ? old.error() : next.error();
  found.is_new = layout.is_fresh() && *old != PackedPosition{};  // of another ring
  if (found.is_new) return found;
  const bool published = *next != *old && !layout.is_available(*old);
  found.used = published ? *next : *old;

  const std::vector<PackedEntry> entries = copy_packed_entries(entry(0), desc_num);
  EntryLists seen(entries);
  auto free = seen.walk(static_cast<std::uint16_t>(published ? lists : lists >> 16), {}, "the list of free entries");
  if (!free) return std::move(free).error();
  found.free = std::move(free).value();
  for (const std::uint16_t i : found.free)
    if (entries[i].in_flight() != 0) found.done.push_back(i);
  for (std::uint16_t i = 0; i < desc_num; ++i) {
    if (entries[i].in_flight() == 0 || seen.has(i)) continue;
    if (entries[i].in_flight() != 1)
      return protocol_violation("in-flight record: inflight of entry {} is {}, expected 0 or 1", i,
                                entries[i].in_flight());
    auto chain = seen.walk(i, entries[i].num(), "a chain in flight");
    if (!chain) return std::move(chain).error();
    found.again.push_back({entries[i].counter, std::move(chain).value(), {}});
    Found::InFlight& again = found.again.back();
    for (const std::uint16_t entry : again.entries)
      again.descriptors.push_back({{entries[entry].address, std::rotl(entries[entry].descriptor, 32)}});
  }
  for (std::uint16_t i = 0; i < desc_num; ++i)
    if (!seen.has(i)) found.lost.push_back(i);
  if (auto good = found.check(layout); !good) return std::move(good).error();
  std::stable_sort(found.again.begin(), found.again.end(),
                   [](const auto& one, const auto& other) { return one.counter < other.counter; });
  return found;
}

// Without a version at first, which comes last: until then the next one makes a new record, too.
void PackedInflightRecord::begin(const RingPosition& position) noexcept {
  end();
  for (std::uint16_t i = 0; i < size_; ++i) {
    next_[i] = i + 1U < size_ ? static_cast<std::uint16_t>(i + 1) : list_end;
    store(entry(i) + packed_inflight::next_at, next_[i], unwatched);
    store(entry(i) + packed_inflight::in_flight_at, std::uint8_t{0}, unwatched);
  }
  free_head_ = 0;
  free_ = size_;
  position_ = position;
  shown_ = used_ = {position.used_next};
  store(region_ + inflight::desc_num_at, size_, unwatched);
  store_free(free_head_, unwatched);
  store_used(used_, unwatched);
  store(region_ + inflight::version_at, inflight::version, unwatched);
}

void PackedInflightRecord::end() noexcept { store(region_ + inflight::version_at, std::uint16_t{0}, unwatched); }

void PackedInflightRecord::adopt(const Found& found, const PackedLayout& layout) noexcept {
  shown_ = used_ = found.used;
  position_ = {.avail_next = used_.value, .used_next = used_.value};
  const auto link = [this](const std::vector<std::uint16_t>& list, std::uint16_t end) {
    for (std::size_t i = 0; i < list.size(); ++i) next_[list[i]] = i + 1 < list.size() ? list[i + 1] : end;
  };
  link(found.free, list_end);
  free_head_ = found.free.empty() ? list_end : found.free.front();
  free_ = static_cast<std::uint32_t>(found.free.size());
  for (const std::uint16_t i : found.done) store(entry(i) + packed_inflight::in_flight_at, std::uint8_t{0}, unwatched);
  store_free(free_head_, unwatched);
  store_used(used_, unwatched);

  PackedTable table = layout.table;
  for (PackedPosition at = used_; const auto& chain : found.again)
    for (const PackedDescriptor& descriptor : chain.descriptors) {
      table.set_available(at, descriptor);
      at = at.after(1, layout.size);
    }

  const auto take_off = [this](std::uint16_t first, std::uint16_t last, std::size_t count) {
    chains_[first] = {last, static_cast<std::uint16_t>(count), 0};
    free(first, unwatched);
    store_free(free_head_, unwatched);
    store(entry(first) + packed_inflight::in_flight_at, std::uint8_t{0}, unwatched);
  };
  for (auto chain = found.again.rbegin(); chain != found.again.rend(); ++chain) {
    link(chain->entries, list_end);
    take_off(chain->entries.front(), chain->entries.back(), chain->entries.size());
  }
  for (const std::uint16_t i : found.lost) take_off(i, i, 1);
  left_ = static_cast<std::uint16_t>(found.again.size());
  if (left_ != 0) counter_ = found.again.back().counter;
}

Result<std::shared_ptr<PackedInflightRecord>> PackedInflightRecord::open(std::shared_ptr<const InflightArea> area,
                                                                         std::uint16_t queue,
                                                                         const PackedLayout& layout) {
  if (area->shape().kind != RingKind::packed)
    return protocol_violation("the in-flight record is of split rings, expected one of packed rings");
  if (layout.size > area->shape().queue_size)
    return protocol_violation("the ring has {} entries, its in-flight record {}: expected at most that many",
                              layout.size, area->shape().queue_size);
  std::shared_ptr<PackedInflightRecord> record(new PackedInflightRecord(std::move(area), queue));
  const auto found = record->read(layout);
  if (!found) return found.error();
  if (!found->is_new) record->adopt(*found, layout);
  return record;
}

}  // namespace vhostx::virtqueue
