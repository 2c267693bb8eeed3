// SPDX-License-Identifier: BSD-3-Clause
// Connections that end, in order or not, and what they leave behind.
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>

#include "tools/probe/check/check.hpp"
#include "tools/probe/check/guest.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

constexpr int connections = 50;

Verdict reconnects(const Subject& subject) {
  for (int i = 0; i < connections; ++i) {
    Link link = Link::open(subject);
    link.sync("connecting");
  }
  return passed("{} connections, one after the other", connections);
}

Verdict dies_while_running(const Subject& subject) {
  need_net(subject);
  for (int i = 0; i < 10; ++i) {
    Guest guest(subject, {});
    guest.start();
    guest.send(32);
    if (i % 2 == 0) guest.await_sent("a ring that runs");
  }
  Guest guest(subject, {});
  guest.start();
  guest.send(8);
  guest.await_sent("the ring of a new connection");
  return passed("10 front-ends left with rings running, the next one's frames were used");
}

Verdict leaves_half_negotiated(const Subject& subject) {
  for (const int steps : {0, 1, 2, 3}) {
    Link link = Link::open(subject);
    if (steps > 0) link.put(make_request(Request::set_owner));
    if (steps > 1) link.put(make_request(Request::set_features, U64{FeatureSet{VirtioFeature::version_1}.bits()}));
    if (steps > 2) link.put(make_request(Request::set_vring_num, VringState{0, 64}));
  }
  Link::open(subject).sync("front-ends that left early");
  return passed("four left at different steps, the next was answered");
}

Verdict starts_from_nothing(const Subject& subject) {
  const GuestPlan plan{.protocol = {ProtocolFeature::status}};
  {
    Guest guest(subject, plan);
    guest.link().change(make_request(Request::set_status, U64{3}));
    guest.link().sync("SET_STATUS");
  }
  Guest guest(subject, plan);
  const auto status = need(guest.link().get_u64(Request::get_status), "GET_STATUS");
  return status == 0 ? passed("status 0") : failed("status {}, from an earlier connection", status);
}

/// Open descriptors of the process; -1: not to be seen.
int descriptors_of(int pid) {
  std::error_code error;
  std::filesystem::directory_iterator files("/proc/" + std::to_string(pid) + "/fd", error);
  if (error) return -1;
  return static_cast<int>(std::distance(begin(files), end(files)));
}

/// How many it has when they are no more than `most`, or when the time is over. A back-end may close them after it has
/// answered, on another thread, and no event tells when it has.
int wait_for_descriptors(const Subject& subject, int most) {
  const auto end = std::chrono::steady_clock::now() + subject.timeout;
  int now = descriptors_of(subject.pid);
  while (now > most && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    now = descriptors_of(subject.pid);
  }
  return now;
}

void one_life(const Subject& subject) {
  Guest guest(subject, {});
  if (!subject.net) return;
  guest.start();
  guest.send(4);
  guest.await_sent("a ring that runs");
}

Verdict descriptors_kept(const Subject& subject) {
  if (subject.pid == 0 || descriptors_of(subject.pid) < 0)
    return not_applicable("the descriptors of the back-end's process cannot be read: run as its user or as root");
  one_life(subject);  // some are opened once, for good
  Link settled = Link::open(subject);
  const int before = descriptors_of(subject.pid);
  settled.disconnect();
  constexpr int lives = 20;
  for (int i = 0; i < lives; ++i) one_life(subject);
  Link link = Link::open(subject);
  const int after = wait_for_descriptors(subject, before);
  if (after > before) return failed("{} descriptors, {} before {} connections", after, before, lives);
  return passed("{} descriptors before and after {} connections", before, lives);
}

Verdict slots_leak_nothing(const Subject& subject) {
  need_offered(subject, ProtocolFeature::reply_ack);
  if (subject.pid == 0 || descriptors_of(subject.pid) < 0)
    return not_applicable("the descriptors of the back-end's process cannot be read: run as its user or as root");
  Guest guest(subject, {.protocol = {ProtocolFeature::configure_mem_slots}});
  MemoryRegion region = guest.memory().description(0);
  region.guest_address += std::uint64_t{1} << 40;
  region.front_end_address += std::uint64_t{1} << 40;
  int before = 0;
  for (int i = 0; i < 32; ++i) {
    for (const Request request : {Request::add_mem_reg, Request::rem_mem_reg}) {
      Message message = make_request(request, SingleMemoryRegion{0, region});
      message.add_fd(duplicate(guest.memory().fd(0)));
      guest.link().change(std::move(message));
    }
    if (i == 0) before = descriptors_of(subject.pid);
  }
  const int after = wait_for_descriptors(subject, before + 2);
  if (after > before + 2) return failed("{} descriptors, {} before 31 slots came and went", after, before);
  return passed("{} descriptors before and after 31 slots came and went, each with two descriptors", before);
}

Verdict calls_leak_nothing(const Subject& subject) {
  if (subject.pid == 0 || descriptors_of(subject.pid) < 0)
    return not_applicable("the descriptors of the back-end's process cannot be read: run as its user or as root");
  Guest guest(subject, {});
  guest.describe(0, 0);
  guest.arm(0);
  guest.link().sync("SET_VRING_CALL");
  const int before = descriptors_of(subject.pid);
  for (int i = 0; i < 32; ++i) {
    guest.set_fd(Request::set_vring_call, 0, guest.ring(0).call_fd());
    guest.set_fd(Request::set_vring_err, 0, guest.ring(0).call_fd());
  }
  guest.link().sync("SET_VRING_CALL, many times");
  const int after = wait_for_descriptors(subject, before + 2);
  if (after > before + 2) return failed("{} descriptors, {} before 64 more came", after, before);
  return passed("{} descriptors before 64 more came, {} after", before, after);
}

}  // namespace

void add_connection_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* title, Verdict (*run)(const Subject&)) {
    checks.push_back({std::string("connection.") + id, "Communication", title, run});
  };
  add("reconnects", "front-ends may come one after the other", reconnects);
  add("dies-while-running", "a front-end may leave while rings run", dies_while_running);
  add("leaves-early", "a front-end may leave at any step", leaves_half_negotiated);
  add("starts-from-nothing", "a new connection knows nothing of the one before", starts_from_nothing);
  add("descriptors-returned", "a connection's descriptors are closed with it", descriptors_kept);
  add("slot-descriptors-returned", "a memory slot's descriptors are closed with it", slots_leak_nothing);
  add("event-descriptors-returned", "an eventfd that is replaced is closed", calls_leak_nothing);
}

}  // namespace vhostx::tools::probe
