// SPDX-License-Identifier: BSD-3-Clause
// Each call of the C interface that allocates, with each of its allocations failing: a code, and no exception.
#include <functional>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include <vhostx/vhostx.h>

#include "c/events.hpp"
#include "tests/c/failing_new.hpp"
#include "tests/c/fake_guest.h"

namespace vhostx::test {
namespace {

/// Runs `call` with its first allocation failing, then with its second, and so on until none fails. `call` says whether
/// it got what it wanted, and puts the rest back.
void expect_codes(const std::function<bool(vhostx_error*)>& call) {
  for (int nth = 1;; ++nth) {
    vhostx_error error{};
    bool good;
    bool struck;
    {
      const FailingNew failing(nth);
      good = call(&error);
      struck = failing.struck();
    }
    if (!struck) {
      EXPECT_TRUE(good) << error.message;
      EXPECT_GT(nth, 1) << "it allocates nothing";
      return;
    }
    if (good) continue;  // it could do without
    EXPECT_TRUE(error.code == VHOSTX_OUT_OF_MEMORY || error.code == VHOSTX_SYSTEM) << error.code;
    EXPECT_STRNE(error.message, "");
  }
}

struct OutOfMemory : ::testing::Test {
  OutOfMemory() : backend(vhostx_backend_create(nullptr, nullptr)), path(fake_path("memory")) {
    vhostx_port_options_init(&options, sizeof options);
    options.socket_path = path.c_str();
  }
  ~OutOfMemory() override { vhostx_backend_destroy(backend); }

  vhostx_backend* backend;
  std::string path;
  vhostx_port_options options;
};

TEST_F(OutOfMemory, Makers) {
  expect_codes([](vhostx_error* error) {
    auto* made = vhostx_backend_create(nullptr, error);
    vhostx_backend_destroy(made);
    return made != nullptr;
  });
  expect_codes([](vhostx_error* error) {
    auto* made = vhostx_waiter_create(error);
    vhostx_waiter_destroy(made);
    return made != nullptr;
  });
  expect_codes([](vhostx_error* error) {
    auto* made = vhostx_transfer_create(error);
    vhostx_transfer_destroy(made);
    return made != nullptr;
  });
  expect_codes([](vhostx_error* error) {
    auto* made = vhostx_mempools_create(nullptr, error);
    vhostx_mempools_destroy(made);
    return made != nullptr;
  });
}

TEST_F(OutOfMemory, Ports) {
  expect_codes([this](vhostx_error* error) {
    auto* made = vhostx_port_open(backend, &options, nullptr, nullptr, error);
    vhostx_port_destroy(made);
    return made != nullptr;
  });
}

TEST_F(OutOfMemory, Placements) {
  vhostx_port* const port = vhostx_port_open(backend, &options, nullptr, nullptr, nullptr);
  ASSERT_NE(port, nullptr);
  fake_guest* const guest = fake_guest_connect(path.c_str());
  expect_codes([port](vhostx_error* error) {
    auto* made = vhostx_vring_get_placement(vhostx_port_from_guest(port, 0), error);
    vhostx_vring_placement_free(made);
    return made != nullptr;
  });
  expect_codes([port](vhostx_error* error) {
    auto* made = vhostx_port_get_memory_placement(port, error);
    vhostx_memory_placement_free(made);
    return made != nullptr;
  });
  fake_guest_leave(guest);
  vhostx_port_destroy(port);
}

TEST_F(OutOfMemory, Nodes) {
  expect_codes([](vhostx_error* error) {
    *error = {VHOSTX_OUT_OF_MEMORY, 0, "it has none"};
    return vhostx_memory_nodes(nullptr, 0) != 0;
  });
  const unsigned lcores[] = {0, 1};
  const std::uint64_t loads[] = {2, 1};
  const auto choose_without_memory = [&] {
    const FailingNew failing(1);
    return vhostx_choose_lcore(VHOSTX_NO_NODE, lcores, loads, 2);
  };
  EXPECT_EQ(choose_without_memory(), 0U);
}

TEST(OutOfMemoryEvents, AreNotLost) {
  const PortEvent connected = FrontEndConnected{};
  const PortEvent placed = PlacementChanged{2, 1, {.ring = {{{1, 4}}, 0, 0}, .problem = "a problem of some length"}};
  std::optional<c::EventView> first;
  std::optional<c::EventView> second;
  {
    const FailingNew failing(1);
    first.emplace(connected);
    second.emplace(placed);
  }
  EXPECT_EQ(first->event().kind, VHOSTX_EVENT_CONNECTED);
  EXPECT_STREQ(first->event().text, "connected");
  const vhostx_event& event = second->event();
  EXPECT_EQ(event.kind, VHOSTX_EVENT_PLACEMENT_CHANGED);
  EXPECT_EQ(event.as.placement.node, 1);
  EXPECT_EQ(event.as.placement.where->ring.count, 0U);
  EXPECT_STREQ(event.as.placement.where->problem, "out of memory");
}

}  // namespace
}  // namespace vhostx::test
