// SPDX-License-Identifier: BSD-3-Clause
// VhostEndpoint: the data path. The connection is in vhost_connect.cpp.
#include "tools/bench/vhost_endpoint.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/error.hpp"
#include "tools/bench/frame.hpp"

namespace vhostx::tools::bench {

using protocol::VirtioFeature;

namespace {
constexpr unsigned refused_max = 256;

/// Prefetches a cache line for writing. GCC's own prefetch for generic x86-64 fetches it for reading.
void prefetch_write(const void* line) noexcept {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(line)));
#else
  __builtin_prefetch(line, 1);
#endif
}

std::uint16_t buffers_of(const std::uint8_t* header) noexcept {
  std::uint16_t number;
  std::memcpy(&number, header + offsetof(VirtioNetHeader, num_buffers), sizeof number);
  return number;
}

}  // namespace

void VhostEndpoint::reclaim(Queue& queue) noexcept {
  const unsigned waiting = queue.transmit.used_waiting();
  if (waiting == 0) return;
  const std::size_t mask = queue.free_chains.size() - 1;
  std::uint16_t* const chains = queue.free_chains.data();
  std::uint64_t tail = queue.free_tail;
  queue.transmit.take(waiting, [&](std::uint16_t chain) { chains[tail++ & mask] = chain; });
  queue.taken += tail - queue.free_tail;
  queue.free_tail = tail;
}

unsigned VhostEndpoint::reserve(unsigned index, std::span<SendSlot> slots) noexcept {
  Queue& queue = *queues_[index];
  // Once for each burst: reading used->idx costs a cache line that the back-end has just written.
  if (queue.free_tail - queue.free_head < slots.size()) reclaim(queue);
  const std::size_t mask = queue.free_chains.size() - 1;
  const auto count = static_cast<unsigned>(std::min<std::uint64_t>(slots.size(), queue.free_tail - queue.free_head));
  // Sending a few at a time costs both sides more than waiting for more. If the back-end keeps the others, it gets
  // these.
  const bool few = count < slots.size() && count < queue.slots.size() / 8;
  if (few && queue.refused < refused_max) {
    ++queue.refused;
    return 0;
  }
  queue.refused = 0;
  for (unsigned i = 0; i < count; ++i) slots[i] = queue.slots[queue.free_chains[(queue.free_head + i) & mask]];
  return count;
}

unsigned VhostEndpoint::send(unsigned index, unsigned count, std::uint32_t frame_bytes) noexcept {
  Queue& queue = *queues_[index];
  const std::size_t mask = queue.free_chains.size() - 1;
  const std::uint16_t* const chains = queue.free_chains.data();
  const std::uint64_t first = queue.free_head;
  queue.transmit.post_burst(count, net_header_bytes_ + frame_bytes,
                            [=](unsigned i) { return chains[(first + i) & mask]; });
  queue.free_head += count;
  queue.transmit.publish();
  fetch_to_write(queue, count);
  return count;
}

/// Prefetches the cache lines that the next burst writes.
void VhostEndpoint::fetch_to_write(const Queue& queue, unsigned count) noexcept {
  const std::size_t mask = queue.free_chains.size() - 1;
  const std::uint64_t end = std::min(queue.free_tail, queue.free_head + count);
  for (std::uint64_t i = queue.free_head; i < end; ++i) prefetch_write(queue.slots[queue.free_chains[i & mask]].frame);
}

std::uint64_t VhostEndpoint::taken(unsigned index) noexcept {
  reclaim(*queues_[index]);
  return queues_[index]->taken;
}

unsigned VhostEndpoint::receive(unsigned index, std::span<ReceivedFrame> frames) noexcept {
  Queue& queue = *queues_[index];
  const unsigned waiting = queue.receive.used_waiting(queue.incomplete ? SIZE_MAX : frames.size());
  if (waiting == 0) return 0;
  fetch_to_read(queue, waiting, frames.size());
  unsigned count = 0;
  unsigned at = 0;
  queue.scratch_used = 0;
  while (count < frames.size() && at < waiting) {
    unsigned buffers = 1;
    if (!single(queue.receive, at, frames[count])) [[unlikely]]
      buffers = gather(queue, at, waiting, frames[count]);
    queue.incomplete = buffers == 0;
    if (queue.incomplete) break;
    at += buffers;
    if (frames[count].bytes != nullptr) ++count;
  }
  std::uint16_t* holding = queue.holding.data();
  queue.receive.take(at, [&](std::uint16_t chain) { *holding++ = chain; });
  queue.held = static_cast<std::uint16_t>(holding - queue.holding.data());
  queue.fetched = static_cast<std::uint16_t>(queue.fetched > at ? queue.fetched - at : 0);
  return count;
}

/// Prefetches the buffers of this burst, and of the next one if the back-end has used them already.
void VhostEndpoint::fetch_to_read(Queue& queue, unsigned waiting, std::size_t burst) const noexcept {
  const DriverRing& ring = queue.receive;
  const auto ahead = static_cast<std::uint16_t>(std::min<std::size_t>(waiting, 2 * burst));
  for (; queue.fetched < ahead; ++queue.fetched) {
    const std::uint16_t chain = ring.peek(queue.fetched).chain;
    if (chain >= ring.chain_count()) continue;
    const std::uint8_t* const buffer = ring.buffer(chain);
    __builtin_prefetch(buffer);
    __builtin_prefetch(buffer + net_header_bytes_);
  }
}

bool VhostEndpoint::single(const DriverRing& ring, unsigned at, ReceivedFrame& frame) const noexcept {
  const DriverRing::Used used = ring.peek(static_cast<std::uint16_t>(at));
  if (!ring.is_out(used.chain) || used.length < net_header_bytes_ || used.length > ring.options().buffer_bytes)
    return false;
  const std::uint8_t* const buffer = ring.buffer(used.chain);
  frame = {buffer + net_header_bytes_, used.length - net_header_bytes_};
  return !mergeable_ || buffers_of(buffer) == 1;
}

unsigned VhostEndpoint::gather(Queue& queue, unsigned at, unsigned waiting, ReceivedFrame& frame) noexcept {
  frame = {};
  const DriverRing& ring = queue.receive;
  const DriverRing::Used first = ring.peek(static_cast<std::uint16_t>(at));
  if (!ring.is_out(first.chain)) return 1;  // take() counts it
  const std::uint8_t* const start = ring.buffer(first.chain);
  std::uint32_t buffers = 1;
  if (mergeable_) buffers = buffers_of(start);
  const std::uint32_t room = ring.options().buffer_bytes;
  if (buffers == 0 || buffers > ring.chain_count() || first.length < net_header_bytes_ || first.length > room) {
    ++queue.malformed;
    return 1;
  }
  if (at + buffers > waiting) return 0;
  std::uint32_t length = first.length;
  bool side_by_side = true;
  std::uint16_t before = first.chain;
  for (unsigned i = 1; i < buffers; ++i) {
    const DriverRing::Used next = ring.peek(static_cast<std::uint16_t>(at + i));
    if (!ring.is_out(next.chain) || next.length > room) {
      ++queue.malformed;
      return buffers;
    }
    side_by_side = side_by_side && ring.buffer(next.chain) ==
                                       ring.buffer(before) + ring.peek(static_cast<std::uint16_t>(at + i - 1)).length;
    before = next.chain;
    length += next.length;
  }
  const std::uint8_t* const whole = side_by_side ? start : linearize(queue, at, buffers, length);
  if (whole == nullptr) return 0;
  frame = {whole + net_header_bytes_, length - net_header_bytes_};
  return buffers;
}

/// Null: no room in the scratch memory before release().
const std::uint8_t* VhostEndpoint::linearize(Queue& queue, unsigned at, unsigned count, std::uint32_t length) noexcept {
  if (queue.scratch_used + length > queue.scratch.size()) {
    if (queue.scratch_used != 0) return nullptr;
    ++queue.malformed;  // longer than any packet: only its begin is checked
    return queue.receive.buffer(queue.receive.peek(static_cast<std::uint16_t>(at)).chain);
  }
  std::uint8_t* const whole = queue.scratch.data() + queue.scratch_used;
  for (unsigned i = 0; i < count; ++i) {
    const DriverRing::Used part = queue.receive.peek(static_cast<std::uint16_t>(at + i));
    std::memcpy(queue.scratch.data() + queue.scratch_used, queue.receive.buffer(part.chain), part.length);
    queue.scratch_used += part.length;
  }
  return whole;
}

void VhostEndpoint::release(unsigned index) noexcept {
  Queue& queue = *queues_[index];
  const std::uint32_t room = queue.receive.options().buffer_bytes;
  const std::uint16_t* const chains = queue.holding.data();
  queue.receive.post_burst(queue.held, room, [chains](unsigned i) { return chains[i]; });
  queue.held = 0;
  queue.receive.publish();
}

void VhostEndpoint::notify() noexcept {
  for (const auto& queue : queues_) {
    queue->receive.notify();
    queue->transmit.notify();
  }
}

std::uint32_t VhostEndpoint::capacity(std::uint32_t frame_bytes) const noexcept {
  const DriverRing& ring = queues_.front()->receive;
  const std::uint32_t room = ring.options().buffer_bytes;
  return ring.chain_count() / ((frame_bytes + net_header_bytes_ + room - 1) / room);
}

std::vector<int> VhostEndpoint::wait_fds() const {
  std::vector<int> fds;
  for (const auto& queue : queues_) {
    fds.push_back(queue->receive.call_fd());
    fds.push_back(queue->transmit.call_fd());
  }
  return fds;
}

// Buffers that were sent are taken back with the next ones: only where all are out is it waited for them.
bool VhostEndpoint::arm(bool wanted) noexcept {
  bool waiting = false;
  for (const auto& queue : queues_) {
    queue->receive.drain_call();
    queue->transmit.drain_call();
    waiting |= queue->receive.want_calls(wanted);
    const bool is_full = queue->transmit.outstanding() == queue->transmit.chain_count();
    waiting |= queue->transmit.want_calls(wanted && is_full) && is_full;
  }
  return waiting;
}

Result<void> VhostEndpoint::health() {
  if (front_end_.peer_is_gone()) return make_error(ErrorCode::closed, "{}: the back-end closed the connection", name());
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    const Queue& queue = *queues_[i];
    for (const auto& fault : {queue.receive.fault(), queue.transmit.fault()})
      if (!fault.empty()) return make_error(ErrorCode::protocol_violation, "{}: queue pair {}: {}", name(), i, fault);
    if (queue.malformed != 0)
      return make_error(ErrorCode::protocol_violation,
                        "{}: queue pair {}: {} received packets with an impossible length or number of buffers", name(),
                        i, queue.malformed);
  }
  return {};
}

Result<void> VhostEndpoint::can_send(std::uint32_t, bool tso) const {
  if (tso && !features().has(VirtioFeature::net_host_tso4))
    return make_error(ErrorCode::unsupported, "{} does not offer VIRTIO_NET_F_HOST_TSO4", name());
  return {};
}

Result<void> VhostEndpoint::can_receive(std::uint32_t frame_bytes, bool tso) const {
  if (tso && !features().has(VirtioFeature::net_guest_tso4))
    return make_error(ErrorCode::unsupported, "{} does not offer VIRTIO_NET_F_GUEST_TSO4", name());
  if (capacity(frame_bytes) == 0)
    return make_error(ErrorCode::limit, "a ring of {} buffers of {} bytes does not hold a frame of {} bytes",
                      queues_.front()->receive.chain_count(), queues_.front()->receive.options().buffer_bytes,
                      frame_bytes);
  return {};
}

std::string VhostEndpoint::describe() const {
  const DriverRing& receive = queues_.front()->receive;
  return fmt::format(
      "{}: {} of guest memory in {} region{}, {}; {} queue pair{} of {}{}, receive buffers of {} bytes; {}", name(),
      fmt::format("{} MiB", memory_->bytes() >> 20), memory_->region_count(), memory_->region_count() == 1 ? "" : "s",
      memory_->huge_pages() ? "huge pages" : "ordinary pages (too few huge pages are free)", options_.queue_pairs,
      options_.queue_pairs == 1 ? "" : "s", options_.ring_size, options_.packed ? " (packed rings)" : "",
      receive.options().buffer_bytes, to_string(features()));
}

}  // namespace vhostx::tools::bench
