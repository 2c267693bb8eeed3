// SPDX-License-Identifier: BSD-3-Clause
// Packed rings: most is what holds for split ones too, and is checked by the same text.
#include <algorithm>
#include <array>
#include <stdexcept>

#include "tools/probe/check/check.hpp"
#include "tools/probe/check/guest.hpp"
#include "tools/probe/check/raw_driver.hpp"
#include "tools/probe/session/ring_kind.hpp"

namespace vhostx::tools::probe {

using namespace protocol;

namespace {

constexpr std::uint16_t used_bits = virtqueue::packed_avail_flag | virtqueue::packed_used_flag;

Subject with_packed_rings(const Subject& subject) {
  need_offered(subject, VirtioFeature::ring_packed);
  Subject packed = subject;
  packed.packed = true;
  return packed;
}

/// Checks of split rings that hold for packed ones, and where VIRTIO 1.2 says so; null: the section is the same.
struct Shared {
  const char* id;
  const char* section;
};
constexpr const char* used_section = "VIRTIO 1.2, 2.8.4";
constexpr const char* events_section = "VIRTIO 1.2, 2.8.10";
constexpr const char* sizes_section = "VIRTIO 1.2, 2.8";
constexpr const char* bases_section = "Vring descriptor indices for packed virtqueues";
constexpr std::array shared_checks{
    Shared{"ring.starts-on-kick", nullptr},
    Shared{"ring.starts-with-buffers", nullptr},
    Shared{"ring.kick-injected", nullptr},
    Shared{"ring.kick-injected-empty", nullptr},
    Shared{"ring.disabled-tx-drained", nullptr},
    Shared{"ring.disabled-later-tx-drained", nullptr},
    Shared{"ring.enabled-again", nullptr},
    Shared{"ring.enabled-without-protocol-features", nullptr},
    Shared{"ring.stop-stops-one", nullptr},
    Shared{"ring.base-counts", bases_section},
    Shared{"ring.base-unstarted", bases_section},
    Shared{"ring.stopped-untouched", nullptr},
    Shared{"ring.restarts-at-base", nullptr},
    Shared{"ring.index-wraps", bases_section},
    Shared{"ring.kick-without-descriptor", nullptr},
    Shared{"ring.call-without-descriptor", nullptr},
    Shared{"ring.late-call-signalled", nullptr},
    Shared{"ring.call-swapped", nullptr},
    Shared{"ring.call-swapped-under-traffic", nullptr},
    Shared{"ring.second-pair", nullptr},
    Shared{"data.used-once", used_section},
    Shared{"data.call-signalled", events_section},
    Shared{"data.call-suppressed", events_section},
    Shared{"data.event-index-calls", events_section},
    Shared{"data.event-index-suppresses", events_section},
    Shared{"data.event-index-wraps", events_section},
    Shared{"data.header-apart", "VIRTIO 1.2, 2.8.6"},
    Shared{"data.indirect", "VIRTIO 1.2, 2.8.7"},
    Shared{"data.usual-features", nullptr},
    Shared{"data.ring-of-2", sizes_section},
    Shared{"data.ring-of-1024", sizes_section},
    Shared{"data.ring-of-32768", sizes_section},
    Shared{"receive.delivered", nullptr},
    Shared{"receive.num-buffers", nullptr},
    Shared{"receive.used-length", used_section},
    Shared{"receive.mergeable", nullptr},
    Shared{"receive.call-signalled", events_section},
    Shared{"receive.disabled-untouched", nullptr},
    Shared{"receive.stopped-untouched", nullptr},
    Shared{"receive.enabled-without-protocol-features", nullptr},
    Shared{"receive.memory-exchanged", nullptr},
    Shared{"log.used-ring", nullptr},
    Shared{"log.received-frame", nullptr},
    Shared{"log.received-pages", nullptr},
    Shared{"log.switched-on", nullptr},
    Shared{"log.switched-off", nullptr},
    Shared{"log.off", nullptr},
};

Check packed_form(const Checks& checks, const Shared& one) {
  const auto at = std::find_if(checks.begin(), checks.end(), [&](const Check& check) { return check.id == one.id; });
  if (at == checks.end()) throw std::logic_error(one.id);
  Check check = *at;
  std::replace(check.id.begin(), check.id.end(), '.', '-');
  check.id = "packed." + check.id;
  if (one.section != nullptr) check.section = one.section;
  check.title = "packed rings: " + check.title;
  check.run = [run = at->run](const Subject& subject) { return run(with_packed_rings(subject)); };
  return check;
}

/// `count` frames, as many at a time as the ring holds.
Verdict carry(Guest& guest, unsigned count, std::string_view what) {
  guest.start();
  unsigned left = count;
  while (left != 0) {
    guest.send(std::min<unsigned>(left, guest.transmit().chain_count()));
    left -= guest.await_sent(what);
  }
  return passed("{} frames through {}", count, what);
}

Verdict ring_of_1(const Subject& subject) {
  Guest guest(subject, {.ring_size = 1});
  return carry(guest, 16, "a ring of 1");
}
Verdict ring_of_100(const Subject& subject) {
  Guest guest(subject, {.ring_size = 100});
  return carry(guest, 1000, "a ring of 100");
}
/// Of each second lap a chain lies in the last entry and the first.
Verdict chains_wrap(const Subject& subject) {
  Guest guest(subject, {.ring_size = 7, .layout = ChainLayout::two});
  return carry(guest, 70, "a ring of 7 with chains of two");
}

/// The length means nothing then (2.8.4): the flag says that nothing was written.
Verdict nothing_written(const Subject& subject) {
  Guest guest(subject, {});
  guest.start();
  const auto begin = packed_place(guest);
  guest.send(8);
  guest.await_sent("8 frames");
  for (std::uint32_t i = 0; i < 8; ++i)
    if ((packed_tail(guest, begin.after(i, 64)) >> 16 & virtqueue::Descriptor::write_flag) != 0)
      return failed("frame {}: a buffer that is read-only was written, says VIRTQ_DESC_F_WRITE", i);
  return passed("8 buffers used without VIRTQ_DESC_F_WRITE");
}

Verdict any_id(const Subject& subject) {
  Guest guest(subject, {});
  guest.start();
  guest.send(4);
  guest.await_sent("frames before");
  for (const std::uint16_t id : {std::uint16_t{4711}, std::uint16_t{65535}}) {
    const auto at = packed_place(guest);
    const auto honest = honest_descriptor(guest);
    const RawPacked one{honest.address, honest.length, id};
    show_packed(guest, std::span(&one, 1));
    guest.transmit().kick();
    const auto used = [&] { return static_cast<std::uint16_t>(packed_tail(guest, at) >> 16) & used_bits; };
    if (!guest.wait([&] { return used() == at.used(); })) return failed("a buffer with id {} was not used", id);
    if (const auto seen = static_cast<std::uint16_t>(packed_tail(guest, at)); seen != id)
      return failed("a buffer with id {} was used, and id {} came back", id, seen);
    guest.transmit().restart_at(at.after(1, guest.transmit().options().size).value);
  }
  return passed("ids 4711 and 65535 of a ring of 64");
}

/// As DPDK's front-end and its back-end have it: the place of the next available descriptor alone.
Verdict base_of_16_bits(const Subject& subject) {
  Guest guest(subject, {});
  guest.start();
  guest.send(7);
  guest.await_sent("a ring that runs");
  const std::uint32_t base = guest.stop(1) & 0xffff;
  guest.restart(1, base);
  guest.send(7);
  guest.await_sent("a ring that was started at a base without its upper half");
  return passed("went on at {}", text_of_base(true, base));
}

}  // namespace

void add_packed_checks(Checks& checks) {
  Checks own;
  for (const Shared& one : shared_checks) own.push_back(packed_form(checks, one));
  const auto add = [&](const char* id, const char* section, const char* title, Verdict (*run)(const Subject&)) {
    own.push_back(
        {std::string("packed.") + id, section, std::string("packed rings: ") + title, [run](const Subject& subject) {
           need_net(subject);
           return run(with_packed_rings(subject));
         }});
  };
  add("data-used-write-flag", used_section, "a read-only buffer is not marked as written", nothing_written);
  add("data-ring-of-1", sizes_section, "a ring may have 1 entry", ring_of_1);
  add("data-ring-of-100", sizes_section, "a ring's size need not be a power of two", ring_of_100);
  add("data-chain-wraps", "VIRTIO 1.2, 2.8.6", "a chain may begin in the last entry and end in the first", chains_wrap);
  add("data-id-any", "VIRTIO 1.2, 2.8.13", "a buffer's id may be any number", any_id);
  add("ring-base-of-16-bits", bases_section, "a ring starts again at a base whose upper half is 0", base_of_16_bits);
  checks.insert(checks.end(), own.begin(), own.end());
}

}  // namespace vhostx::tools::probe
