// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/attacker.hpp"

#include <algorithm>
#include <poll.h>

namespace vhostx::hostile {

using namespace protocol;
using tools::probe::Decided;
using tools::probe::failed;
using tools::probe::Fate;

Attacker::Attacker(Stage& stage, Socket port) : stage_(stage), port_(port) {}

Guest& Attacker::guest(const GuestPlan& plan) {
  if (!guest_) guest_.emplace(subject(), plan);
  return *guest_;
}

Guest& Attacker::running(const GuestPlan& plan) {
  if (guest_) return *guest_;
  error_ = tools::probe::need(EventFd::create(), "an eventfd");
  const std::size_t mark = back_end().events_until_now();
  Guest& made = guest(plan);
  for (std::uint32_t vring = 0; vring < made.ring_count(); ++vring)
    made.set_fd(FrontEndRequest::set_vring_err, vring, error_.get());
  made.start();
  for (std::uint32_t vring = 0; vring < made.ring_count(); ++vring) {
    const auto started = back_end().wait_event(mark, [&](const BackEndEvent& event) {
      return event.name == "vring_started" && event.port == subject().path && event.vring == static_cast<int>(vring);
    });
    if (!started) throw Decided{failed("vring {} did not start", vring)};
  }
  made.send(1);
  made.await_sent("before the attack");
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
  return reinterpret_cast<virtqueue::Descriptor*>(guest().ring(vring).addresses(vring).descriptor)[index];
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
  std::uint16_t* const ring = avail(vring);
  const std::uint16_t size = guest().ring(vring).options().size;
  std::uint16_t index = ring[1];
  for (const std::uint16_t head : heads) ring[2 + index++ % size] = head;
  __atomic_store_n(ring + 1, index, __ATOMIC_RELEASE);
  guest().ring(vring).kick();
}

std::uint16_t Attacker::used_index(std::uint32_t vring) {
  return __atomic_load_n(reinterpret_cast<std::uint16_t*>(used(vring)) + 1, __ATOMIC_ACQUIRE);
}

void Attacker::await_used(std::uint32_t vring, unsigned count) {
  const std::uint16_t first = used_at_start_.at(vring);
  const auto used = [&] { return static_cast<std::uint16_t>(used_index(vring) - first); };
  if (guest().wait([&] { return used() >= count; })) return;
  throw Decided{failed("of {} buffers of vring {} {} were used", count, vring, used())};
}

void Attacker::feed(unsigned frames, bool to_all) {
  if (!peer().send_all(frames, to_all)) throw Decided{failed("the honest guest's frames are not taken")};
}

bool Attacker::error_signalled() const {
  pollfd watched{error_.get(), POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) == 1;
}

}  // namespace vhostx::hostile
