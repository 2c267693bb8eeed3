// SPDX-License-Identifier: BSD-3-Clause
// A Port with its events, and a front-end with a guest's memory and rings, for tests of the control side.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <vhostx/backend.hpp>
#include <vhostx/events.hpp>
#include <vhostx/port.hpp>

#include "base/event_fd.hpp"
#include "protocol/features.hpp"
#include "tests/support/fake_driver.hpp"
#include "tests/support/fake_front_end.hpp"
#include "tests/support/fake_guest.hpp"

namespace vhostx::test {

inline constexpr std::chrono::seconds patience{
    20};  // far more than anything here takes; only a failure waits that long

/// A folder of the test's own, removed at its end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

 private:
  std::string folder_;
};

/// Collects a Port's events, and lets a test wait for them. Any thread.
class EventLog {
 public:
  EventHandler handler();
  void add(const PortEvent& event);

  /// The next event not yet taken, whatever it is; fails the test and throws when there is none in time.
  PortEvent next();
  /// Takes events until one of type T comes.
  template <typename T>
  T until() {
    for (;;) {
      const PortEvent event = next();
      if (const T* wanted = std::get_if<T>(&event)) return *wanted;
    }
  }
  /// Names of events that are there and were not taken, e.g. "vring_stopped vring_stopped disconnected".
  std::string rest();

 private:
  std::mutex lock_;
  std::condition_variable arrived_;
  std::deque<PortEvent> events_;
};

/// Backend and Port in a folder of their own. The port offers also the protocol features that must be asked for: the
/// front-ends of these tests do their part.
struct PortFixture {
  explicit PortFixture(std::function<void(PortOptions&)> change = {}, BackendOptions backend_options = {});

  TemporaryFolder folder;
  EventLog events;
  PortOptions options;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Port> port;
};

/// What most front-ends take.
inline constexpr protocol::FeatureSet usual_features{
    protocol::VirtioFeature::version_1, protocol::VirtioFeature::net_mrg_rxbuf, protocol::VirtioFeature::indirect_desc};
inline constexpr protocol::ProtocolFeatureSet usual_protocol_features{
    protocol::ProtocolFeature::mq,          protocol::ProtocolFeature::rarp,
    protocol::ProtocolFeature::reply_ack,   protocol::ProtocolFeature::mtu,
    protocol::ProtocolFeature::backend_req, protocol::ProtocolFeature::reset_device,
    protocol::ProtocolFeature::status,      protocol::ProtocolFeature::configure_mem_slots};

/// Makes a Result's failure the test's.
template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}
inline void must(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().message);
}

/// A connected front-end whose guest has memory and some rings of 64 entries.
class FakeMachine {
 public:
  struct Ring {
    FakeDriver driver;
    EventFd kick;
    EventFd call;
    EventFd err;
  };

  explicit FakeMachine(const std::string& path, std::uint16_t rings = 2,
                       std::vector<FakeGuest::Region> regions = {{0x4000'0000, std::size_t{8} << 20}});
  explicit FakeMachine(FakeFrontEnd connected, std::uint16_t rings = 2,
                       std::vector<FakeGuest::Region> regions = {{0x4000'0000, std::size_t{8} << 20}});

  FakeFrontEnd& front_end() { return front_end_; }
  FakeGuest& guest() { return guest_; }
  Ring& ring(std::uint16_t index) { return *rings_[index]; }
  std::uint16_t ring_count() const { return static_cast<std::uint16_t>(rings_.size()); }

  /// And RING_PACKED where packed rings are tested.
  void negotiate(protocol::FeatureSet features = usual_features,
                 protocol::ProtocolFeatureSet protocol_features = usual_protocol_features);
  void send_memory();
  /// SET_VRING_NUM, _BASE, _ADDR.
  void configure_ring(std::uint16_t index, std::uint32_t base = 0);
  /// SET_VRING_KICK, then _CALL and _ERR, as QEMU orders them.
  void send_fds(std::uint16_t index);
  void enable(std::uint16_t index, bool enabled = true);
  void kick(std::uint16_t index) { ring(index).kick.signal(); }
  /// Every ring configured, enabled and kicked.
  void start_rings();
  /// All of it.
  void bring_up();

  protocol::MemoryRegion region(std::size_t index) const;
  protocol::VringAddress addresses(std::uint16_t index) const;

  /// The status of an acknowledgement.
  std::uint64_t status_of(const protocol::Message& request);
  template <typename T>
  std::uint64_t status_of(protocol::FrontEndRequest request, const T& payload) {
    return status_of(protocol::make_request(request, payload, true));
  }
  /// A request that takes a round trip: what was sent before has been handled when it returns.
  void sync() { must(front_end_.get_u64(protocol::FrontEndRequest::get_features)); }

 private:
  void make_rings(std::uint16_t count);

  FakeGuest guest_;
  FakeFrontEnd front_end_;
  std::vector<std::unique_ptr<Ring>> rings_;
};

/// Reads the kick descriptor that a port shows: the number of kicks, 0 when there is none to read.
std::uint64_t read_kick(Port& port, std::uint16_t ring);

/// True when `eventfd` is signalled within the time a test is willing to wait; takes the signal.
bool signalled(const EventFd& eventfd, std::chrono::milliseconds timeout = patience);

}  // namespace vhostx::test
