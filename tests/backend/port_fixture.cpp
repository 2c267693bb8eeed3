// SPDX-License-Identifier: BSD-3-Clause
#include "tests/backend/port_fixture.hpp"

#include <cstdlib>
#include <filesystem>
#include <poll.h>
#include <stdexcept>
#include <unistd.h>

#include "backend/connection/features.hpp"
#include "base/error.hpp"
#include "protocol/features.hpp"
#include "tests/support/eal.hpp"

namespace vhostx::test {

using namespace protocol;

namespace {

/// Before the first test: a Backend wants it.
struct RunningEal : ::testing::Environment {
  void SetUp() override { start_eal(); }
};
[[maybe_unused]] const auto* const running_eal = ::testing::AddGlobalTestEnvironment(new RunningEal);

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "vhostx-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  folder_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

EventHandler EventLog::handler() {
  return [this](Port&, const PortEvent& event) { add(event); };
}

void EventLog::add(const PortEvent& event) {
  const std::lock_guard guard(lock_);
  events_.push_back(event);
  arrived_.notify_all();
}

PortEvent EventLog::next() {
  std::unique_lock guard(lock_);
  if (!arrived_.wait_for(guard, patience, [this] { return !events_.empty(); }))
    throw std::runtime_error("no event came");
  PortEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::string EventLog::rest() {
  const std::lock_guard guard(lock_);
  std::string names;
  for (const PortEvent& event : events_) {
    if (!names.empty()) names += ' ';
    names += event_name(event);
  }
  events_.clear();
  return names;
}

PortFixture::PortFixture(std::function<void(PortOptions&)> change, BackendOptions backend_options)
    : backend(must(Backend::create(std::move(backend_options)))) {
  options.socket_path = folder.path("port");
  using P = protocol::ProtocolFeature;
  options.protocol_features_extra =
      protocol::ProtocolFeatureSet{P::backend_req, P::reset_device, P::inband_notifications, P::gpa_addresses}.bits();
  if (change) change(options);
  port = must(backend->open_port(options, events.handler()));
}

FakeMachine::FakeMachine(const std::string& path, std::uint16_t rings, std::vector<FakeGuest::Region> regions)
    : guest_(regions), front_end_(must(FakeFrontEnd::connect(path))) {
  make_rings(rings);
}

FakeMachine::FakeMachine(FakeFrontEnd connected, std::uint16_t rings, std::vector<FakeGuest::Region> regions)
    : guest_(regions), front_end_(std::move(connected)) {
  make_rings(rings);
}

void FakeMachine::make_rings(std::uint16_t count) {
  for (std::uint16_t i = 0; i < count; ++i)
    rings_.push_back(std::make_unique<Ring>(Ring{FakeDriver(guest_, 64, {.indirect = true}), must(EventFd::create()),
                                                 must(EventFd::create()), must(EventFd::create())}));
}

void FakeMachine::negotiate(FeatureSet features, ProtocolFeatureSet protocol_features) {
  if (tested_kind() == virtqueue::RingKind::packed) features.set(VirtioFeature::ring_packed);
  must(front_end_.negotiate(features, protocol_features));
}

MemoryRegion FakeMachine::region(std::size_t index) const {
  const auto d = guest_.description(index);
  return {d.guest.value, d.size, d.front_end.value, d.mmap_offset};
}

void FakeMachine::send_memory() {
  std::vector<MemoryRegion> regions;
  std::vector<UniqueFd> files;
  std::vector<int> fds;
  for (std::size_t i = 0; i < guest_.region_count(); ++i) {
    regions.push_back(region(i));
    files.push_back(guest_.file(i));
    fds.push_back(files.back().get());
  }
  must(front_end_.set_mem_table(regions, fds));
}

VringAddress FakeMachine::addresses(std::uint16_t index) const {
  const auto ring = rings_[index]->driver.addresses();
  return {.index = index, .descriptor = ring.descriptors.value, .used = ring.used.value, .available = ring.avail.value};
}

void FakeMachine::configure_ring(std::uint16_t index, std::uint32_t base) {
  must(front_end_.set_vring(FrontEndRequest::set_vring_num, index, ring(index).driver.size()));
  must(front_end_.set_vring(FrontEndRequest::set_vring_base, index, base));
  must(front_end_.set_vring_address(addresses(index)));
}

void FakeMachine::send_fds(std::uint16_t index) {
  must(front_end_.set_vring_fd(FrontEndRequest::set_vring_kick, index, ring(index).kick.get()));
  must(front_end_.set_vring_fd(FrontEndRequest::set_vring_call, index, ring(index).call.get()));
  must(front_end_.set_vring_fd(FrontEndRequest::set_vring_err, index, ring(index).err.get()));
}

void FakeMachine::enable(std::uint16_t index, bool enabled) {
  must(front_end_.set_vring(FrontEndRequest::set_vring_enable, index, enabled ? 1 : 0));
}

void FakeMachine::bring_up() {
  negotiate();
  send_memory();
  start_rings();
}

void FakeMachine::start_rings() {
  for (std::uint16_t i = 0; i < ring_count(); ++i) {
    configure_ring(i);
    send_fds(i);
    enable(i);
    kick(i);
  }
}

std::uint64_t FakeMachine::status_of(const Message& request) {
  Message copy = make_message(request.header(), request.payload());
  return must(front_end_.acknowledged(std::move(copy)));
}

std::uint64_t read_kick(Port& port, std::uint16_t ring) {
  std::uint64_t count = 0;
  const bool read = ::read(port.vring(ring).kick_fd(), &count, sizeof count) == sizeof count;
  // The control thread closes it some time after: what orders the two (a socket) is nothing that TSan sees; a lock is.
  static_cast<void>(port.info());
  return read ? count : 0;
}

bool signalled(const EventFd& eventfd, std::chrono::milliseconds timeout) {
  pollfd watched{eventfd.get(), POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(timeout.count())) == 1 && eventfd.drain();
}

}  // namespace vhostx::test
