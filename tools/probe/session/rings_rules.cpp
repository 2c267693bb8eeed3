// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/session/rings_rules.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "tools/probe/session/fd_facts.hpp"
#include "tools/probe/session/migration_rules.hpp"
#include "tools/probe/session/ring_kind.hpp"

namespace vhostx::tools::probe {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

constexpr const char* memory_section = "Multiple memory regions description";
constexpr const char* ring_section = "A vring address description";

bool overlap(std::uint64_t a, std::uint64_t a_bytes, std::uint64_t b, std::uint64_t b_bytes) noexcept {
  return a < b ? b - a < a_bytes : a - b < b_bytes;
}

void judge_region(const SessionState& state, const RegionView& added, Findings& findings) {
  const MemoryRegion& region = added.region;
  const auto where = fmt::format("region at guest address {:#x}", region.guest_address);
  if (region.size == 0) violation(findings, where + " has no bytes", memory_section);
  const std::uint64_t last = region.size - 1;
  if (region.size != 0 && (region.guest_address + last < last || region.front_end_address + last < last ||
                           region.mmap_offset + last < last))
    violation(findings, where + " goes beyond the last address", memory_section);
  else if (added.file.bytes != 0 && region.mmap_offset + region.size > added.file.bytes)
    violation(findings,
              fmt::format("{} ends {} bytes past the end of its file, which has {}", where,
                          region.mmap_offset + region.size - added.file.bytes, added.file.bytes),
              memory_section);
  if (!added.file.kind.empty() && added.file.page_bytes == 0)
    remark(findings, fmt::format("{} lies in a {}, expected shared memory", where, text_of(added.file)),
           memory_section);
  if (has_guest_addresses(state) && region.front_end_address != region.guest_address)
    violation(findings,
              fmt::format("{} has the user address {:#x}, expected the same with GPA_ADDRESSES", where,
                          region.front_end_address),
              "Memory region description");
  const auto other = std::find_if(state.regions.begin(), state.regions.end(), [&region](const RegionView& view) {
    return overlap(region.guest_address, region.size, view.region.guest_address, view.region.size);
  });
  if (other != state.regions.end())
    violation(findings, fmt::format("{} overlaps the one at {:#x}", where, other->region.guest_address),
              memory_section);
}

bool same_place(const SessionState& state, const MemoryRegion& a, const MemoryRegion& b) noexcept {
  return a.guest_address == b.guest_address && a.size == b.size &&
         (has_guest_addresses(state) || a.front_end_address == b.front_end_address);
}

// QEMU adds its regions once for each queue pair.
bool is_there(const SessionState& state, const RegionView& added) {
  return std::any_of(state.regions.begin(), state.regions.end(), [&](const RegionView& view) {
    return same_place(state, view.region, added.region) && view.file.inode == added.file.inode &&
           view.file.device == added.file.device;
  });
}

void add_region(SessionState& state, const MemoryRegion& region, const Event& event, std::uint64_t number,
                std::size_t fd, Findings& findings) {
  RegionView added{region, fd < event.fds.size() ? event.fds[fd] : FdFacts{}, number, fd};
  if (is_there(state, added))
    return remark(findings, fmt::format("the region at guest address {:#x} is there already", region.guest_address),
                  "VHOST_USER_ADD_MEM_REG");
  judge_region(state, added, findings);
  if (state.regions.size() < Session::regions_max) state.regions.push_back(std::move(added));
}

void set_table(SessionState& state, const Event& event, const Message& request, std::uint64_t number,
               Findings& findings) {
  const auto table = request.payload_padded_as<MemoryTablePayload>();
  state.regions.clear();
  const std::size_t count = std::min<std::size_t>(table.header.count, table.regions.size());
  for (std::size_t i = 0; i < count; ++i) add_region(state, table.regions[i], event, number, i, findings);
}

// "The region is identified by guest address, user address and size"; the offset does not count.
void remove_region(SessionState& state, const MemoryRegion& region, Findings& findings) {
  const auto at = std::find_if(state.regions.begin(), state.regions.end(),
                               [&](const RegionView& view) { return same_place(state, view.region, region); });
  if (at != state.regions.end())
    state.regions.erase(at);
  else
    violation(findings,
              fmt::format("no region at guest address {:#x} of {} bytes is there", region.guest_address, region.size),
              "VHOST_USER_REM_MEM_REG");
}

RingView* ring_at(SessionState& state, std::uint32_t index) {
  const auto at = state.rings.find(index);
  if (at != state.rings.end()) return &at->second;
  if (state.rings.size() >= Session::rings_max) return nullptr;
  RingView& ring = state.rings[index];
  ring.enabled = state.features && !state.features->has(VirtioFeature::vhost_user_protocol_features);
  return &ring;
}

void judge_size(std::uint32_t index, std::uint32_t size, const SessionState& state, Findings& findings) {
  const bool packed = is_packed(state);
  if (size != 0 && size <= 32768 && (packed || (size & (size - 1)) == 0)) return;
  violation(findings,
            fmt::format("vring {} of {} descriptors, expected {} up to 32768", index, size,
                        packed ? "a number" : "a power of two"),
            packed ? "VIRTIO 1.2, 2.8" : "VIRTIO 1.2, 2.7");
}

void judge_area(const SessionState& state, const char* what, std::uint64_t address, std::uint64_t bytes,
                std::uint64_t alignment, Findings& findings) {
  if (address % alignment != 0)
    violation(findings, fmt::format("{} at {:#x}, expected a multiple of {}", what, address, alignment),
              is_packed(state) ? "VIRTIO 1.2, 2.8.10" : "VIRTIO 1.2, 2.7");
  if (!state.regions.empty() && find_region(state, address, bytes) == nullptr)
    violation(findings, fmt::format("{} at {:#x}, {} bytes, lies in no region", what, address, bytes), ring_section);
}

void judge_addresses(const SessionState& state, const RingView& ring, Findings& findings) {
  const VringAddress& at = *ring.addresses;
  if (state.features && state.features->has(VirtioFeature::iommu_platform)) return;  // I/O addresses: not in regions
  const auto kinds = area_kinds(is_packed(state), ring.size.value_or(1));
  const std::array<std::uint64_t, 3> addresses{at.descriptor, at.available, at.used};
  for (std::size_t i = 0; i < kinds.size(); ++i)
    judge_area(state, kinds[i].name, addresses[i], kinds[i].bytes, kinds[i].alignment, findings);
}

void judge_notifier(const Event& event, const Message& request, Findings& findings) {
  if (event.fds.empty() || event.fds.front().kind == "eventfd" || event.fds.front().kind.empty()) return;
  remark(findings,
         fmt::format("{} brings a {}, expected an eventfd",
                     request_name(Incoming::front_end_requests, request.request()), event.fds.front().kind),
         "VHOST_USER_SET_VRING_KICK");
}

void set_notifier(RingView& ring, const Event& event, const Message& request, Findings& findings) {
  const bool given = (request.payload_padded_as<U64>().value & vring_no_fd) == 0;
  judge_notifier(event, request, findings);
  switch (request.front_end_request()) {
    case Request::set_vring_kick:
      ring.kick = given;
      ring.kick_given = true;
      ring.stopped = false;
      return;
    case Request::set_vring_call:
      ring.call = given;
      return;
    default:
      ring.err = given;
  }
}

const MemoryRegion* next_to(const SessionState& state, const MemoryRegion& region) noexcept {
  const auto next = std::find_if(state.regions.begin(), state.regions.end(), [&region](const RegionView& view) {
    return view.region.size != 0 && view.region.guest_address - region.guest_address == region.size &&
           view.region.front_end_address - region.front_end_address == region.size;
  });
  return next != state.regions.end() ? &next->region : nullptr;
}

// Whether so many bytes behind the region lie in ones that continue it: a virtio-mem device has many, and a ring may
// lie over their borders. Over some: regions of a byte each are as many as a front-end likes.
bool goes_on(const SessionState& state, const MemoryRegion& region, std::uint64_t bytes) noexcept {
  constexpr int borders_max = 16;
  const MemoryRegion* next = next_to(state, region);
  for (int i = 1; i < borders_max && next != nullptr && bytes > next->size; ++i) {
    bytes -= next->size;
    next = next_to(state, *next);
  }
  return next != nullptr && bytes <= next->size;
}

}  // namespace

bool has_guest_addresses(const SessionState& state) noexcept {
  return state.protocol_features && state.protocol_features->has(ProtocolFeature::gpa_addresses);
}

const RegionView* find_region(const SessionState& state, std::uint64_t address, std::uint64_t bytes) noexcept {
  for (const RegionView& view : state.regions) {
    const std::uint64_t begin = has_guest_addresses(state) ? view.region.guest_address : view.region.front_end_address;
    if (address < begin || address - begin >= view.region.size) continue;
    const std::uint64_t here = view.region.size - (address - begin);
    return bytes <= here || goes_on(state, view.region, bytes - here) ? &view : nullptr;
  }
  return nullptr;
}

void set_ring_facts(const SessionState& state, const Message& request, FactSet& facts) {
  facts.set(Fact::backend_socket, state.back_end_channel);
  const auto index = vring_index(Incoming::front_end_requests, request);
  const auto at = index ? state.rings.find(*index) : state.rings.end();
  if (at == state.rings.end()) return;
  facts.set(Fact::ring_configured, at->second.size && at->second.addresses);
  facts.set(Fact::ring_started, !at->second.stopped);
}

bool take_memory_request(SessionState& state, const Event& event, const Message& request, std::uint64_t number,
                         Findings& findings) {
  switch (request.front_end_request()) {
    case Request::set_mem_table:
      set_table(state, event, request, number, findings);
      return true;
    case Request::add_mem_reg:
      add_region(state, request.payload_padded_as<SingleMemoryRegion>().region, event, number, 0, findings);
      return true;
    case Request::rem_mem_reg:
      remove_region(state, request.payload_padded_as<SingleMemoryRegion>().region, findings);
      return true;
    default:
      return false;
  }
}

void take_ring_request(SessionState& state, const Event& event, const Message& request, Findings& findings) {
  const auto index = vring_index(Incoming::front_end_requests, request);
  RingView* const ring = index ? ring_at(state, *index) : nullptr;
  if (ring == nullptr) return;
  const auto number = request.payload_padded_as<VringState>().num;
  switch (request.front_end_request()) {
    case Request::set_vring_num:
      judge_size(*index, number, state, findings);
      ring->size = number;
      return;
    case Request::set_vring_base:
      ring->base = number;
      return judge_base(state, *index, *ring, findings);
    case Request::set_vring_enable:
      ring->enabled = number != 0;
      return;
    case Request::set_vring_addr:
      ring->addresses = request.payload_padded_as<VringAddress>();
      judge_addresses(state, *ring, findings);
      return judge_ring_log(state, *index, *ring, findings);
    case Request::set_vring_kick:
      judge_start_without_log(state, *index, *ring, findings);
      [[fallthrough]];
    case Request::set_vring_call:
    case Request::set_vring_err:
      return set_notifier(*ring, event, request, findings);
    default:
      return;
  }
}

void take_base(SessionState& state, const Message& request, const Message& reply, Findings& findings) {
  const auto asked = request.payload_padded_as<VringState>();
  const auto answered = reply.payload_padded_as<VringState>();
  if (asked.index != answered.index)
    violation(findings,
              fmt::format("the base of vring {} was asked for, that of {} answered", asked.index, answered.index),
              "VHOST_USER_GET_VRING_BASE");
  RingView* const ring = ring_at(state, asked.index);
  if (ring == nullptr) return;
  ring->base = answered.num;
  judge_base(state, asked.index, *ring, findings);
  ring->stopped = true;
  ring->kick = ring->kick_given = ring->call = false;
}

}  // namespace vhostx::tools::probe
