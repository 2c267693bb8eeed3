// SPDX-License-Identifier: BSD-3-Clause
#include "virtqueue/inflight_record.hpp"

#include <algorithm>
#include <vector>

#include "base/error.hpp"
#include "memory/load_once.hpp"
#include "virtqueue/ring_layout.hpp"
#include "virtqueue/vring_cursor.hpp"

namespace vhostx::virtqueue {
namespace {

using memory::load_once;

/// An entry as it was read: inflight in the lowest byte, next in the highest two.
struct Entry {
  std::uint64_t word;
  std::uint64_t counter;

  std::uint8_t in_flight() const noexcept { return static_cast<std::uint8_t>(word); }
  std::uint16_t next() const noexcept { return static_cast<std::uint16_t>(word >> (8 * inflight::next_at)); }
};

std::vector<Entry> copy_entries(const std::uint8_t* region, std::uint32_t count) {
  std::vector<Entry> entries(count);
  const std::uint8_t* at = region + inflight::header_bytes;
  for (Entry& entry : entries) {
    entry.word = load_once<std::uint64_t>(at);
    entry.counter = load_once<std::uint64_t>(at + inflight::counter_at);
    at += inflight::entry_bytes;
  }
  return entries;
}

/// Heads with an entry in flight. Error: protocol_violation (neither 0 nor 1, or no head of the ring).
Result<std::vector<std::uint16_t>> find_in_flight(const std::vector<Entry>& entries, std::uint32_t ring_size) {
  std::vector<std::uint16_t> heads;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].in_flight() == 0) continue;
    if (entries[i].in_flight() != 1)
      return protocol_violation("in-flight record: inflight of entry {} is {}, expected 0 or 1", i,
                                entries[i].in_flight());
    if (i >= ring_size)
      return protocol_violation("in-flight record: entry {} is in flight, the ring has {} entries", i, ring_size);
    heads.push_back(static_cast<std::uint16_t>(i));
  }
  return heads;
}

/// The first `count` heads of the list that begins at `head`.
Result<std::vector<std::uint16_t>> walk_batch(const std::vector<Entry>& entries, std::uint16_t head,
                                              std::uint16_t count) {
  std::vector<std::uint16_t> batch;
  std::vector<bool> seen(entries.size());
  for (; batch.size() < count; head = entries[head].next()) {
    if (head >= entries.size())
      return protocol_violation("in-flight record: the last batch has entry {}, expected 0 to {}", head,
                                entries.size() - 1);
    if (seen[head])
      return protocol_violation("in-flight record: the last batch of {} chains has entry {} twice", count, head);
    seen[head] = true;
    batch.push_back(head);
  }
  return batch;
}

}  // namespace

struct InflightRecord::Found {
  bool is_new = false;  // the rest is valid if not
  std::uint16_t last_batch_head = 0;
  std::uint64_t counter = 0;             // the highest
  std::vector<std::uint16_t> committed;  // in flight no more: their used entries were published
  std::vector<std::uint16_t> again;      // to be served again, in this order
};

// Each field is copied once, the copies are checked, and only the copies are used.
Result<InflightRecord::Found> InflightRecord::read(const RingLayout& layout) const {
  const auto field = [this](std::size_t at) { return load_once<std::uint16_t>(region_ + at); };
  const std::uint16_t version = field(inflight::version_at), desc_num = field(inflight::desc_num_at);
  const std::uint16_t used_idx = field(inflight::used_idx_at);
  Found found;
  found.last_batch_head = field(inflight::last_batch_head_at);
  found.is_new = version == 0;
  if (found.is_new) return found;
  if (version != inflight::version)
    return protocol_violation("in-flight record: version {}, expected {}", version, inflight::version);
  if (desc_num != area_->shape().queue_size)
    return protocol_violation("in-flight record: desc_num {}, expected {} as in SET_INFLIGHT_FD", desc_num,
                              area_->shape().queue_size);
  if (found.last_batch_head >= desc_num)
    return protocol_violation("in-flight record: last_batch_head {}, expected 0 to {}", found.last_batch_head,
                              desc_num - 1);

  const std::vector<Entry> entries = copy_entries(region_, desc_num);
  auto in_flight = find_in_flight(entries, layout.size);
  if (!in_flight) return std::move(in_flight).error();
  found.again = std::move(in_flight).value();
  if (found.again.empty()) return found;  // wherever its used_idx is: nothing was taken

  const auto behind = static_cast<std::uint16_t>(shown_ - used_idx);
  if (behind > desc_num)
    return protocol_violation(
        "in-flight record: used_idx {} does not fit the ring's used->idx {}, expected at most {} less", used_idx,
        shown_, desc_num);
  auto batch = walk_batch(entries, found.last_batch_head, behind);
  if (!batch) return std::move(batch).error();
  found.committed = std::move(batch).value();
  std::vector<bool> is_committed(entries.size());
  for (const std::uint16_t head : found.committed) is_committed[head] = true;
  std::erase_if(found.again, [&](std::uint16_t head) { return is_committed[head]; });

  const auto posted = static_cast<std::uint16_t>(layout.avail.index_acquire() - shown_);
  if (found.again.size() > posted)
    return protocol_violation("in-flight record: {} chains are in flight, the driver has made {} available",
                              found.again.size(), posted);
  std::stable_sort(found.again.begin(), found.again.end(), [&entries](std::uint16_t one, std::uint16_t other) {
    return entries[one].counter < entries[other].counter;
  });
  if (!found.again.empty()) found.counter = entries[found.again.back()].counter;
  return found;
}

// The version comes last: until then the next one begins anew, too.
void InflightRecord::initialise() noexcept {
  const auto nothing = [] {};
  for (std::uint16_t i = 0; i < area_->shape().queue_size; ++i)
    if (load_once<std::uint8_t>(entry(i) + inflight::in_flight_at) != 0)
      store(entry(i) + inflight::in_flight_at, std::uint8_t{0}, nothing);
  store(region_ + inflight::desc_num_at, area_->shape().queue_size, nothing);
  store(region_ + inflight::last_batch_head_at, std::uint16_t{0}, nothing);
  store(region_ + inflight::used_idx_at, shown_, nothing);
  store(region_ + inflight::version_at, inflight::version, nothing);
}

void InflightRecord::end() noexcept {
  store(region_ + inflight::version_at, std::uint16_t{0}, [] {});
}

void InflightRecord::adopt(const Found& found) noexcept {
  const auto nothing = [] {};
  for (const std::uint16_t head : found.committed)
    store(entry(head) + inflight::in_flight_at, std::uint8_t{0}, nothing);
  store(region_ + inflight::used_idx_at, shown_, nothing);
  last_batch_head_ = found.last_batch_head;
  counter_ = found.counter;
  again_left_ = static_cast<std::uint16_t>(found.again.size());
  take(shown_, found.again.data(), again_left_);
}

Result<std::shared_ptr<InflightRecord>> InflightRecord::open(std::shared_ptr<const InflightArea> area,
                                                             std::uint16_t queue, const RingLayout& layout,
                                                             const RingPosition& position) {
  if (layout.size > area->shape().queue_size)
    return protocol_violation("the ring has {} entries, its in-flight record {}: expected at most that many",
                              layout.size, area->shape().queue_size);
  std::shared_ptr<InflightRecord> record(new InflightRecord(std::move(area), queue, layout.size, position.used_next));
  auto found = record->read(layout);
  if (!found) return std::move(found).error();
  if (found->is_new)
    record->initialise();
  else
    record->adopt(*found);
  return record;
}

}  // namespace vhostx::virtqueue
