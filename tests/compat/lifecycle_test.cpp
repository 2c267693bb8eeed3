// SPDX-License-Identifier: BSD-3-Clause
// When the application is called, and what it may ask then.
#include <atomic>
#include <cerrno>
#include <mutex>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

#include "tests/backend/traffic.hpp"
#include "tests/compat/application.hpp"
#include "tests/protocol/open_fds.hpp"

namespace vhostx::test {
namespace {

using namespace compat;
using protocol::FrontEndRequest;

constexpr std::uint64_t host_tso4 = std::uint64_t{1} << 11;
constexpr std::uint64_t ring_packed = std::uint64_t{1} << 34;
constexpr std::uint64_t host_uso = std::uint64_t{1} << 56;
constexpr std::uint8_t driver_ok = 0x0f;

// What a front-end says before its rings, and all but the kicks of those.
void prepare(FakeMachine& machine, protocol::ProtocolFeatureSet protocol_features = {}) {
  machine.negotiate(usual_features, protocol_features);
  machine.send_memory();
}

void make_ready(FakeMachine& machine) {
  for (std::uint16_t i = 0; i < machine.ring_count(); ++i) {
    machine.configure_ring(i);
    machine.send_fds(i);
    machine.enable(i);
  }
}

bool readable(int fd) {
  pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, 0) == 1 && one.revents == POLLIN;
}

// Its queues are ready, and the device is new when the driver is.
void expect_to_wait_for_the_driver(Application& application, FakeMachine& machine) {
  make_ready(machine);
  machine.sync();
  application.until("queue 1 on");
  machine.enable(1, false);
  EXPECT_EQ(application.next(), "queue 1 off") << "a device that was new by now would have been told of before";
  machine.enable(1, true);
  EXPECT_EQ(application.next(), "queue 1 on");
  EXPECT_EQ(machine.status_of(FrontEndRequest::set_status, protocol::U64{driver_ok}), 0u);
  EXPECT_EQ(application.next(), "new_device 0");
}

bool shows_kick(std::uint16_t queue) {
  VringFacts vring{};
  return rte_vhost_get_vhost_vring(0, queue, &vring) == 0 && vring.kick_fd >= 0;
}

// Waits until a new_device was told of; its vid.
int bring_up(Application& application, FakeMachine& machine) {
  prepare(machine);
  make_ready(machine);
  application.until("new_device 0");
  for (std::uint16_t i = 0; i < machine.ring_count(); ++i) machine.kick(i);
  return 0;
}

TEST(RteVhostLifecycle, ADeviceIsNewWhenItsQueuesAreReadyAndBeforeTheyAreKicked) {
  Application application;
  ASSERT_EQ(application.start(), 0);
  FakeMachine machine(application.path());
  prepare(machine);
  make_ready(machine);
  EXPECT_EQ(application.next(), "new_connection 0");
  EXPECT_EQ(application.next(), "queue 0 on");
  EXPECT_EQ(application.next(), "queue 1 on");
  EXPECT_EQ(application.next(), "new_device 0");
}

TEST(RteVhostLifecycle, ItWaitsForTheDriverWhereTheFrontEndTellsOfIt) {
  Application application;
  application.start();
  FakeMachine machine(application.path());
  prepare(machine, usual_protocol_features);
  expect_to_wait_for_the_driver(application, machine);
}

TEST(RteVhostLifecycle, AStoppedQueueEndsTheDeviceAndADisabledOneDoesNot) {
  Application application;
  application.start();
  FakeMachine machine(application.path());
  bring_up(application, machine);
  machine.enable(1, false);
  application.until("queue 1 off");
  machine.enable(1, true);
  application.until("queue 1 on");
  must(machine.front_end().get_vring_base(0));
  application.until("destroy_device 0");
  EXPECT_EQ(application.next(), "queue 0 off");
}

// Applications forget which queues are on when the device ends.
TEST(RteVhostLifecycle, QueuesThatGoOnAreToldOfAgainWhenAnotherOneHasStopped) {
  Application application;
  application.start();
  FakeMachine machine(application.path(), 4);
  bring_up(application, machine);
  while (!shows_kick(3)) std::this_thread::yield();
  must(machine.front_end().get_vring_base(2));
  application.until("destroy_device 0");
  for (const char* call : {"queue 0 on", "queue 1 on", "queue 2 off", "queue 3 on", "new_device 0"})
    EXPECT_EQ(application.next(), call);
}

TEST(RteVhostLifecycle, ADriverThatWasResetIsNotReady) {
  Application application;
  application.start();
  FakeMachine machine(application.path());
  prepare(machine, usual_protocol_features);
  EXPECT_EQ(machine.status_of(FrontEndRequest::set_status, protocol::U64{driver_ok}), 0u);
  EXPECT_EQ(machine.status_of(FrontEndRequest::set_status, protocol::U64{0}), 0u);
  machine.negotiate();
  expect_to_wait_for_the_driver(application, machine);
}

TEST(RteVhostLifecycle, TheEndOfTheConnectionIsTheDevices) {
  Application application;
  application.start();
  {
    FakeMachine machine(application.path());
    bring_up(application, machine);
  }
  application.until("destroy_device 0");
  application.until("destroy_connection 0");
  FakeMachine again(application.path());
  bring_up(application, again);
}

TEST(RteVhostLifecycle, ADeviceThatIsRefusedIsOfferedAgain) {
  Application application;
  application.refuse_devices(true);
  application.start();
  FakeMachine machine(application.path());
  prepare(machine);
  make_ready(machine);
  application.until("new_device 0");
  application.refuse_devices(false);
  machine.enable(1, false);
  machine.enable(1, true);
  application.until("new_device 0");
}

TEST(RteVhostLifecycle, UnregisteringEndsTheDeviceBeforeItReturns) {
  std::atomic<std::thread::id> caller;
  Application application;
  application.start();
  FakeMachine machine(application.path());
  bring_up(application, machine);
  application.set_in_callback([&](int) { caller = std::this_thread::get_id(); });
  application.rest();
  EXPECT_EQ(application.unregister(), 0);
  EXPECT_EQ(caller.load(), std::this_thread::get_id());
  const std::string said = application.rest();
  EXPECT_NE(said.find("destroy_device 0, destroy_connection 0"), std::string::npos) << said;
  EXPECT_TRUE(machine.front_end().closed_by_peer());
  EXPECT_EQ(application.unregister(), -1);
}

TEST(RteVhostLifecycle, ACallbackMayUnregisterItsOwnDriver) {
  for (const std::string at :
       {"new_connection 0", "queue 0 on", "new_device 0", "destroy_device 0", "destroy_connection 0"}) {
    std::atomic<int> unregistered{1};
    Application application;
    application.set_in_callback([&](int vid) {
      if (!application.is_in(at)) return;
      const int done = application.unregister();
      EXPECT_EQ(rte_vhost_rx_queue_count(vid, 1), 0u) << "there is no queue any more";
      EXPECT_EQ(rte_vhost_get_vring_num(vid), 0);
      unregistered = done;
    });
    application.start();
    FakeMachine machine(application.path());
    try {  // the connection may end while the front-end speaks
      prepare(machine);
      make_ready(machine);
      if (at == "destroy_device 0") {
        application.until("new_device 0");
        must(machine.front_end().get_vring_base(0));
      }
      if (at == "destroy_connection 0") {
        application.until("new_device 0");
        machine.front_end().disconnect();
      }
    } catch (const std::runtime_error&) {
    }
    application.until("destroy_connection 0");
    while (unregistered == 1) std::this_thread::yield();
    EXPECT_EQ(unregistered, 0) << at;
    EXPECT_TRUE(at == "destroy_connection 0" || machine.front_end().closed_by_peer());
    EXPECT_EQ(rte_vhost_get_vring_num(0), 0);
  }
}

TEST(RteVhostLifecycle, ACallbackMayAskAboutItsDevice) {
  std::atomic<int> asked{0};  // outlives the application, as all that its callbacks use
  Application application;
  application.set_in_callback([&](int vid) {
    char name[108];
    std::uint64_t features = 0;
    if (rte_vhost_get_ifname(vid, name, sizeof name) == 0 && name == application.path() &&
        rte_vhost_get_negotiated_features(vid, &features) == 0)
      ++asked;
    static_cast<void>(rte_vhost_get_numa_node(vid));
    static_cast<void>(rte_vhost_enable_guest_notification(vid, 1, 0));
  });
  application.start();
  {
    FakeMachine machine(application.path(), 4);
    bring_up(application, machine);
    machine.sync();
    EXPECT_EQ(rte_vhost_get_vring_num(0), 4);
    VringFacts vring{};
    EXPECT_EQ(rte_vhost_get_vhost_vring(0, 3, &vring), 0);
    EXPECT_EQ(vring.size, machine.ring(3).driver.size());
    EXPECT_EQ(rte_vhost_get_vhost_vring(0, 4, &vring), -1);
  }
  application.until("destroy_connection 0");
  EXPECT_GE(asked, 5);
}

// As Open vSwitch does it: a lock that is held while a driver is started is taken by callbacks of another one, and a
// callback waits for the thread that unregisters another one.
TEST(RteVhostLifecycle, StartAndEndOfADriverWaitForNoCallbackOfAnother) {
  std::mutex of_the_application;
  std::atomic<bool> inside{false};
  Application application;
  application.set_in_callback([&](int) {
    inside = true;
    const std::lock_guard guard(of_the_application);
  });
  application.start();
  TemporaryFolder folder;
  const std::string other = folder.path("other");
  std::unique_lock held(of_the_application);
  FakeMachine machine(application.path());
  while (!inside) std::this_thread::yield();
  EXPECT_EQ(rte_vhost_driver_register(other.c_str(), 0), 0);
  EXPECT_EQ(rte_vhost_driver_start(other.c_str()), 0);
  EXPECT_EQ(rte_vhost_driver_unregister(other.c_str()), 0);
  held.unlock();
}

TEST(RteVhostLifecycle, OneOfTheThreadsThatUnregisterADriverHasDoneIt) {
  for (int round = 0; round < 20; ++round) {
    Application application;
    application.start();
    FakeMachine machine(application.path());
    bring_up(application, machine);
    std::atomic<int> done{0};
    const auto unregister = [&] {
      if (application.unregister() != 0) return;
      ++done;
      EXPECT_NE(::access(application.path().c_str(), F_OK), 0) << "its socket is still there";
    };
    std::thread other(unregister);
    unregister();
    other.join();
    EXPECT_EQ(done, 1);
    // Whoever came second came back early, perhaps: the path is free when the first has.
    EXPECT_EQ(rte_vhost_driver_register(application.path().c_str(), 0), 0);
  }
}

// net_vhost and others keep the number in an epoll until they are told of another.
TEST(RteVhostLifecycle, AKickDescriptorIsGoodUntilTheNextOneWasToldOf) {
  std::mutex of_the_application;
  Application application;
  application.start();
  FakeMachine machine(application.path());
  bring_up(application, machine);
  while (!shows_kick(1)) std::this_thread::yield();
  VringFacts before{};
  ASSERT_EQ(rte_vhost_get_vhost_vring(0, 1, &before), 0);
  std::unique_lock held(of_the_application);
  application.set_in_callback([&](int) { const std::lock_guard guard(of_the_application); });
  const EventFd first = std::move(machine.ring(1).kick);
  for (int swap = 0; swap < 2; ++swap) {  // the second eventfd of the port has the number of its first again, likely
    machine.ring(1).kick = EventFd::create().value();
    machine.send_fds(1);
  }
  machine.sync();
  first.signal();
  EXPECT_TRUE(readable(before.kick_fd)) << "another file by now, or none, before the application has heard";
  application.set_in_callback({});
  held.unlock();
  machine.kick(1);
  const auto kicked = [] {
    VringFacts facts{};
    rte_vhost_get_vhost_vring(0, 1, &facts);
    return readable(facts.kick_fd);
  };
  while (!kicked()) std::this_thread::yield();  // in the end it is the front-end's latest
}

TEST(RteVhostLifecycle, AKickDescriptorIsClosedWhenTheNextOneWasToldOf) {
  Application application;
  application.start();
  FakeMachine machine(application.path());
  bring_up(application, machine);
  while (!shows_kick(0) || !shows_kick(1)) std::this_thread::yield();
  application.rest();
  const auto fds = open_fds();
  for (int i = 0; i < 5; ++i) {
    machine.enable(1, false);
    application.until("queue 1 off");
    machine.enable(1, true);
    application.until("queue 1 on");
  }
  while (open_fds() != fds) std::this_thread::yield();
}

TEST(RteVhostSettings, PathsAreUniqueAndStartedOnce) {
  Application application;
  EXPECT_EQ(rte_vhost_driver_register(application.path().c_str(), 0), -1);
  EXPECT_EQ(application.start(), 0);
  EXPECT_EQ(application.start(), -1);
  EXPECT_EQ(rte_vhost_driver_start("/nowhere"), -1);
  EXPECT_EQ(rte_vhost_driver_register("/tmp/refused", flag_async_copy), -1);
  EXPECT_EQ(rte_vhost_driver_register("/tmp/refused", flag_client | flag_no_reconnect), -1);
}

TEST(RteVhostSettings, FeaturesAreOfferedAsTheApplicationHasThem) {
  Application application;
  const char* const path = application.path().c_str();
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  ASSERT_EQ(rte_vhost_driver_get_features(path, &before), 0);
  EXPECT_NE(before & host_tso4, 0u);
  EXPECT_EQ(before & host_uso, 0u) << "younger than the interface";
  EXPECT_EQ(rte_vhost_driver_disable_features(path, host_tso4), 0);
  EXPECT_EQ(rte_vhost_driver_enable_features(path, host_uso), 0);
  EXPECT_EQ(rte_vhost_driver_get_features(path, &after), 0);
  EXPECT_EQ(after & (host_tso4 | host_uso), host_uso);
  std::uint64_t protocol_features = 0;
  EXPECT_EQ(rte_vhost_driver_get_protocol_features(path, &protocol_features), -1);
  application.start();
  EXPECT_EQ(rte_vhost_driver_get_protocol_features(path, &protocol_features), 0);
  EXPECT_NE(protocol_features, 0u);
  EXPECT_EQ(rte_vhost_driver_disable_features(path, host_uso), -1) << "it is open";
  FakeMachine machine(application.path());
  EXPECT_EQ(must(machine.front_end().get_u64(FrontEndRequest::get_features)), after);
}

// As DPDK's library offers them, too.
TEST(RteVhostSettings, PackedRingsAreOfferedUnlessTheApplicationWantsNone) {
  Application application;
  const char* const path = application.path().c_str();
  std::uint64_t features = 0;
  ASSERT_EQ(rte_vhost_driver_get_features(path, &features), 0);
  EXPECT_NE(features & ring_packed, 0u);
  EXPECT_EQ(rte_vhost_driver_disable_features(path, ring_packed), 0);
  ASSERT_EQ(rte_vhost_driver_get_features(path, &features), 0);
  EXPECT_EQ(features & ring_packed, 0u);
  EXPECT_EQ(rte_vhost_driver_set_features(path, features | ring_packed), 0);
  ASSERT_EQ(rte_vhost_driver_get_features(path, &features), 0);
  EXPECT_NE(features & ring_packed, 0u);
  EXPECT_EQ(rte_vhost_driver_set_features(path, features & ~ring_packed), 0);
  application.start();
  FakeMachine machine(application.path());
  EXPECT_EQ(must(machine.front_end().get_u64(FrontEndRequest::get_features)) & ring_packed, 0u);
}

TEST(RteVhostSettings, TheMtuIsToldOnceThereIsOne) {
  Application application;
  application.start();
  FakeMachine machine(application.path());
  application.until("new_connection 0");
  std::uint16_t mtu = 0;
  EXPECT_EQ(rte_vhost_get_mtu(0, &mtu), -EAGAIN);
  EXPECT_EQ(rte_vhost_get_mtu(1, &mtu), -ENODEV);
  prepare(machine);
  machine.sync();
  EXPECT_EQ(rte_vhost_get_mtu(0, &mtu), -ENOTSUP);
}

}  // namespace
}  // namespace vhostx::test
