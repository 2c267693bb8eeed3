// SPDX-License-Identifier: BSD-3-Clause
// A driver that breaks VIRTIO: its ring is lost, and nothing else.
#include <cstring>

#include "base/event_fd.hpp"
#include "tools/probe/check/bad_input.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::tools::probe {

using protocol::VringAddress;
using virtqueue::Descriptor;

namespace {

constexpr std::uint64_t nowhere = std::uint64_t{1} << 50;

Descriptor* table_of(Guest& guest) { return reinterpret_cast<Descriptor*>(guest.transmit().addresses(1).descriptor); }
std::uint16_t* avail_of(Guest& guest) {
  return reinterpret_cast<std::uint16_t*>(guest.transmit().addresses(1).available);
}

/// Rings run; then the driver lies in its transmit ring, and leaves.
Verdict lie(const Subject& subject, void (*tell)(Guest&)) {
  need_net(subject);
  {
    Guest guest(subject, {});
    guest.start();
    guest.send(4);
    guest.await_sent("a ring before the lie");
    tell(guest);
    guest.transmit().kick();
    guest.stays_unused(1);  // only time can tell: the ring may stand still, or go on
    guest.link().sync("a driver's lie");
  }
  Guest next(subject, {});
  next.start();
  next.send(8);
  next.await_sent("the rings of the next connection");
  return passed("still answered on this connection, frames used on the next");
}

/// Shows the chains from 0 on, whatever their descriptors say.
void show(Guest& guest, std::uint16_t count) {
  std::uint16_t* const avail = avail_of(guest);
  const std::uint16_t index = avail[1];
  for (std::uint16_t i = 0; i < count; ++i) avail[2 + (index + i) % 64] = i;
  __atomic_store_n(avail + 1, static_cast<std::uint16_t>(index + count), __ATOMIC_RELEASE);
}

void index_jumps(Guest& guest) {
  std::uint16_t* const avail = avail_of(guest);
  __atomic_store_n(avail + 1, static_cast<std::uint16_t>(avail[1] + 1000), __ATOMIC_RELEASE);
}
void head_outside(Guest& guest) {
  std::uint16_t* const avail = avail_of(guest);
  for (int slot = 0; slot < 64; ++slot) avail[2 + slot] = 0xffff;
  __atomic_store_n(avail + 1, static_cast<std::uint16_t>(avail[1] + 16), __ATOMIC_RELEASE);
}
void chain_loops(Guest& guest) {
  table_of(guest)[0].flags = Descriptor::next_flag;
  table_of(guest)[0].next = 0;
  show(guest, 1);
}
void next_outside(Guest& guest) {
  table_of(guest)[0].flags = Descriptor::next_flag;
  table_of(guest)[0].next = 4711;
  show(guest, 1);
}
void buffer_outside(Guest& guest) {
  table_of(guest)[0].address = nowhere;
  show(guest, 1);
}
void buffer_wraps(Guest& guest) {
  table_of(guest)[0].address = ~std::uint64_t{0} - 10;
  table_of(guest)[0].length = 64;
  show(guest, 1);
}
void buffer_of_4gib(Guest& guest) {
  table_of(guest)[0].length = 0xffffffff;
  show(guest, 1);
}
void buffer_empty(Guest& guest) {
  table_of(guest)[0].length = 0;
  show(guest, 1);
}
void header_cut(Guest& guest) {
  table_of(guest)[0].length = 3;
  show(guest, 1);
}
void writable_in_transmit(Guest& guest) {
  table_of(guest)[0].flags = Descriptor::write_flag;
  show(guest, 1);
}
void indirect_unnegotiated(Guest& guest) {
  table_of(guest)[0].flags = Descriptor::indirect_flag;
  table_of(guest)[0].length = 17;
  show(guest, 1);
}
void header_lies(Guest& guest) {
  std::memset(guest.transmit().buffer(0), 0xff, guest.net_header_bytes());
  show(guest, 1);
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

}  // namespace

void add_bad_driver_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, void (*tell)(Guest&)) {
    checks.push_back({std::string(bad_input_group) + "." + id, section, title,
                      [tell](const Subject& subject) { return lie(subject, tell); }});
  };
  const char* const table = "VIRTIO 1.2, 2.7.5";
  const char* const avail = "VIRTIO 1.2, 2.7.6";
  add("avail-jumps", avail, "an available index that jumps over the ring's size", index_jumps);
  add("head-outside", avail, "heads outside of the descriptor table", head_outside);
  add("chain-loops", table, "a chain that leads back to its beginning", chain_loops);
  add("next-outside", table, "a next descriptor outside of the table", next_outside);
  add("buffer-outside", table, "a buffer outside of the guest's memory", buffer_outside);
  add("buffer-wraps", table, "a buffer that ends beyond 2^64", buffer_wraps);
  add("buffer-4gib", table, "a buffer of 4 GiB", buffer_of_4gib);
  add("buffer-empty", table, "a buffer of 0 bytes", buffer_empty);
  add("header-cut", "VIRTIO 1.2, 5.1.6", "a packet that ends inside its header", header_cut);
  add("writable-in-transmit", "VIRTIO 1.2, 5.1.6.2", "a device-writable buffer in a transmit ring",
      writable_in_transmit);
  add("indirect-unnegotiated", "VIRTIO 1.2, 2.7.5.3", "an indirect table of 17 bytes that was not negotiated",
      indirect_unnegotiated);
  checks.push_back({std::string(bad_input_group) + ".error-signalled", "VHOST_USER_SET_VRING_ERR",
                    "an available index that jumps is signalled to the error descriptor", error_signalled});
  add("header-lies", "VIRTIO 1.2, 5.1.6.2", "a header whose every bit is set", header_lies);
}

}  // namespace vhostx::tools::probe
