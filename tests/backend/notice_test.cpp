// SPDX-License-Identifier: BSD-3-Clause
// What a port says of its rings to other processes, read as `vhostx-probe rings` does.
#include <charconv>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/port_notice.hpp"
#include "base/unique_fd.hpp"
#include "tests/backend/dirty_log_fixture.hpp"
#include "tests/backend/traffic.hpp"

namespace vhostx::test {
namespace {

std::vector<std::uint64_t> notices() {
  std::ifstream maps("/proc/self/maps");
  std::vector<std::uint64_t> found;
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t begin = 0;
    if (line.ends_with("/memfd:vhostx-port (deleted)") && line.find(" rw-p ") != std::string::npos &&
        std::from_chars(line.data(), line.data() + line.size(), begin, 16).ec == std::errc())
      found.push_back(begin);
  }
  return found;
}

template <typename T>
T load(std::uint64_t address) {
  const UniqueFd memory(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  T value;
  EXPECT_EQ(::pread(memory.get(), &value, sizeof value, static_cast<off_t>(address)), ssize_t{sizeof value});
  return value;
}

struct PortNotices : ::testing::Test {
  PortNotices() { start_eal(); }

  PortNotice port() const { return load<PortNotice>(notices().at(0)); }
  VringNotice vring(std::size_t index) const {
    return load<VringNotice>(notices().at(0) + sizeof(PortNotice) + index * sizeof(VringNotice));
  }

  PortFixture fixture;
};

TEST_F(PortNotices, SayWhereRunningRingsAre) {
  EXPECT_EQ(port().magic, port_notice_magic);
  EXPECT_EQ(port().vrings, fixture.port->vring_count());
  EXPECT_EQ(std::string(port().socket_path.data()), fixture.options.socket_path);
  EXPECT_EQ(port().connected, 0u);
  FakeMachine machine(fixture.options.socket_path);
  machine.negotiate();
  machine.send_memory();
  machine.configure_ring(1);
  machine.send_fds(1);
  machine.enable(1);
  machine.sync();
  EXPECT_EQ(port().connected, 1u);
  EXPECT_EQ(port().front_end_pid, ::getpid());
  EXPECT_EQ(port().features, fixture.port->info().features);
  EXPECT_EQ(vring(1).size, 64u);
  EXPECT_EQ(vring(1).waits_for_kick, 1);
  EXPECT_EQ(vring(1).enabled, 1);
  machine.kick(1);
  fixture.events.until<VringStarted>();
  EXPECT_EQ(vring(1).started, 1);
  EXPECT_EQ(vring(1).waits_for_kick, 0);
  if (tested_kind() == virtqueue::RingKind::split) {
    machine.ring(1).driver.set_avail_index(5);
    EXPECT_EQ(load<std::uint16_t>(vring(1).avail + 2), 5u) << "the ring itself, at the port's address";
  }
  EXPECT_NE(vring(1).used, 0u);
  EXPECT_EQ(load<std::uint64_t>(vring(1).packets), 0u);
  EXPECT_NE(vring(1).packets, vring(3).packets);
  EXPECT_EQ(vring(0).size, 0u);
}

TEST_F(PortNotices, SayWhichRingIsBroken) {
  FakeMachine machine(fixture.options.socket_path);
  machine.bring_up();
  for (int i = 0; i < 2; ++i) fixture.events.until<VringStarted>();
  machine.ring(1).driver.lie();
  EXPECT_EQ(take_burst(fixture.port->from_guest()), 0);
  fixture.events.until<VringBroken>();
  EXPECT_EQ(std::string(vring(1).fault.data()), to_string(machine.ring(1).driver.lie_cause()));
  EXPECT_EQ(std::string(vring(0).fault.data()), "");
  must(machine.front_end().get_vring_base(1));
  EXPECT_EQ(vring(1).started, 0);
  EXPECT_EQ(std::string(vring(1).fault.data()), "");
}

TEST(PortNoticesOfMigration, SayWhereTheLogIs) {
  Migration guest;
  const auto port = [] { return load<PortNotice>(notices().at(0)); };
  const auto vring = [](std::size_t index) {
    return load<VringNotice>(notices().at(0) + sizeof(PortNotice) + index * sizeof(VringNotice));
  };
  EXPECT_EQ(port().log_bytes, 0U);
  EXPECT_EQ(vring(1).logged, 0);
  guest.begin();
  EXPECT_EQ(port().log_bytes, Migration::log_bytes);
  EXPECT_EQ(port().log_offset, 0U);
  EXPECT_EQ(vring(1).logged, 1);
  EXPECT_EQ(vring(1).log, guest.used_address(1));
  // Bytes at the log's end: of pages that nothing writes to.
  EXPECT_EQ(load<std::uint8_t>(port().log + port().log_bytes - 1), 0U);
  guest.end();
  EXPECT_EQ(port().log, 0U);
  EXPECT_EQ(port().log_bytes, 0U);
  EXPECT_EQ(vring(1).logged, 0);
}

TEST_F(PortNotices, GoWithTheFrontEndAndThePort) {
  std::optional<FakeMachine> machine(fixture.options.socket_path);
  machine->bring_up();
  for (int i = 0; i < 2; ++i) fixture.events.until<VringStarted>();
  machine.reset();
  fixture.events.until<FrontEndDisconnected>();
  EXPECT_EQ(port().connected, 0u);
  EXPECT_EQ(vring(1).started, 0);
  EXPECT_EQ(vring(1).size, 0u);
  fixture.port->close();
  EXPECT_TRUE(notices().empty());
}

}  // namespace
}  // namespace vhostx::test
