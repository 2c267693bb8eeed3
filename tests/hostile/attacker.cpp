// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/attacker.hpp"

#include <algorithm>
#include <poll.h>

#include "tools/probe/check/frames.hpp"

namespace vhostx::hostile {

using namespace protocol;
using tools::probe::Decided;
using tools::probe::failed;
using tools::probe::Fate;

Attacker::Attacker(Stage& stage, const Attack& attack)
    : stage_(stage), port_(attack.port), packed_rings_(attack.kind == virtqueue::RingKind::packed) {}

Guest& Attacker::guest(const GuestPlan& plan) {
  if (guest_) return *guest_;
  GuestPlan mine = plan;
  if (packed_rings_) mine.features.set(VirtioFeature::ring_packed);
  guest_.emplace(subject(), mine);
  packed_.clear();
  for (std::uint32_t vring = 0; packed_rings_ && vring < guest_->ring_count(); ++vring)
    packed_.emplace_back(guest_->ring(vring));
  return *guest_;
}

Guest& Attacker::running(const GuestPlan& plan) {
  if (guest_) return *guest_;
  error_ = tools::probe::need(EventFd::create(), "an eventfd");
  const std::size_t mark = back_end().events_until_now();
  Guest& made = guest(plan);
  for (std::uint32_t vring = 0; vring < made.ring_count(); ++vring)
    made.set_fd(FrontEndRequest::set_vring_err, vring, error_.get());
  if (packed_rings_)
    start_packed();
  else
    made.start();
  for (std::uint32_t vring = 0; vring < made.ring_count(); ++vring) {
    const auto started = back_end().wait_event(mark, [&](const BackEndEvent& event) {
      return event.name == "vring_started" && event.port == subject().path && event.vring == static_cast<int>(vring);
    });
    if (!started) throw Decided{failed("vring {} did not start", vring)};
  }
  send(1);
  await_sent("before the attack");
  for (std::uint32_t vring = 0; vring < made.ring_count(); ++vring) used_at_start_.push_back(used_index(vring));
  return made;
}

Link& Attacker::link() {
  if (guest_) return guest_->link();
  if (!bare_) bare_.emplace(Link::open(subject()));
  return *bare_;
}

void Attacker::leave() {
  guest_.reset();
  bare_.reset();
}

void Attacker::wrong(Message message) {
  fate_ = link().outcome_of(std::move(message));
  if (fate_ != Fate::refused && fate_ != Fate::accepted) return;
  tools::probe::need(link().receive_reply(), "GET_FEATURES behind a wrong message");  // outcome_of() leaves it unread
}

void Attacker::raw(const Header& header, std::size_t payload_bytes) {
  std::vector<std::byte> all(message_header_bytes + payload_bytes);
  const auto encoded = encode_header(header);
  std::copy(encoded.begin(), encoded.end(), all.begin());
  bytes(all);
}

void Attacker::bytes(const std::vector<std::byte>& bytes, const FdList& fds) { link().put_bytes(bytes, fds); }

virtqueue::Descriptor& Attacker::descriptor(std::uint32_t vring, std::uint16_t index) {
  if (packed_rings_) return packed(vring).descriptor(index);
  return table(vring)[index];
}

virtqueue::Descriptor* Attacker::table(std::uint32_t vring) {
  return reinterpret_cast<virtqueue::Descriptor*>(guest().ring(vring).addresses(vring).descriptor);
}

std::uint16_t* Attacker::avail(std::uint32_t vring) {
  return reinterpret_cast<std::uint16_t*>(guest().ring(vring).addresses(vring).available);
}

std::uint8_t* Attacker::used(std::uint32_t vring) {
  return reinterpret_cast<std::uint8_t*>(guest().ring(vring).addresses(vring).used);
}

std::uint64_t Attacker::guest_address(const void* at) {
  const auto address = reinterpret_cast<std::uint64_t>(at);
  for (std::size_t i = 0; i < guest().memory().region_count(); ++i) {
    const MemoryRegion region = guest().memory().description(i);
    if (address - region.front_end_address < region.size)
      return address - region.front_end_address + region.guest_address;
  }
  throw Decided{failed("an address that is not the guest's")};
}

void Attacker::show(std::uint32_t vring, std::initializer_list<std::uint16_t> heads) {
  show(vring, std::vector<std::uint16_t>(heads));
}

void Attacker::show(std::uint32_t vring, const std::vector<std::uint16_t>& heads) {
  if (packed_rings_) return show_packed(vring, heads);
  std::uint16_t* const ring = avail(vring);
  const std::uint16_t size = guest().ring(vring).options().size;
  std::uint16_t index = ring[1];
  for (const std::uint16_t head : heads) ring[2 + index++ % size] = head;
  __atomic_store_n(ring + 1, index, __ATOMIC_RELEASE);
  guest().ring(vring).kick();
}

std::uint16_t Attacker::used_index(std::uint32_t vring) {
  if (packed_rings_) return static_cast<std::uint16_t>(packed(vring).used());
  return __atomic_load_n(reinterpret_cast<std::uint16_t*>(used(vring)) + 1, __ATOMIC_ACQUIRE);
}

void Attacker::await_used(std::uint32_t vring, unsigned count) {
  const std::uint16_t first = used_at_start_.at(vring);
  const auto used = [&] { return static_cast<std::uint16_t>(used_index(vring) - first); };
  if (guest().wait([&] { return used() >= count; })) return;
  throw Decided{failed("of {} buffers of vring {} {} were used", count, vring, used())};
}

bool Attacker::caught_up(std::uint32_t vring) {
  if (!packed_rings_) return used_index(vring) == avail(vring)[1];
  packed(vring).used();
  return packed(vring).chains_out() == 0;
}

void Attacker::feed(unsigned frames, bool to_all) {
  if (packed_rings_) packed(into).write_again();
  if (!peer().send_all(frames, to_all)) throw Decided{failed("the honest guest's frames are not taken")};
}

void Attacker::start_packed() {
  for (unsigned pair = 0; pair < guest().ring_count() / 2; ++pair) post_receive(pair);
  for (std::uint32_t vring = 0; vring < guest().ring_count(); ++vring) {
    guest().describe(vring, PackedDriver::Position{}.value * 0x1'0001U);
    guest().arm(vring);
    guest().enable(vring);
  }
  for (std::uint32_t vring = 0; vring < guest().ring_count(); ++vring) guest().ring(vring).kick();
}

// The device gives room back, or this is no attack.
void Attacker::show_packed(std::uint32_t vring, const std::vector<std::uint16_t>& heads) {
  PackedDriver& driver = packed(vring);
  for (const std::uint16_t head : heads) {
    const auto has_room = [&] { return driver.free_entries() >= driver.entries_of(head); };
    if (!has_room()) {
      guest().ring(vring).kick();
      if (!guest().wait([&] { return driver.used(), has_room(); }))
        throw Decided{failed("the packed ring {} stays full: {}", vring, driver.fault())};
    }
    driver.show(head);
  }
  guest().ring(vring).kick();
}

void Attacker::lie(std::uint32_t vring) {
  if (packed_rings_) {
    packed(vring).show_endless();
  } else {
    std::uint16_t* const index = avail(vring) + 1;
    __atomic_store_n(index, static_cast<std::uint16_t>(*index + 1000), __ATOMIC_RELEASE);
  }
  guest().ring(vring).kick();
}

void Attacker::send(unsigned count, unsigned pair) {
  if (!packed_rings_) return guest().send(count, pair);
  auto& ring = guest().transmit(pair);
  const std::uint32_t vring = 2 * pair + 1;
  std::vector<std::uint16_t> heads;
  for (std::uint16_t i = 0; i < count; ++i) {
    const auto chain = static_cast<std::uint16_t>(i % ring.chain_count());
    const auto frame = tools::probe::make_frame(next_number_++);
    std::fill_n(ring.buffer(chain), guest().net_header_bytes(), std::uint8_t{0});
    std::copy(frame.begin(), frame.end(), ring.buffer(chain) + guest().net_header_bytes());
    descriptor(vring, chain) = {guest_address(ring.buffer(chain)),
                                guest().net_header_bytes() + static_cast<std::uint32_t>(frame.size()), 0, 0};
    heads.push_back(chain);
  }
  show_packed(vring, heads);
}

void Attacker::await_sent(const char* what, unsigned pair) {
  if (!packed_rings_) return static_cast<void>(guest().await_sent(what, pair));
  const std::uint32_t vring = 2 * pair + 1;
  if (!guest().wait([&] { return caught_up(vring); }))
    throw Decided{failed("{}: {} frames were not used", what, packed(vring).chains_out())};
  if (!packed(vring).fault().empty()) throw Decided{failed("{}: {}", what, packed(vring).fault())};
}

void Attacker::restart(std::uint32_t vring, std::uint16_t index) {
  guest().stop(vring);
  if (!packed_rings_) {
    guest().ring(vring).restart_at(index);
    return guest().restart(vring, index);
  }
  PackedDriver& driver = packed(vring);
  driver.restart_at({static_cast<std::uint16_t>(index % driver.size() | PackedDriver::Position::wrap_bit)});
  guest().restart(vring, driver.base());
}

void Attacker::post_receive(unsigned pair) {
  if (!packed_rings_) return guest().post_receive(pair);
  auto& ring = guest().receive(pair);
  PackedDriver& driver = packed(2 * pair);
  for (std::uint16_t i = 0; i < driver.size() && driver.free_entries() != 0; ++i) {
    driver.descriptor(i) = {guest_address(ring.buffer(i)), ring.options().buffer_bytes, writable, 0};
    driver.show(i);
  }
}

bool Attacker::error_signalled() const {
  pollfd watched{error_.get(), POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) == 1;
}

}  // namespace vhostx::hostile
