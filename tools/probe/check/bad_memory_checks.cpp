// SPDX-License-Identifier: BSD-3-Clause
// Memory tables and slots that are wrong.
#include <cstring>

#include "tools/probe/check/bad_input.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

constexpr std::uint64_t elsewhere = std::uint64_t{1} << 40;
constexpr std::uint64_t page = 4096;

MemoryRegion region_at(std::uint64_t address, std::uint64_t bytes = page) { return {address, bytes, address, 0}; }

Message table_of(Guest& guest, std::vector<MemoryRegion> regions, std::size_t descriptors) {
  Message message = make_memory_table(regions);
  for (std::size_t i = 0; i < descriptors; ++i) message.add_fd(duplicate(guest.memory().fd(0)));
  return message;
}

Message overlap(Guest& guest) {
  return table_of(guest, {region_at(elsewhere, 2 * page), region_at(elsewhere + page, 2 * page)}, 2);
}
Message too_few_descriptors(Guest& guest) {
  return table_of(guest, {region_at(elsewhere), region_at(2 * elsewhere)}, 1);
}
Message too_many_descriptors(Guest& guest) { return table_of(guest, {region_at(elsewhere)}, 3); }
Message no_bytes(Guest& guest) { return table_of(guest, {region_at(elsewhere, 0)}, 1); }
Message around_the_end(Guest& guest) { return table_of(guest, {region_at(~std::uint64_t{0} - page + 1, 2 * page)}, 1); }
Message offset_around_the_end(Guest& guest) {
  MemoryRegion region = region_at(elsewhere);
  region.mmap_offset = ~std::uint64_t{0} - page + 1;
  return table_of(guest, {region}, 1);
}
Message larger_than_the_file(Guest& guest) {
  return table_of(guest, {region_at(elsewhere, std::uint64_t{1} << 36)}, 1);
}
Message not_a_file(Guest& guest) {
  Message message = make_memory_table(std::vector{region_at(elsewhere)});
  message.add_fd(duplicate(guest.ring(0).kick_fd()));
  return message;
}

/// A table whose count its length contradicts.
Message counted_wrong(Guest& guest, std::uint32_t count) {
  Message good = table_of(guest, {region_at(elsewhere)}, 1);
  std::vector<std::byte> payload(good.payload().begin(), good.payload().end());
  std::memcpy(payload.data(), &count, sizeof count);
  Message message = make_message(good.header(), payload);
  message.set_fds(good.take_fds());
  return message;
}
Message counts_9(Guest& guest) { return counted_wrong(guest, 9); }
Message counts_all(Guest& guest) { return counted_wrong(guest, 0xffffffff); }

GuestPlan slots() { return {.protocol = {ProtocolFeature::configure_mem_slots}}; }
Message add_slot(Guest& guest, const MemoryRegion& region) {
  Message message = make_request(Request::add_mem_reg, SingleMemoryRegion{0, region});
  message.add_fd(duplicate(guest.memory().fd(0)));
  return message;
}
Message slot_over_memory(Guest& guest) {
  MemoryRegion region = guest.memory().description(0);
  region.guest_address += page;
  region.front_end_address += page;
  return add_slot(guest, region);
}
Message slot_without_descriptor(Guest&) {
  return make_request(Request::add_mem_reg, SingleMemoryRegion{0, region_at(elsewhere)});
}
Message slot_unknown(Guest&) { return make_request(Request::rem_mem_reg, SingleMemoryRegion{0, region_at(elsewhere)}); }
Message slot_too_many(Guest& guest) {
  const auto most = need(guest.link().get_u64(Request::get_max_mem_slots), "GET_MAX_MEM_SLOTS");
  if (most > 4096) throw Decided{not_applicable("{} slots are more than can be tried", most)};
  for (std::uint64_t i = 1; i < most; ++i) guest.link().change(add_slot(guest, region_at(elsewhere + 2 * i * page)));
  return add_slot(guest, region_at(2 * elsewhere));
}

void add_tables(Checks& checks) {
  const auto add = [&](const char* id, const char* title, Owed owed, Message (*make)(Guest&)) {
    add_wrong_message(checks, {id, "Multiple memory regions description", title, owed, make});
  };
  add("regions-overlap", "regions that overlap", Owed::refusal, overlap);
  add("regions-without-descriptor", "two regions and one descriptor", Owed::refusal, too_few_descriptors);
  add("regions-descriptors-in-excess", "one region and three descriptors", Owed::refusal, too_many_descriptors);
  add("region-empty", "a region of 0 bytes", Owed::refusal, no_bytes);
  add("region-wraps", "a region that ends beyond 2^64", Owed::refusal, around_the_end);
  add("region-offset-wraps", "a region whose offset into its file ends beyond 2^64", Owed::refusal,
      offset_around_the_end);
  add("region-beyond-file", "a region that is larger than its file", Owed::survival, larger_than_the_file);
  add("region-is-event", "an eventfd in place of a memory file", Owed::refusal, not_a_file);
  add("regions-9", "a table that says to have 9 regions", Owed::refusal, counts_9);
  add("regions-4294967295", "a table that says to have 4294967295 regions", Owed::refusal, counts_all);
}

}  // namespace

void add_bad_memory_checks(Checks& checks) {
  add_tables(checks);
  const auto add = [&](const char* id, const char* title, Message (*make)(Guest&)) {
    add_wrong_message(checks, {id, "Single memory region description", title, Owed::refusal, make, slots()});
  };
  add("slot-over-memory", "a slot over memory that is there", slot_over_memory);
  add("slot-without-descriptor", "ADD_MEM_REG without a descriptor", slot_without_descriptor);
  add("slot-unknown", "REM_MEM_REG of a slot that was never added", slot_unknown);
  add("slot-too-many", "one slot more than GET_MAX_MEM_SLOTS says", slot_too_many);
}

}  // namespace vhostx::tools::probe
