// SPDX-License-Identifier: BSD-3-Clause
// The log of pages that the back-end has written (vhost-user "Migration"). Nothing says when a page must be marked, but
// that it must be: each mark is waited for.
#include <algorithm>

#include "tools/probe/check/bad_input.hpp"
#include "tools/probe/check/check.hpp"
#include "tools/probe/check/dirty_log.hpp"
#include "tools/probe/check/feed.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

constexpr std::uint32_t transmitq = 1;

GuestPlan with_log() { return {.features = {VirtioFeature::vhost_log_all}, .protocol = {ProtocolFeature::log_shmfd}}; }

/// Of a guest that does not migrate yet. Ends the check where it could not.
GuestPlan without_log(const Subject& subject) {
  need_offered(subject, VirtioFeature::vhost_log_all);
  return {.protocol = {ProtocolFeature::log_shmfd}};
}

void send_and_await(Guest& guest, std::string_view what) {
  guest.send(4);
  guest.await_sent(what);
}

void run_without_log(Guest& guest) {
  guest.start();
  send_and_await(guest, "rings without a log");
}

/// As QEMU does on running rings: the log, VHOST_F_LOG_ALL, then the ring's addresses once more.
void begin_logging(Guest& guest, const DirtyLog& log) {
  log.share(guest);
  set_logging(guest, true);
  set_ring_logging(guest, transmitq, true);
}

/// Frames are sent; the page of their used ring becomes dirty.
bool used_ring_shows(Guest& guest, const DirtyLog& log, std::string_view what) {
  send_and_await(guest, what);
  return guest.wait([&] { return log.dirty(used_ring_of(guest, transmitq)); });
}

Verdict log_base_reply(const Subject& subject) {
  Guest guest(subject, without_log(subject));
  const DirtyLog log;
  const auto bytes = log.share(guest);
  guest.link().sync("SET_LOG_BASE");
  return passed("a reply of {} bytes, once", bytes);
}

Verdict used_ring_is_logged(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, with_log());
  DirtyLog log;
  log.share(guest);
  run_without_log(guest);
  set_ring_logging(guest, transmitq, true);
  log.clear();
  if (!used_ring_shows(guest, log, "a ring with a log"))
    return failed("the used ring was written, and its page is clean");
  return passed("the used ring's page is dirty");
}

Verdict received_frame_is_logged(const Subject& subject) {
  Guest guest(subject, with_log());
  Feed feed(guest);
  DirtyLog log;
  log.share(guest);
  guest.start();
  feed.until_arrival();
  feed.settle();
  log.clear();
  feed.until_arrival();
  const DriverRing& ring = guest.receive();
  for (std::uint16_t chain = 0; chain < ring.chain_count(); ++chain)
    if (log.dirty(guest_address_of(guest, ring.buffer(chain)))) return passed("a buffer's page is dirty");
  return failed("a frame was written, and no buffer's page is dirty");
}

Verdict switched_on(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, without_log(subject));
  run_without_log(guest);
  const DirtyLog log;
  begin_logging(guest, log);
  if (!used_ring_shows(guest, log, "rings whose log was switched on"))
    return failed("the used ring was written after VHOST_F_LOG_ALL was set, and its page is clean");
  return passed("the used ring's page is dirty");
}

/// A buffer whose header is on one page and whose frame ends on the next.
std::uint16_t across_pages(Guest& guest) {
  const DriverRing& ring = guest.receive();
  for (std::uint16_t chain = 0; chain < ring.chain_count(); ++chain) {
    const std::uint64_t begin = guest_address_of(guest, ring.buffer(chain));
    if (begin / DirtyLog::page_bytes != (begin + guest.net_header_bytes()) / DirtyLog::page_bytes) return chain;
  }
  throw Decided{failed("no buffer lies across pages")};
}

/// A frame arrives in this buffer; the bytes that were written, as the used entry says.
std::uint32_t have_filled(Guest& guest, Feed& feed, std::uint16_t chain) {
  DriverRing& ring = guest.receive();
  ring.post(chain, ring.options().buffer_bytes);
  ring.publish();
  ring.notify();
  const bool arrived = guest.wait([&] {
    feed.offer();
    return !guest.stays_unused(0);
  });
  if (!arrived) throw Decided{failed("no frame arrived within {} ms", guest.subject().timeout.count())};
  return ring.peek(0).length;
}

Verdict every_page_is_logged(const Subject& subject) {
  GuestPlan plan = without_log(subject);
  plan.receive_bytes = 33 * 64;  // an odd number of cache lines: a ring's buffers lie at all offsets into a page
  Guest guest(subject, plan);
  Feed feed(guest);
  guest.post_at_most(0);
  run_without_log(guest);
  const DirtyLog log;
  begin_logging(guest, log);
  const std::uint16_t chain = across_pages(guest);
  const std::uint32_t length = have_filled(guest, feed, chain);
  const std::uint64_t begin = guest_address_of(guest, guest.receive().buffer(chain));
  const std::uint64_t last = begin + std::max(length, 1U) - 1;
  if (!guest.wait([&] { return log.dirty(begin) && log.dirty(last); }))
    return failed("{} bytes were written across two pages: the first is {}, the second {}", length,
                  log.dirty(begin) ? "dirty" : "clean", log.dirty(last) ? "dirty" : "clean");
  return passed("{} bytes across two pages: both are dirty", length);
}

Verdict second_log(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, without_log(subject));
  run_without_log(guest);
  DirtyLog before;
  begin_logging(guest, before);
  if (!used_ring_shows(guest, before, "rings with a log"))
    return failed("with the first log: the used ring was written, and its page is clean");
  const DirtyLog after;
  after.share(guest);
  before.clear();
  if (!used_ring_shows(guest, after, "rings with a second log"))
    return failed("the used ring was written after the reply, and its page is clean in the second log");
  if (const auto marked = before.count(); marked != 0)
    return failed("{} pages were marked in the first log after the reply about the second", marked);
  return passed("marks are in the second log, and none in the first");
}

Verdict log_offset(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, without_log(subject));
  run_without_log(guest);
  const DirtyLog log(16 * DirtyLog::page_bytes);
  begin_logging(guest, log);
  if (!used_ring_shows(guest, log, "rings with a log at an offset"))
    return failed("the used ring's page is clean in a log that begins at {:#x} of its file{}",
                  16 * DirtyLog::page_bytes, log.strays() != 0 ? "; bytes before were written" : "");
  if (const auto strays = log.strays(); strays != 0)
    return failed("{} bytes were written before {:#x}, where the log begins", strays, 16 * DirtyLog::page_bytes);
  return passed("marks are behind the offset");
}

Verdict ring_flag(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, without_log(subject));
  run_without_log(guest);
  DirtyLog log;
  log.share(guest);
  set_logging(guest, true);
  set_ring_logging(guest, 0, true);
  set_ring_logging(guest, transmitq, false);
  const auto used = used_ring_of(guest, transmitq);
  send_and_await(guest, "a ring without VHOST_VRING_F_LOG");
  guest.stays_unused(transmitq);
  if (log.dirty(used)) return failed("the used ring's page is dirty; the other ring alone has VHOST_VRING_F_LOG");
  set_ring_logging(guest, transmitq, true);
  if (!used_ring_shows(guest, log, "a ring with VHOST_VRING_F_LOG"))
    return failed("the used ring was written with VHOST_VRING_F_LOG, and its page is clean");
  set_ring_logging(guest, transmitq, false);
  guest.stays_unused(transmitq);
  log.clear();
  send_and_await(guest, "a ring whose VHOST_VRING_F_LOG was taken away");
  guest.stays_unused(transmitq);
  if (log.dirty(used)) return failed("the used ring's page is dirty after VHOST_VRING_F_LOG was taken away");
  return passed("dirty with VHOST_VRING_F_LOG, clean before and after it");
}

Verdict switched_off(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, without_log(subject));
  run_without_log(guest);
  DirtyLog log;
  begin_logging(guest, log);
  if (!used_ring_shows(guest, log, "rings with a log"))
    return failed("with the log on: the used ring was written, and its page is clean");
  set_logging(guest, false);
  set_ring_logging(guest, transmitq, false);
  guest.stays_unused(transmitq);
  log.clear();
  send_and_await(guest, "rings whose log was switched off");
  guest.stays_unused(0);
  const auto marked = log.count();
  return marked != 0 ? failed("{} pages are dirty after VHOST_F_LOG_ALL was taken away", marked)
                     : passed("no page is dirty after VHOST_F_LOG_ALL was taken away");
}

Verdict logging_off_is_silent(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, without_log(subject));
  const DirtyLog log;
  log.share(guest);
  run_without_log(guest);
  guest.link().sync("frames");
  const auto marked = log.count();
  return marked != 0 ? failed("{} pages are dirty without VHOST_F_LOG_ALL", marked) : passed("no page is dirty");
}

// ---- logs that are wrong: that they are refused cannot be seen, as an empty reply is in use for success

Message log_of(std::uint64_t bytes, std::uint64_t offset, UniqueFd file) {
  Message message = make_request(Request::set_log_base, LogBase{bytes, offset});
  message.add_fd(std::move(file));
  return message;
}
Message log_of_no_bytes(Guest& guest) { return log_of(0, 0, duplicate(guest.memory().fd(0))); }
Message log_behind_its_file(Guest& guest) {
  return log_of(DirtyLog::bytes, std::uint64_t{1} << 40, duplicate(guest.memory().fd(0)));
}
Message log_around_the_end(Guest& guest) {
  return log_of(2 * DirtyLog::page_bytes, ~std::uint64_t{0} - DirtyLog::page_bytes + 1,
                duplicate(guest.memory().fd(0)));
}
Message log_in_no_memory(Guest& guest) { return log_of(DirtyLog::bytes, 0, duplicate(guest.ring(0).kick_fd())); }

}  // namespace

void add_log_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, Verdict (*run)(const Subject&)) {
    checks.push_back({std::string("log.") + id, section, title, run});
  };
  const char* const section = "Migration";
  const char* const base_section = "VHOST_USER_SET_LOG_BASE";
  add("base-reply", base_section, "SET_LOG_BASE has one reply of a known form", log_base_reply);
  add("used-ring", section, "writes to a used ring are logged where SET_VRING_ADDR says", used_ring_is_logged);
  add("received-frame", section, "writes to receive buffers are logged", received_frame_is_logged);
  add("received-pages", section, "a frame across two pages marks both", every_page_is_logged);
  add("switched-on", section, "VHOST_F_LOG_ALL begins logging on running rings", switched_on);
  add("second-base", base_section, "after the reply to a second SET_LOG_BASE only the new log is written", second_log);
  add("offset", base_section, "a log begins at its offset", log_offset);
  add("ring-flag", section, "a used ring is logged with VHOST_VRING_F_LOG alone, ring by ring", ring_flag);
  add("switched-off", section, "taking VHOST_F_LOG_ALL away ends logging on running rings", switched_off);
  add("off", section, "without VHOST_F_LOG_ALL nothing is logged", logging_off_is_silent);
}

void add_bad_log_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* title, Message (*make)(Guest&)) {
    const GuestPlan plan{.protocol = {ProtocolFeature::log_shmfd}};
    add_wrong_message(checks, {id, "VHOST_USER_SET_LOG_BASE", title, Owed::survival, make, plan});
  };
  add("log-empty", "a log of 0 bytes", log_of_no_bytes);
  add("log-behind-file", "a log behind the end of its file", log_behind_its_file);
  add("log-around-end", "a log whose offset and size go beyond 2^64", log_around_the_end);
  add("log-no-memory", "a log in an eventfd", log_in_no_memory);
}

}  // namespace vhostx::tools::probe
