// SPDX-License-Identifier: BSD-3-Clause
// Records of what is in flight: of sizes that disagree, damaged before a ring starts, rewritten and taken away while it
// runs.
#include <cstring>
#include <unistd.h>

#include <sys/mman.h>

#include "tests/hostile/attacks/make.hpp"

namespace vhostx::hostile {

using namespace protocol;

namespace {

constexpr std::uint16_t queues = 2;
constexpr std::uint16_t queue_size = 64;
constexpr std::size_t region_bytes = 1088;  // 16 + 64 * 16, rounded up to 64
constexpr std::size_t area_bytes = queues * region_bytes;
constexpr Inflight usual{area_bytes, 0, queues, queue_size, 0};
const GuestPlan can_record{.protocol = {P::inflight_shmfd}};

Message area_message(const Inflight& area, UniqueFd file) {
  return with_fd(make_request(Request::set_inflight_fd, area), std::move(file));
}

/// An area of the attacker's own, as it sees it.
class Area {
 public:
  Area() : file_(memory_file(area_bytes)) {
    void* const view = ::mmap(nullptr, area_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (view == MAP_FAILED) throw tools::probe::Decided{tools::probe::failed("the area is not mapped")};
    view_ = static_cast<std::uint8_t*>(view);
  }
  ~Area() { ::munmap(view_, area_bytes); }
  Area(const Area&) = delete;
  Area& operator=(const Area&) = delete;

  const UniqueFd& file() const noexcept { return file_; }
  std::uint8_t* begin() noexcept { return view_; }
  /// Of the ring from the guest.
  void header(std::uint16_t version, std::uint16_t desc_num, std::uint16_t last_batch_head, std::uint16_t used_idx) {
    const std::uint16_t words[]{version, desc_num, last_batch_head, used_idx};
    std::memcpy(view_ + region_bytes + 8, words, sizeof words);
  }
  void entry(std::size_t head, std::uint8_t in_flight, std::uint16_t next_head) {
    std::uint8_t* const at = view_ + region_bytes + 16 + head * 16;
    at[0] = in_flight;
    std::memcpy(at + 6, &next_head, sizeof next_head);
  }
  void give_to(Guest& guest) { guest.link().change(area_message(usual, tools::duplicate(file_.get()))); }

 private:
  UniqueFd file_;
  std::uint8_t* view_;
};

Group::Run ask(std::uint16_t count, std::uint16_t size) {
  return [=](Attacker& attacker) {
    attacker.guest(can_record);
    attacker.wrong(make_request(Request::get_inflight_fd, Inflight{0, 0, count, size, 0}));
  };
}

Group::Run bring(const Inflight& area, std::size_t file_bytes = area_bytes) {
  return [=](Attacker& attacker) {
    attacker.guest(can_record);
    attacker.wrong(area_message(area, memory_file(file_bytes)));
  };
}

/// The ring from the guest is to start with what `damage` leaves of its record.
Group::Run start_with(void (*damage)(Area&)) {
  return [=](Attacker& attacker) {
    Guest& guest = attacker.guest(can_record);
    Area area;
    damage(area);
    area.give_to(guest);
    guest.describe(out_of, 1);  // a base: it does not wait for a kick
    attacker.wrong(with_fd(number(Request::set_vring_kick, out_of), event_fd()));
  };
}

void rewrite_record_under_traffic(Attacker& attacker) {
  Guest& guest = attacker.guest(can_record);
  Area area;
  area.give_to(guest);
  guest.start();
  guest.send(1);
  guest.await_sent("rings with a record");
  for (unsigned i = 0; i < 200; ++i) {
    for (std::size_t at = 0; at < area_bytes; ++at) area.begin()[at] = static_cast<std::uint8_t>(at * 31 + i);
    guest.send(8);
    guest.await_sent("rings whose record is rewritten");
  }
}

void shrink_record_under_traffic(Attacker& attacker) {
  Guest& guest = attacker.guest(can_record);
  Area area;
  area.give_to(guest);
  guest.start();
  guest.send(1);
  guest.await_sent("rings with a record");
  if (::ftruncate(area.file().get(), 0) != 0)
    throw tools::probe::Decided{tools::probe::failed("the file is not truncated")};
  while (!attacker.link().peer_is_gone()) {
    guest.send(1);
    guest.wait([&] { return attacker.link().peer_is_gone() || attacker.caught_up(out_of); });
    guest.take_sent();
  }
}

// What the back-end records is what it reads next, as indices, descriptors and packets. A ring that lies there already
// is no record, and is refused as one; a region of zeroes is a new one.
void record_in_the_rings(Attacker& attacker) {
  Guest& guest = attacker.guest(can_record);
  guest.link().change(area_message(usual, tools::duplicate(guest.memory().fd(0))));
  try {
    guest.start();
    guest.send(8);
  } catch (const tools::probe::Decided&) {
  }
  attacker.sync();
}

void ask_again_and_again(Attacker& attacker) {
  Guest& guest = attacker.guest(can_record);
  for (int i = 0; i < 500; ++i)
    guest.link().exchange(make_request(Request::get_inflight_fd, Inflight{0, 0, queues, 32768, 0}));
}

void bring_again_and_again(Attacker& attacker) {
  Guest& guest = attacker.guest(can_record);
  for (int i = 0; i < 500; ++i) Area().give_to(guest);
  guest.start();
}

}  // namespace

void add_inflight_attacks(Attacks& attacks) {
  Group group(attacks, "inflight");
  group.add("area-for-no-queue", closed("in-flight area for 0 queues, expected 1 to 4"), ask(0, queue_size));
  group.add("area-for-65535-queues", closed("in-flight area for 65535 queues, expected 1 to 4"), ask(0xffff, 0xffff),
            "2021-3839");
  group.add("area-for-queues-of-no-entry", closed("queues of 0 entries, expected 1 to 32768"), ask(queues, 0));
  group.add("areas-again-and-again", harmless(), ask_again_and_again);
  group.add("smaller-than-its-queues", refused("in-flight area of 0x43f bytes, expected at least 0x880"),
            bring({region_bytes - 1, 0, queues, queue_size, 0}), "2026-86565");
  group.add("larger-than-its-file", refused("its file has 0x1000"),
            bring({area_bytes, 2048, queues, queue_size, 0}, 4096));
  group.add("whose-offset-wraps", refused("SET_INFLIGHT_FD: in-flight area"),
            bring({area_bytes, ~std::uint64_t{0} - 63, queues, queue_size, 0}));
  group.add("brought-again-and-again", harmless(), bring_again_and_again, "2020-10726");
  group.add("brought-while-rings-run", refused("rings run, expected GET_VRING_BASE first"), [](Attacker& attacker) {
    attacker.running(can_record);
    attacker.wrong(area_message(usual, memory_file(area_bytes)));
  });
  group.add("of-version-7", refused("in-flight record: version 7"),
            start_with([](Area& area) { area.header(7, queue_size, 0, 0); }));
  group.add("of-another-size", refused("in-flight record: desc_num 32768"),
            start_with([](Area& area) { area.header(1, 32768, 0, 0); }));
  group.add("whose-list-has-a-cycle", refused("has entry 3 twice"), start_with([](Area& area) {
              area.header(1, queue_size, 3, static_cast<std::uint16_t>(-queue_size));
              area.entry(3, 1, 4);
              area.entry(4, 1, 3);
            }));
  group.add("whose-list-leaves-it", refused("the last batch has entry 65535"), start_with([](Area& area) {
              area.header(1, queue_size, 3, 0xfff0);
              area.entry(3, 1, 0xffff);
            }));
  group.add("whose-used-index-is-far-off", refused("does not fit the ring's used->idx"), start_with([](Area& area) {
              area.header(1, queue_size, 3, 1000);
              area.entry(3, 1, 0);
            }));
  group.add("with-more-in-flight-than-available", refused("chains are in flight, the driver has made 0 available"),
            start_with([](Area& area) {
              area.header(1, queue_size, 0, 0);
              for (std::size_t head = 0; head < queue_size; ++head) area.entry(head, 1, 0);
            }));
  group.add("rewritten-under-traffic", harmless(), rewrite_record_under_traffic);
  group.add("shrunk-under-traffic", closed("the in-flight area is lost"), shrink_record_under_traffic);
  group.add("in-the-guests-own-memory", survived(), record_in_the_rings);
}

}  // namespace vhostx::hostile
