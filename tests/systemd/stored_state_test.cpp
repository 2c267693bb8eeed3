// SPDX-License-Identifier: BSD-3-Clause
// What an application knows of no port (BackendOptions::state) is in systemd's store when its service is restarted.
#include <list>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "systemd/descriptor_store.hpp"
#include "systemd/stored_bundle.hpp"
#include "tests/backend/state_process.hpp"
#include "tests/support/eal.hpp"
#include "tests/systemd/fake_systemd.hpp"

namespace vhostx::systemd {
namespace {

using std::chrono::milliseconds;
using test::StateProcess;

struct StoredState : ::testing::Test {
  static constexpr milliseconds often{10};

  StoredState() { test::start_eal(); }
  /// The next main process of the service; the one before has ended, or does nothing any more.
  StateProcess& next(milliseconds interval) {
    auto bundles = std::make_shared<DescriptorStore>(std::make_unique<FakeManager>(store), 100, store.handed_over(),
                                                     continuity::generous);
    processes.push_front(std::make_unique<StateProcess>(
        BackendOptions{.keeper_service = std::make_shared<StoreService>(std::move(bundles))}, interval));
    EXPECT_NE(processes.front()->backend, nullptr) << processes.front()->error.message;
    return *processes.front();
  }

  FakeStore store;
  std::list<std::unique_ptr<StateProcess>> processes;  ///< The latest first, which is the first to be destroyed.
};

TEST_F(StoredState, IsThereAfterARestart) {
  for (const std::string text : {"first", "second", ""}) {
    StateProcess& process = next(milliseconds(0));
    process.known.learn(text);
    process.end();
    StateProcess& after = next(milliseconds(0));
    EXPECT_EQ(after.known.heard(), "load(" + text + ") ");
    after.end();
  }
  EXPECT_EQ(store.size(), 2U) << "an index and a file";
}

TEST_F(StoredState, IsThereAfterAKillAsItWasKept) {
  StateProcess& killed = next(often);
  killed.known.learn("some");
  killed.known.until_saved(2);  // the first of them may have begun before; it is kept when the next one begins
  killed.stop();
  EXPECT_EQ(next(milliseconds(0)).known.heard(), "load(some) ");
}

}  // namespace
}  // namespace vhostx::systemd
