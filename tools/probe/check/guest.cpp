// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/guest.hpp"

#include <algorithm>
#include <cstring>
#include <poll.h>
#include <thread>

namespace vhostx::tools::probe {

using namespace protocol;
using Clock = std::chrono::steady_clock;
using Request = FrontEndRequest;

Guest::Guest(const Subject& subject, const GuestPlan& plan) : subject_(subject), link_(Link::open(subject)) {
  negotiate(plan);
  make_rings(plan);
  if (plan.share) share_memory();
}

void Guest::negotiate(const GuestPlan& plan) {
  need_queue_pairs(subject_, plan.pairs);
  FeatureSet wanted = plan.features;
  wanted.set(VirtioFeature::version_1);
  if (subject_.packed) wanted.set(VirtioFeature::ring_packed);
  if (!subject_.features.has_all(wanted))
    throw Decided{not_applicable("{}: not offered", to_string(wanted.without(subject_.features)))};
  const bool bit_30 = plan.protocol_features && subject_.features.has(VirtioFeature::vhost_user_protocol_features);
  if (!bit_30 && !plan.protocol.empty()) throw Decided{not_applicable("no protocol features are offered")};
  if (bit_30) {
    const ProtocolFeatureSet usual{ProtocolFeature::reply_ack, ProtocolFeature::mq};
    const ProtocolFeatureSet all = plan.protocol | (usual & subject_.protocol);
    link_.negotiate_protocol(all);
    acknowledges_ = all.has(ProtocolFeature::reply_ack);
    guest_addresses_ = all.has(ProtocolFeature::gpa_addresses);
    wanted.set(VirtioFeature::vhost_user_protocol_features);
  }
  features_ = wanted;
  link_.change(make_request(Request::set_owner));
  link_.change(make_request(Request::set_features, U64{wanted.bits()}));
}

DriverRingOptions Guest::ring_options(const GuestPlan& plan, bool device_writes) const {
  DriverRingOptions options{.size = plan.ring_size, .layout = plan.layout, .device_writes = device_writes};
  options.packed = packed();
  options.event_idx = features_.has(VirtioFeature::event_idx);
  options.net_header_bytes = net_header_bytes_;
  options.buffer_bytes = device_writes ? plan.receive_bytes : plan.transmit_bytes;
  options.first_index = plan.first_index;
  return options;
}

void Guest::make_rings(const GuestPlan& plan) {
  const auto receive = ring_options(plan, true);
  const auto transmit = ring_options(plan, false);
  const std::size_t bytes = plan.pairs * (DriverRing::memory_bytes(receive) + DriverRing::memory_bytes(transmit));
  const std::size_t piece = std::max(DriverRing::piece_bytes_max(receive), DriverRing::piece_bytes_max(transmit));
  memory_.emplace(need(SharedMemory::create(bytes, plan.regions, piece, false), "guest memory"));
  // Of other devices only the first queue is sure to be there.
  const unsigned count = subject_.net ? 2 * plan.pairs : 1;
  for (unsigned vring = 0; vring < count; ++vring) {
    rings_.push_back(need(DriverRing::create(*memory_, vring % 2 == 0 ? receive : transmit), "a ring"));
    rings_.back().want_calls(true);
  }
}

void Guest::share_memory() {
  std::vector<MemoryRegion> regions;
  for (std::size_t i = 0; i < memory_->region_count(); ++i) regions.push_back(region(i));
  Message message = make_memory_table(regions);
  for (std::size_t i = 0; i < regions.size(); ++i) message.add_fd(duplicate(memory_->fd(i)));
  link_.change(std::move(message));
}

MemoryRegion Guest::region(std::size_t index) const {
  MemoryRegion description = memory_->description(index);
  if (guest_addresses_) description.front_end_address = description.guest_address;
  return description;
}

std::uint64_t Guest::guest_address(std::uint64_t front_end) const {
  for (std::size_t i = 0; i < memory_->region_count(); ++i) {
    const MemoryRegion description = memory_->description(i);
    const std::uint64_t offset = front_end - description.front_end_address;
    if (offset < description.size) return description.guest_address + offset;
  }
  return front_end;
}

VringAddress Guest::addresses(std::uint32_t vring) const {
  VringAddress addresses = rings_[vring].addresses(vring);
  if (guest_addresses_)
    for (std::uint64_t* const address : {&addresses.descriptor, &addresses.available, &addresses.used})
      *address = guest_address(*address);
  return addresses;
}

void Guest::describe(std::uint32_t vring, std::uint32_t base) {
  link_.change(make_request(Request::set_vring_num, VringState{vring, rings_[vring].options().size}));
  link_.change(make_request(Request::set_vring_base, VringState{vring, base}));
  link_.change(make_request(Request::set_vring_addr, addresses(vring)));
}

void Guest::set_fd(Request request, std::uint32_t vring, int fd) {
  Message message = make_request(request, U64{vring | (fd < 0 ? vring_no_fd : 0)});
  if (fd >= 0) message.add_fd(duplicate(fd));
  link_.change(std::move(message));
}

void Guest::arm(std::uint32_t vring) {
  set_fd(Request::set_vring_call, vring, rings_[vring].call_fd());
  set_fd(Request::set_vring_kick, vring, rings_[vring].kick_fd());
}

void Guest::enable(std::uint32_t vring, bool on) {
  if (!features_.has(VirtioFeature::vhost_user_protocol_features)) return;
  link_.change(make_request(Request::set_vring_enable, VringState{vring, on ? 1U : 0U}));
}

void Guest::start() {
  for (std::uint32_t vring = 0; vring < ring_count(); vring += 2) post_receive(vring / 2);
  for (std::uint32_t vring = 0; vring < ring_count(); ++vring) {
    describe(vring, rings_[vring].base());
    arm(vring);
  }
  for (std::uint32_t vring = 0; vring < ring_count(); ++vring) enable(vring);
  for (DriverRing& ring : rings_) ring.kick();
}

std::uint32_t Guest::stop(std::uint32_t vring) {
  return need(link_.get_vring_base(vring), fmt::format("GET_VRING_BASE of ring {}", vring));
}

bool Guest::is_at(std::uint32_t vring, std::uint32_t base) const noexcept {
  const std::uint32_t expected = rings_[vring].base();
  return base == expected || (packed() && base == (expected & 0xffff));
}

void Guest::restart(std::uint32_t vring, std::uint32_t base) {
  describe(vring, base);
  arm(vring);
  enable(vring);
  rings_[vring].kick();
}

void Guest::post_receive(unsigned pair) {
  DriverRing& ring = receive(pair);
  for (std::uint16_t chain = 0; chain < ring.chain_count() && ring.outstanding() < posted_max_; ++chain)
    if (!ring.is_out(chain)) ring.post(chain, ring.options().buffer_bytes);
  ring.publish();
  ring.notify();
}

void Guest::send(unsigned count, unsigned pair, bool to_all) {
  DriverRing& ring = transmit(pair);
  unsigned sent = 0;
  for (std::uint16_t chain = 0; chain < ring.chain_count() && sent < count; ++chain) {
    if (ring.is_out(chain)) continue;
    const Frame frame = make_frame(next_number_++, 64, to_all);
    std::memset(ring.buffer(chain), 0, net_header_bytes_);
    std::copy(frame.begin(), frame.end(), ring.buffer(chain) + net_header_bytes_);
    ring.post(chain, net_header_bytes_ + static_cast<std::uint32_t>(frame.size()));
    ++sent;
  }
  ring.publish();
  ring.notify();
}

unsigned Guest::take_sent(unsigned pair) {
  DriverRing& ring = transmit(pair);
  const unsigned count = ring.used_waiting();
  ring.take(count, [](std::uint16_t) {});
  if (!ring.fault().empty()) throw Decided{failed("the transmit ring: {}", ring.fault())};
  return count;
}

unsigned Guest::await_sent(std::string_view what, unsigned pair) {
  DriverRing& ring = transmit(pair);
  unsigned taken = 0;
  wait([&] {
    taken += take_sent(pair);
    return ring.outstanding() == 0;
  });
  if (ring.outstanding() == 0) return taken;
  throw Decided{failed("{}: {} of {} frames were used within {} ms", what, taken, taken + ring.outstanding(),
                       subject_.timeout.count())};
}

std::optional<Guest::Arrival> Guest::take_arrival() {
  DriverRing& ring = receive();
  if (ring.used_waiting() == 0) return std::nullopt;
  Arrival arrival;
  const auto first = ring.peek(0);
  if (!ring.is_out(first.chain)) throw Decided{failed("a used buffer (id {}) that was not posted", first.chain)};
  arrival.first_length = first.length;
  std::memcpy(&arrival.buffers, ring.buffer(first.chain) + 10, sizeof arrival.buffers);
  const unsigned count = mergeable() ? std::max<unsigned>(arrival.buffers, 1) : 1;
  if (!wait([&] { return ring.used_waiting() >= count; }))
    throw Decided{failed("num_buffers is {}, and {} buffers came", arrival.buffers, ring.used_waiting())};
  for (unsigned i = 0; i < count; ++i) {
    const auto used = ring.peek(static_cast<std::uint16_t>(i));
    if (!ring.is_out(used.chain)) throw Decided{failed("a used buffer (id {}) that was not posted", used.chain)};
    const std::uint32_t length = std::min(used.length, ring.options().buffer_bytes);
    const std::uint32_t skip = i == 0 ? std::min(net_header_bytes_, length) : 0;
    arrival.bytes.insert(arrival.bytes.end(), ring.buffer(used.chain) + skip, ring.buffer(used.chain) + length);
  }
  arrival.used_entries = count;
  ring.take(count, [](std::uint16_t) {});
  post_receive();
  return arrival;
}

bool Guest::wait(const std::function<bool()>& condition) const {
  const auto end = Clock::now() + subject_.timeout;
  while (!condition()) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // shared memory has no event of its own
  }
  return true;
}

bool Guest::stays_unused(std::uint32_t vring) {
  const auto end = Clock::now() + quiet_time;
  while (Clock::now() < end) {
    if (rings_[vring].used_waiting() != 0) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return rings_[vring].used_waiting() == 0;
}

bool Guest::await_call(int fd) const {
  pollfd watched{fd, POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(subject_.timeout.count())) == 1;
}

bool Guest::is_signalled(int fd) {
  pollfd watched{fd, POLLIN, 0};
  return ::poll(&watched, 1, 0) == 1;
}

}  // namespace vhostx::tools::probe
