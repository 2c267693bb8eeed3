// SPDX-License-Identifier: BSD-3-Clause
// What happens in a ring that runs: used entries, notifications, layouts of chains.
#include <algorithm>

#include "tools/probe/check/check.hpp"
#include "tools/probe/check/guest.hpp"

namespace vhostx::tools::probe {

using namespace protocol;

namespace {

void start_and_send(Guest& guest, unsigned count, const char* what) {
  guest.start();
  guest.send(count);
  guest.await_sent(what);
}

Verdict used_once(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  guest.start();
  unsigned taken = 0;
  for (int i = 0; i < 8; ++i) {
    guest.send(64);
    taken += guest.await_sent("a full ring");
  }
  return taken == 8 * 64 ? passed("{} buffers, each used once", taken) : failed("{} of {} used", taken, 8 * 64);
}

Verdict used_length(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  guest.start();
  guest.send(8);
  DriverRing& ring = guest.transmit();
  if (!guest.wait([&] { return ring.used_waiting() == 8; })) return failed("{} of 8 used", ring.used_waiting());
  for (std::uint16_t i = 0; i < 8; ++i)
    if (const auto length = ring.peek(i).length; length != 0)
      return failed("{} bytes written, says the used entry of a buffer that is read-only", length);
  return passed("0 bytes written into read-only buffers");
}

Verdict call_signalled(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  guest.start();
  for (int i = 0; i < 8; ++i) {
    guest.transmit().drain_call();
    guest.send(1);
    guest.await_sent("a frame");
    if (!guest.await_call(guest.transmit().call_fd())) return failed("frame {}: used, and no call", i);
  }
  return passed("8 frames, each followed by a call");
}

/// Frames are used and nobody is called. A call for what was used before may still be under way: it comes once.
bool sends_quietly(Guest& guest) {
  start_and_send(guest, 4, "a frame");
  guest.transmit().want_calls(false);
  for (int round = 0; round < 3; ++round) {
    guest.link().sync("asking for no calls");
    guest.transmit().drain_call();
    guest.send(32);
    guest.await_sent("frames without calls");
    guest.link().sync("frames without calls");
    if (!Guest::is_signalled(guest.transmit().call_fd())) return true;
  }
  return false;
}

Verdict call_suppressed(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {});
  if (!sends_quietly(guest)) return failed("called in spite of VIRTQ_AVAIL_F_NO_INTERRUPT");
  return passed("32 frames used, no call");
}

Verdict event_idx_calls(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.features = {VirtioFeature::event_idx}});
  guest.start();
  for (int i = 0; i < 8; ++i) {
    guest.transmit().want_calls(true);
    guest.transmit().drain_call();
    guest.send(1);  // kicks where avail_event asks for it
    guest.await_sent("a frame, with event index");
    if (!guest.await_call(guest.transmit().call_fd())) return failed("frame {}: used_event was passed, and no call", i);
  }
  return passed("8 frames, kicked as avail_event asks, each followed by a call");
}

Verdict event_idx_suppresses(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.features = {VirtioFeature::event_idx}});
  if (!sends_quietly(guest)) return failed("called though used_event was not passed");
  return passed("32 frames used, used_event not passed, no call");
}

Verdict event_idx_wraps(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.features = {VirtioFeature::event_idx}, .first_index = subject.packed ? 0x8000 | 60 : 65530});
  guest.start();
  for (int i = 0; i < 16; ++i) {
    guest.transmit().want_calls(true);
    guest.send(1);
    guest.await_sent("a frame around the last index, with event index");
  }
  return passed("16 frames around the last index");
}

Verdict in_order(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.features = {VirtioFeature::in_order}});
  guest.start();
  guest.send(32);  // chains 0 to 31, in this order
  DriverRing& ring = guest.transmit();
  // Batches may be shown by their last entry alone (2.7.9): then entries are fewer, and their ids still rise.
  if (!guest.wait([&] {
        return ring.used_waiting() != 0 && ring.peek(static_cast<std::uint16_t>(ring.used_waiting() - 1)).chain == 31;
      }))
    return failed("the last of 32 buffers was not used");
  for (std::uint16_t i = 1; i < ring.used_waiting(); ++i)
    if (ring.peek(i).chain <= ring.peek(static_cast<std::uint16_t>(i - 1)).chain)
      return failed("buffer {} was used after buffer {}", ring.peek(i).chain,
                    ring.peek(static_cast<std::uint16_t>(i - 1)).chain);
  return passed("32 buffers used in their order");
}

Verdict header_apart(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.layout = ChainLayout::two});
  start_and_send(guest, 32, "frames whose header has a descriptor of its own");
  return passed("32 frames in two descriptors each");
}

Verdict indirect(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, {.features = {VirtioFeature::indirect_desc}, .layout = ChainLayout::indirect});
  start_and_send(guest, 64, "frames in indirect tables");
  return passed("64 frames, a table each");
}

Verdict of_size(const Subject& subject, std::uint16_t size, unsigned count) {
  need_net(subject);
  Guest guest(subject, {.ring_size = size, .receive_bytes = 128, .transmit_bytes = 128});
  guest.start();
  unsigned left = count;
  for (int turn = 0; left != 0 && turn < 1024; ++turn) {
    const unsigned now = std::min<unsigned>(left, guest.transmit().chain_count());
    guest.send(now);
    left -= guest.await_sent(fmt::format("a ring of {}", size));
  }
  return left == 0 ? passed("{} frames through a ring of {}", count, size) : failed("{} frames left", left);
}

Verdict smallest_ring(const Subject& subject) { return of_size(subject, 2, 16); }
Verdict large_ring(const Subject& subject) { return of_size(subject, 1024, 2048); }
Verdict largest_ring(const Subject& subject) { return of_size(subject, 32768, 40000); }

Verdict all_features_data(const Subject& subject) {
  need_net(subject);
  using V = VirtioFeature;
  const FeatureSet often{V::net_csum,      V::net_guest_csum, V::net_host_tso4, V::net_guest_tso4,
                         V::net_mrg_rxbuf, V::indirect_desc,  V::event_idx};
  Guest guest(subject, {.features = often & subject.features});
  start_and_send(guest, 32, "frames with the usual features");
  return passed("32 frames with {}", to_string(guest.features()));
}

}  // namespace

void add_ring_data_checks(Checks& checks) {
  const auto add = [&](const char* id, const char* section, const char* title, Verdict (*run)(const Subject&)) {
    checks.push_back({std::string("data.") + id, section, title, run});
  };
  add("used-once", "VIRTIO 1.2, 2.7.8", "each buffer is used once", used_once);
  add("used-length", "VIRTIO 1.2, 2.7.8", "a read-only buffer's used length is 0", used_length);
  add("call-signalled", "VIRTIO 1.2, 2.7.7", "a used buffer is followed by a call", call_signalled);
  add("call-suppressed", "VIRTIO 1.2, 2.7.7", "VIRTQ_AVAIL_F_NO_INTERRUPT suppresses calls", call_suppressed);
  add("event-index-calls", "VIRTIO 1.2, 2.7.10", "used_event and avail_event ask for notifications", event_idx_calls);
  add("event-index-suppresses", "VIRTIO 1.2, 2.7.7", "a used_event that is not passed suppresses calls",
      event_idx_suppresses);
  add("event-index-wraps", "VIRTIO 1.2, 2.7.10", "event indices go on from 65535 to 0", event_idx_wraps);
  add("in-order", "VIRTIO 1.2, 2.7.9", "with VIRTIO_F_IN_ORDER buffers are used in the order in which they came",
      in_order);
  add("header-apart", "VIRTIO 1.2, 2.7.4", "a header may have a descriptor of its own", header_apart);
  add("indirect", "VIRTIO 1.2, 2.7.5.3", "frames may lie in indirect tables", indirect);
  add("usual-features", "VIRTIO 1.2, 5.1.6", "frames are used with offloads negotiated", all_features_data);
  add("ring-of-2", "VIRTIO 1.2, 2.7", "a ring may have 2 entries", smallest_ring);
  add("ring-of-1024", "VIRTIO 1.2, 2.7", "a ring may have 1024 entries", large_ring);
  add("ring-of-32768", "VIRTIO 1.2, 2.7", "a ring may have 32768 entries", largest_ring);
}

}  // namespace vhostx::tools::probe
