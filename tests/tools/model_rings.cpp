// SPDX-License-Identifier: BSD-3-Clause
#include "model_rings.hpp"

#include <algorithm>
#include <cstring>
#include <poll.h>
#include <utility>

#include <sys/mman.h>
#include <sys/stat.h>

#include "virtqueue/packed_ring.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::test {

using protocol::MemoryRegion;
using virtqueue::AvailRing;
using virtqueue::Descriptor;
using virtqueue::PackedEvent;
using virtqueue::PackedPosition;
using virtqueue::PackedTable;
using virtqueue::UsedRing;

namespace {

constexpr std::uint32_t net_header_bytes = 12;

bool within(std::uint64_t begin, std::uint64_t size, std::uint64_t address, std::uint64_t bytes) noexcept {
  return address >= begin && bytes <= size && address - begin <= size - bytes;
}

bool meet(std::uint64_t a, std::uint64_t a_bytes, std::uint64_t b, std::uint64_t b_bytes) noexcept {
  return a < b + b_bytes && b < a + a_bytes;
}

bool readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  return ::poll(&watched, 1, 0) == 1;
}

}  // namespace

bool ModelMemory::overlaps(const MemoryRegion& region) const noexcept {
  return std::any_of(regions_.begin(), regions_.end(), [&](const Region& one) {
    return meet(one.is.guest_address, one.is.size, region.guest_address, region.size) ||
           meet(one.is.front_end_address, one.is.size, region.front_end_address, region.size);
  });
}

bool ModelMemory::add(const MemoryRegion& region, UniqueFd fd) {
  struct stat file {};
  if (::fstat(fd.get(), &file) != 0 || !S_ISREG(file.st_mode) || region.size == 0) return false;
  if (region.guest_address + region.size < region.size || region.mmap_offset + region.size < region.size) return false;
  if (region.mmap_offset + region.size > static_cast<std::uint64_t>(file.st_size)) return false;
  if (fault_ == Fault::wants_own_addresses && region.front_end_address == region.guest_address) return false;
  if (fault_ != Fault::takes_overlap && overlaps(region)) return false;
  const auto offset = fault_ == Fault::ignores_mmap_offset ? 0 : region.mmap_offset;
  void* view = ::mmap(nullptr, region.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), static_cast<off_t>(offset));
  if (view == MAP_FAILED) return false;
  regions_.push_back({region, static_cast<std::uint8_t*>(view), region.size, std::move(fd)});
  if (fault_ == Fault::leaks_descriptors) static_cast<void>(::dup(regions_.back().fd.get()));
  return true;
}

bool ModelMemory::remove(const MemoryRegion& region) {
  const auto found = std::find_if(regions_.begin(), regions_.end(), [&](const Region& one) {
    const bool same = one.is.guest_address == region.guest_address && one.is.size == region.size &&
                      one.is.front_end_address == region.front_end_address;
    return same && (fault_ != Fault::compares_offset || one.is.mmap_offset == region.mmap_offset);
  });
  if (found == regions_.end()) return false;
  ::munmap(found->view, found->view_bytes);
  regions_.erase(found);
  return true;
}

void ModelMemory::clear() {
  for (const Region& region : regions_) ::munmap(region.view, region.view_bytes);
  regions_.clear();
}

std::uint8_t* ModelMemory::guest(std::uint64_t address, std::uint64_t bytes) const noexcept {
  for (const Region& one : regions_)
    if (within(one.is.guest_address, one.is.size, address, bytes)) return one.view + (address - one.is.guest_address);
  return nullptr;
}

std::uint64_t ModelMemory::guest_address(std::uint64_t front_end) const noexcept {
  for (const Region& one : regions_)
    if (within(one.is.front_end_address, one.is.size, front_end, 1))
      return one.is.guest_address + (front_end - one.is.front_end_address);
  return 0;
}

std::uint8_t* ModelMemory::front_end(std::uint64_t address, std::uint64_t bytes) const noexcept {
  for (const Region& one : regions_)
    if (within(one.is.front_end_address, one.is.size, address, bytes))
      return one.view + (address - one.is.front_end_address);
  return nullptr;
}

ModelLog::~ModelLog() {
  clear(now_);
  clear(before_);
}

bool ModelLog::set(const protocol::LogBase& base, const UniqueFd& fd) {
  if (fault_ == Fault::keeps_first_log && now_.bits != nullptr) return true;
  struct stat file {};
  const bool good = ::fstat(fd.get(), &file) == 0 && S_ISREG(file.st_mode) && base.mmap_size != 0 &&
                    base.mmap_offset <= static_cast<std::uint64_t>(file.st_size) &&
                    base.mmap_size <= static_cast<std::uint64_t>(file.st_size) - base.mmap_offset;
  if (!good) return false;
  const auto offset = fault_ == Fault::ignores_log_offset ? 0 : static_cast<off_t>(base.mmap_offset);
  void* view = ::mmap(nullptr, base.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), offset);
  if (view == MAP_FAILED) return false;
  clear(before_);
  before_ = std::exchange(now_, {static_cast<std::uint8_t*>(view), base.mmap_size});
  return true;
}

void ModelLog::clear(View& view) {
  if (view.bits != nullptr) ::munmap(view.bits, view.bytes);
  view = {};
}

void ModelLog::mark(std::uint64_t guest, std::uint64_t bytes) noexcept {
  if (bytes == 0 || fault_ == Fault::logs_nothing) return;
  if (fault_ == Fault::logs_first_pages) bytes = 1;
  mark(now_, guest, bytes);
  if (fault_ == Fault::logs_in_both) mark(before_, guest, bytes);
}

void ModelLog::mark(const View& view, std::uint64_t guest, std::uint64_t bytes) noexcept {
  for (std::uint64_t page = guest / 4096; page <= (guest + bytes - 1) / 4096 && page / 8 < view.bytes; ++page)
    __atomic_fetch_or(view.bits + page / 8, static_cast<std::uint8_t>(1U << page % 8), __ATOMIC_RELEASE);
}

void ModelRings::start_if_due(ModelRing& ring) {
  if (ring.started || !ring.armed || ring.size == 0 || !pointers(ring)) return;
  const bool polled = !ring.kick;
  if (polled && fault_ == Fault::needs_kick_descriptor) return;
  const bool kicked = !polled && fault_ != Fault::ignores_kicks && readable(ring.kick.get());
  if (polled || fault_ == Fault::starts_unkicked || kicked) ring.started = true;
  if (ring.started && fault_ == Fault::restarts_at_0) ring.base = packed ? PackedPosition{}.value : std::uint16_t{0};
}

std::optional<ModelRings::Pointers> ModelRings::pointers(const ModelRing& ring) const {
  if (!ring.at || ring.at->descriptor % 16 != 0 || (packed && (ring.at->available | ring.at->used) % 4 != 0))
    return std::nullopt;
  const std::uint64_t avail_bytes = packed ? PackedEvent::bytes : AvailRing::extent(ring.size, false);
  const std::uint64_t used_bytes = packed ? PackedEvent::bytes : UsedRing::extent(ring.size, false);
  const Pointers found{memory.front_end(ring.at->descriptor, ring.size * sizeof(Descriptor)),
                       memory.front_end(ring.at->available, avail_bytes), memory.front_end(ring.at->used, used_bytes)};
  if (found.descriptors == nullptr || found.avail == nullptr || found.used == nullptr) return std::nullopt;
  return found;
}

std::optional<ModelRings::Chain> ModelRings::next(ModelRing& ring) {
  if (!pointers(ring) || ring.broken) return std::nullopt;
  auto chain = packed ? next_packed(ring) : next_split(ring);
  if (ring.broken) return std::nullopt;
  return chain;
}

bool ModelRings::add_piece(Chain& chain, std::uint64_t address, std::uint32_t bytes, std::uint16_t flags) const {
  std::uint8_t* const host = memory.guest(address, bytes);
  if (host == nullptr || (flags & Descriptor::indirect_flag) != 0) return false;
  chain.pieces.push_back({address, host, bytes});
  return true;
}

std::optional<ModelRings::Chain> ModelRings::next_split(ModelRing& ring) {
  const auto at = pointers(ring);
  const AvailRing avail(at->avail, ring.size);
  const auto waiting = static_cast<std::uint16_t>(avail.index_acquire() - ring.base);
  if (waiting == 0) return std::nullopt;
  Chain chain{.id = avail.entry(ring.base % ring.size)};
  std::uint16_t next = chain.id;
  for (std::uint32_t steps = 0; waiting <= ring.size && steps < ring.size && next < ring.size; ++steps) {
    const Descriptor one = virtqueue::load_descriptor(at->descriptors + next * sizeof(Descriptor)).unpack();
    if (!add_piece(chain, one.address, one.length, one.flags)) break;
    if ((one.flags & Descriptor::next_flag) == 0) return chain;
    next = one.next;
  }
  ring.broken = true;
  return chain;
}

std::optional<ModelRings::Chain> ModelRings::next_packed(ModelRing& ring) {
  const PackedTable table(pointers(ring)->descriptors);
  PackedPosition at{ring.base};
  if (at.index() >= ring.size || !at.is_available(table.flags_acquire(at.index()))) return std::nullopt;
  Chain chain;
  for (std::uint32_t steps = 1; steps <= ring.size; ++steps, at = at.after(1, ring.size)) {
    if (steps != 1 && at.index() == 0 && fault_ == Fault::breaks_chains_at_the_end) break;
    const auto one = table.load(at.index());
    if (!add_piece(chain, one.address, one.length(), one.flags())) break;
    chain.id = fault_ == Fault::returns_indices ? static_cast<std::uint16_t>(at.index()) : one.id();
    chain.entries = static_cast<std::uint16_t>(steps);
    if ((one.flags() & Descriptor::next_flag) == 0) return chain;
  }
  ring.broken = true;
  return chain;
}

bool ModelRings::logs_used_of(const ModelRing& ring) const noexcept {
  const bool asked = (ring.at->flags & protocol::vring_log) != 0 || fault_ == Fault::ignores_ring_log_flag;
  return (logs && asked) || fault_ == Fault::logs_unasked;
}

void ModelRings::give_back(ModelRing& ring, const Chain& chain, std::uint32_t written) {
  packed ? give_back_packed(ring, chain, written) : give_back_split(ring, chain, written);
  virtqueue::full_fence();
  const auto at = pointers(ring);
  const bool wanted = packed ? PackedEvent(at->avail).load().flags != PackedEvent::disable
                             : (AvailRing(at->avail, ring.size).flags() & AvailRing::no_interrupt_flag) == 0;
  if (fault_ == Fault::always_calls || (wanted && fault_ != Fault::never_calls)) signal(ring);
}

void ModelRings::give_back_split(ModelRing& ring, const Chain& chain, std::uint32_t written) {
  UsedRing used(pointers(ring)->used, ring.size);
  used.set_entry(virtqueue::NoMarks(), ring.base % ring.size, chain.id, written);
  ++ring.base;
  if (fault_ == Fault::uses_twice && ring.base == 2)
    used.set_entry(virtqueue::NoMarks(), ring.base++ % ring.size, chain.id, written);
  if (fault_ == Fault::stops_at_wrap && ring.base == 0) ring.broken = true;
  if (logs_used_of(ring)) log.mark(ring.at->log, UsedRing::extent(ring.size, false));
  used.set_index_release(virtqueue::NoMarks(), ring.base);
}

void ModelRings::give_back_packed(ModelRing& ring, const Chain& chain, std::uint32_t written) {
  PackedTable table(pointers(ring)->descriptors);
  const PackedPosition at{ring.base};
  ring.base = at.after(chain.entries, ring.size).value;
  if (fault_ == Fault::stops_at_wrap && PackedPosition{ring.base}.wrap() != at.wrap()) ring.broken = true;
  if (logs_used_of(ring)) log.mark(memory.guest_address(ring.at->descriptor), ring.size * PackedTable::entry_bytes);
  const bool marked = fault_ == Fault::marks_all_as_written;
  table.set_used_release(at.index(), PackedTable::used(at, chain.id, marked ? 1 : written));
}

void ModelRings::signal(ModelRing& ring) {
  if (fault_ == Fault::signals_old_call && ring.old_call) ring.old_call.signal();
  if (ring.call) ring.call.signal();
}

void ModelRings::take_from_guest() {
  ModelRing& ring = rings[1];
  if (!ring.started && fault_ != Fault::runs_when_stopped) return;
  if (!ring.enabled && fault_ == Fault::keeps_disabled) return;
  while (const auto chain = next(ring)) {
    std::vector<std::uint8_t> packet;
    for (const Piece& piece : chain->pieces) packet.insert(packet.end(), piece.at, piece.at + piece.bytes);
    give_back(ring, *chain, fault_ == Fault::long_used_length ? 100 : 0);
    if (ring.enabled && packet.size() > net_header_bytes) deliver({packet.begin() + net_header_bytes, packet.end()});
  }
}

/// Into as many buffers as it takes, one each where they are not mergeable.
void ModelRings::deliver(std::vector<std::uint8_t> frame) {
  ModelRing& ring = rings[0];
  if (!ring.started || (!ring.enabled && fault_ != Fault::fills_disabled_receive)) return;
  if (fault_ == Fault::damages_frames) frame.back() ^= 1;
  std::vector<std::uint8_t> packet(net_header_bytes + frame.size());
  std::ranges::copy(frame, packet.begin() + net_header_bytes);
  std::uint8_t* number_at = nullptr;
  std::uint16_t buffers = 0;
  for (std::size_t done = 0; done < packet.size();) {
    const auto chain = next(ring);
    const auto pieces = chain ? chain->pieces : std::vector<Piece>();
    if (pieces.empty() || (!mergeable && pieces[0].bytes < packet.size())) return;
    const auto bytes = std::min<std::size_t>(pieces[0].bytes, packet.size() - done);
    std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(done), bytes, pieces[0].at);
    if (logs) log.mark(pieces[0].guest, bytes);
    if (number_at == nullptr) number_at = pieces[0].at + 10;
    buffers = static_cast<std::uint16_t>(mergeable ? (packet.size() + pieces[0].bytes - 1) / pieces[0].bytes
                                                   : 1);  // all buffers are equal here
    if (fault_ == Fault::num_buffers_0) buffers = 0;
    std::memcpy(number_at, &buffers, sizeof buffers);
    done += bytes;
    give_back(ring, *chain, static_cast<std::uint32_t>(bytes));
  }
}

void ModelRings::turn() {
  if (dead) return;
  for (ModelRing& ring : rings) start_if_due(ring);
  take_from_guest();
  for (ModelRing& ring : rings)
    if (ring.broken && ring.err && fault_ != Fault::silent_errors) std::exchange(ring.err, EventFd()).signal();
}

}  // namespace vhostx::test
