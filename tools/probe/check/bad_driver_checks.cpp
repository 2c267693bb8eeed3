// SPDX-License-Identifier: BSD-3-Clause
// A driver that breaks VIRTIO: its ring is lost, and nothing else.
#include <cstring>

#include "base/event_fd.hpp"
#include "tools/probe/check/bad_input.hpp"
#include "tools/probe/check/raw_driver.hpp"

namespace vhostx::tools::probe {

using virtqueue::Descriptor;

namespace {

constexpr std::uint64_t nowhere = std::uint64_t{1} << 50;

void index_jumps(Guest& guest) {
  std::uint16_t* const avail = split_avail(guest);
  __atomic_store_n(avail + 1, static_cast<std::uint16_t>(avail[1] + 1000), __ATOMIC_RELEASE);
}
void head_outside(Guest& guest) {
  std::uint16_t* const avail = split_avail(guest);
  for (int slot = 0; slot < 64; ++slot) avail[2 + slot] = 0xffff;
  __atomic_store_n(avail + 1, static_cast<std::uint16_t>(avail[1] + 16), __ATOMIC_RELEASE);
}
void chain_loops(Guest& guest) {
  split_table(guest)[0].flags = Descriptor::next_flag;
  split_table(guest)[0].next = 0;
  show_heads(guest, 1);
}
void next_outside(Guest& guest) {
  split_table(guest)[0].flags = Descriptor::next_flag;
  split_table(guest)[0].next = 4711;
  show_heads(guest, 1);
}

// ---- of rings of both kinds

/// The only descriptor of a chain, honest but for what `change` does.
void show_changed(Guest& guest, void (*change)(Descriptor&)) {
  Descriptor one = honest_descriptor(guest);
  change(one);
  show_descriptor(guest, one);
}
void buffer_outside(Guest& guest) {
  show_changed(guest, [](Descriptor& one) { one.address = nowhere; });
}
void buffer_wraps(Guest& guest) {
  show_changed(guest, [](Descriptor& one) { one.address = ~std::uint64_t{0} - 10; });
}
void buffer_of_4gib(Guest& guest) {
  show_changed(guest, [](Descriptor& one) { one.length = 0xffffffff; });
}
void buffer_empty(Guest& guest) {
  show_changed(guest, [](Descriptor& one) { one.length = 0; });
}
void header_cut(Guest& guest) {
  show_changed(guest, [](Descriptor& one) { one.length = 3; });
}
void writable_in_transmit(Guest& guest) {
  show_changed(guest, [](Descriptor& one) { one.flags = Descriptor::write_flag; });
}
void indirect_unnegotiated(Guest& guest) {
  show_changed(guest, [](Descriptor& one) {
    one.flags = Descriptor::indirect_flag;
    one.length = 17;
  });
}
void header_lies(Guest& guest) {
  std::memset(guest.transmit().buffer(0), 0xff, guest.net_header_bytes());
  show_descriptor(guest, honest_descriptor(guest));
}

Verdict error_signalled(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  const EventFd error = need(EventFd::create(), "an eventfd");
  guest.set_fd(protocol::FrontEndRequest::set_vring_err, 1, error.get());
  guest.start();
  guest.send(4);
  guest.await_sent("a ring before the lie");
  index_jumps(guest);
  guest.transmit().kick();
  if (!guest.await_call(error.get())) return failed("the error descriptor was not signalled");
  return passed("the error descriptor was signalled");
}

void add_lies_of_both(Checks& checks, bool packed) {
  const auto add = [&](const char* id, const char* section, const char* title, Lie tell) {
    GuestPlan plan;
    if (packed) plan.features.set(protocol::VirtioFeature::ring_packed);
    add_lie(checks, std::string(packed ? "packed-" : "") + id, section,
            std::string(packed ? "packed rings: " : "") + title, plan, tell);
  };
  const char* const table = packed ? "VIRTIO 1.2, 2.8.5" : "VIRTIO 1.2, 2.7.5";
  add("buffer-outside", table, "a buffer outside of the guest's memory", buffer_outside);
  add("buffer-wraps", table, "a buffer that ends beyond 2^64", buffer_wraps);
  add("buffer-4gib", table, "a buffer of 4 GiB", buffer_of_4gib);
  add("buffer-empty", table, "a buffer of 0 bytes", buffer_empty);
  add("header-cut", "VIRTIO 1.2, 5.1.6", "a packet that ends inside its header", header_cut);
  add("writable-in-transmit", "VIRTIO 1.2, 5.1.6.2", "a device-writable buffer in a transmit ring",
      writable_in_transmit);
  add("indirect-unnegotiated", packed ? "VIRTIO 1.2, 2.8.7" : "VIRTIO 1.2, 2.7.5.3",
      "an indirect table of 17 bytes that was not negotiated", indirect_unnegotiated);
  add("header-lies", "VIRTIO 1.2, 5.1.6.2", "a header whose every bit is set", header_lies);
}

}  // namespace

void add_bad_driver_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, Lie tell) {
    add_lie(checks, id, section, title, {}, tell);
  };
  const char* const table = "VIRTIO 1.2, 2.7.5";
  const char* const avail = "VIRTIO 1.2, 2.7.6";
  add("avail-jumps", avail, "an available index that jumps over the ring's size", index_jumps);
  add("head-outside", avail, "heads outside of the descriptor table", head_outside);
  add("chain-loops", table, "a chain that leads back to its beginning", chain_loops);
  add("next-outside", table, "a next descriptor outside of the table", next_outside);
  checks.push_back({std::string(bad_input_group) + ".error-signalled", "VHOST_USER_SET_VRING_ERR",
                    "an available index that jumps is signalled to the error descriptor", error_signalled});
  for (const bool packed : {false, true}) add_lies_of_both(checks, packed);
}

}  // namespace vhostx::tools::probe
