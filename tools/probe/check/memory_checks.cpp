// SPDX-License-Identifier: BSD-3-Clause
// Guest memory: tables, slots, offsets, and changes while rings run.
#include <algorithm>
#include <unistd.h>

#include <sys/mman.h>

#include "tools/probe/check/check.hpp"
#include "tools/probe/check/guest.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

constexpr std::uint64_t slots_tried_max = 4096;
constexpr std::uint64_t slot_bytes = 4096;
constexpr std::uint64_t slots_base = std::uint64_t{1} << 40;

Message add_request(const MemoryRegion& region, int fd) {
  Message message = make_request(Request::add_mem_reg, SingleMemoryRegion{0, region});
  message.add_fd(duplicate(fd));
  return message;
}

Message remove_request(const MemoryRegion& region) {
  return make_request(Request::rem_mem_reg, SingleMemoryRegion{0, region});
}

/// A page of the guest's file, at an address of its own; none touches the next.
MemoryRegion slot(std::uint64_t number) {
  return {slots_base + 2 * number * slot_bytes, slot_bytes, slots_base + 2 * number * slot_bytes, 0};
}

GuestPlan with_slots(bool share = true) { return {.protocol = {ProtocolFeature::configure_mem_slots}, .share = share}; }

void run_traffic(Guest& guest, const char* what) {
  guest.send(8);
  guest.await_sent(what);
}

Verdict all_slots(const Subject& subject) {
  need_offered(subject, ProtocolFeature::reply_ack);
  Guest guest(subject, with_slots(false));
  const auto most = need(guest.link().get_u64(Request::get_max_mem_slots), "GET_MAX_MEM_SLOTS");
  if (most == 0) return failed("GET_MAX_MEM_SLOTS says 0");
  const auto tried = std::min(most, slots_tried_max);
  for (std::uint64_t i = 0; i < tried; ++i) {
    const auto status = guest.link().ack(add_request(slot(i), guest.memory().fd(0)));
    if (status != 0) return failed("slot {} of {} was refused with status {}", i + 1, most, status);
  }
  for (std::uint64_t i = 0; i < tried; ++i)
    if (guest.link().ack(remove_request(slot(i))) != 0) return failed("slot {} could not be removed", i + 1);
  return passed("{} of {} slots added and removed", tried, most);
}

Verdict remove_ignores_offset(const Subject& subject) {
  need_offered(subject, ProtocolFeature::reply_ack);
  Guest guest(subject, with_slots());
  MemoryRegion region = slot(0);
  region.mmap_offset = slot_bytes;
  guest.link().change(add_request(region, guest.memory().fd(0)));
  region.mmap_offset = 0;
  const auto status = guest.link().ack(remove_request(region));
  return status == 0 ? passed("removed with another mmap offset") : failed("status {}", status);
}

Verdict remove_with_descriptor(const Subject& subject) {
  need_offered(subject, ProtocolFeature::reply_ack);
  Guest guest(subject, with_slots());
  guest.link().change(add_request(slot(0), guest.memory().fd(0)));
  Message message = remove_request(slot(0));
  message.add_fd(duplicate(guest.memory().fd(0)));
  const auto status = guest.link().ack(std::move(message));
  return status == 0 ? passed("removed, a descriptor came along") : failed("status {}", status);
}

Verdict add_again(const Subject& subject) {
  need_offered(subject, ProtocolFeature::reply_ack);
  Guest guest(subject, with_slots());
  for (int i = 0; i < 16; ++i) {
    guest.link().change(add_request(slot(0), guest.memory().fd(0)));
    guest.link().change(remove_request(slot(0)));
  }
  return passed("16 times added and removed");
}

Verdict rings_in_slots(const Subject& subject) {
  need_net(subject);
  GuestPlan plan = with_slots(false);
  plan.regions = 3;
  Guest guest(subject, plan);
  for (std::size_t i = 0; i < guest.memory().region_count(); ++i)
    guest.link().change(add_request(guest.memory().description(i), guest.memory().fd(i)));
  guest.start();
  run_traffic(guest, "rings in memory from ADD_MEM_REG");
  return passed("frames used, memory in 3 slots");
}

Verdict slots_while_running(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, with_slots(false));
  guest.link().change(add_request(guest.memory().description(0), guest.memory().fd(0)));
  guest.start();
  for (std::uint64_t i = 0; i < 4; ++i) {
    guest.link().change(add_request(slot(i), guest.memory().fd(0)));
    run_traffic(guest, "after ADD_MEM_REG on running rings");
  }
  for (std::uint64_t i = 0; i < 4; ++i) {
    guest.link().change(remove_request(slot(i)));
    run_traffic(guest, "after REM_MEM_REG on running rings");
  }
  return passed("frames used after each of 4 ADD_MEM_REG and 4 REM_MEM_REG");
}

Verdict eight_regions(const Subject& subject) {
  need_net(subject);
  // The largest rings, so that they and their buffers lie in all of the regions.
  Guest guest(subject, {.ring_size = 1024, .receive_bytes = 8192, .transmit_bytes = 8192, .regions = 8});
  guest.start();
  for (int i = 0; i < 2; ++i) {
    guest.send(1024);
    guest.await_sent("buffers in 8 regions");
  }
  return passed("2048 frames from {} regions", guest.memory().region_count());
}

Verdict offset_into_file(const Subject& subject) {
  need_net(subject);
  // Rings and buffers lie behind the file's first page, which stays the driver's own.
  Guest guest(subject, {.share = false});
  MemoryRegion whole = guest.memory().description(0);
  UniqueFd file(::memfd_create("vhostx-guest", MFD_CLOEXEC));
  const auto shift = static_cast<off_t>(slot_bytes);
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(whole.size) + shift) != 0) return failed("no memory file");
  void* const at = reinterpret_cast<void*>(whole.front_end_address);
  const std::vector<std::uint8_t> contents(static_cast<std::uint8_t*>(at), static_cast<std::uint8_t*>(at) + whole.size);
  if (::mmap(at, whole.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.get(), shift) == MAP_FAILED)
    return failed("no view of a memory file");
  std::copy(contents.begin(), contents.end(), static_cast<std::uint8_t*>(at));
  whole.mmap_offset = slot_bytes;
  Message message = make_memory_table(std::vector{whole});
  message.add_fd(std::move(file));
  guest.link().change(std::move(message));
  guest.start();
  run_traffic(guest, "memory that begins inside its file");
  return passed("frames used, mmap offset {}", slot_bytes);
}

Verdict guest_addresses(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.protocol = {ProtocolFeature::gpa_addresses}, .regions = 3});
  guest.start();
  run_traffic(guest, "rings at guest addresses");
  return passed("frames used, {} regions that are named by guest addresses alone", guest.memory().region_count());
}

Verdict guest_addresses_in_slots(const Subject& subject) {
  need_net(subject);
  GuestPlan plan = with_slots(false);
  plan.protocol.set(ProtocolFeature::gpa_addresses);
  plan.regions = 3;
  Guest guest(subject, plan);
  for (std::size_t i = 0; i < guest.memory().region_count(); ++i)
    guest.link().change(add_request(guest.region(i), guest.memory().fd(i)));
  guest.start();
  run_traffic(guest, "rings at guest addresses, in slots");
  guest.link().change(add_request(slot(0), guest.memory().fd(0)));
  guest.link().change(remove_request(slot(0)));
  run_traffic(guest, "after a slot that came and went");
  return passed("frames used, {} slots that are named by guest addresses alone", guest.memory().region_count());
}

Verdict table_again(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  guest.share_memory();
  guest.start();
  run_traffic(guest, "after two memory tables");
  guest.share_memory();
  run_traffic(guest, "after the same table on running rings");
  return passed("frames used after the same table came again");
}

Verdict table_exchanged(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  guest.start();
  run_traffic(guest, "before the exchange");
  for (int i = 0; i < 3; ++i) {
    need(guest.memory().replace_files(), "other files");
    guest.share_memory();
    guest.link().sync("SET_MEM_TABLE");
    run_traffic(guest, "after other files at the same addresses");
  }
  return passed("frames used, three times in new files");
}

Verdict rings_before_memory(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.share = false});
  for (std::uint32_t vring = 0; vring < guest.ring_count(); ++vring) {
    guest.link().change(make_request(Request::set_vring_num, VringState{vring, guest.ring(vring).options().size}));
    guest.link().change(make_request(Request::set_vring_base, VringState{vring, 0}));
  }
  guest.share_memory();
  guest.start();
  run_traffic(guest, "sizes and bases before memory");
  return passed("frames used");
}

}  // namespace

void add_memory_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, Verdict (*run)(const Subject&)) {
    checks.push_back({std::string("memory.") + id, section, title, run});
  };
  const char* const slots = "VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS";
  const char* const removing = "VHOST_USER_REM_MEM_REG";
  const char* const table = "VHOST_USER_SET_MEM_TABLE";
  const char* const gpa = "VHOST_USER_PROTOCOL_F_GPA_ADDRESSES";
  add("max-slots-usable", slots, "as many slots can be added as GET_MAX_MEM_SLOTS says", all_slots);
  add("remove-ignores-offset", removing, "a slot is found whatever mmap offset is said", remove_ignores_offset);
  add("remove-with-descriptor", removing, "a descriptor that comes along does no harm", remove_with_descriptor);
  add("add-again", slots, "a slot that was removed can be added again", add_again);
  add("rings-in-slots", slots, "rings run in memory that ADD_MEM_REG brought", rings_in_slots);
  add("slots-while-running", slots, "slots come and go while rings run", slots_while_running);
  add("eight-regions", table, "buffers may lie in eight regions", eight_regions);
  add("offset-into-file", "Memory region description", "a region may begin inside its file", offset_into_file);
  add("guest-addresses", gpa, "rings are found by guest addresses", guest_addresses);
  add("guest-addresses-in-slots", gpa, "the same in memory that ADD_MEM_REG brought", guest_addresses_in_slots);
  add("table-again", table, "the same table may come again", table_again);
  add("table-exchanged", table, "rings that run follow a table with other files", table_exchanged);
  add("sizes-before-memory", table, "a ring's size and base may come before memory", rings_before_memory);
}

}  // namespace vhostx::tools::probe
