// SPDX-License-Identifier: BSD-3-Clause
// When a port looks, and where its translations go; by a loop that is turned by hand, and nodes that nobody here has.
#include "backend/placement_watch.hpp"

#include <optional>

#include <asio/io_context.hpp>
#include <gtest/gtest.h>

#include "backend/connection/translation_placer.hpp"
#include "tests/support/fake_guest.hpp"
#include "tests/support/fake_kernel.hpp"

namespace vhostx::test {
namespace {

using backend::PlacementWatch;
using backend::TranslationPlacer;
using std::chrono::milliseconds;

struct Watch : testing::Test {
  asio::io_context loop;
  PortOptions options;
  int looks = 0;
  std::optional<PlacementWatch> watch;

  void make(bool several_nodes) {
    options.numa_interval = milliseconds(10);
    watch.emplace(loop.get_executor(), options, several_nodes, [this] {
      if (++looks == 3) watch->stop();
    });
  }
};

TEST_F(Watch, OneLookIsForAllThatCameTogether) {
  make(false);
  for (int i = 0; i < 100; ++i) watch->due();
  loop.run();
  EXPECT_EQ(looks, 1) << "and none on a timer where there is one node";
}

TEST_F(Watch, LooksAgainOnATimerUntilItIsStopped) {
  make(true);
  watch->due();
  loop.run();
  EXPECT_EQ(looks, 3);
}

TEST_F(Watch, LooksOnceWhereTheIntervalIsNone) {
  make(true);
  options.numa_interval = milliseconds(0);
  watch.emplace(loop.get_executor(), options, true, [this] { ++looks; });
  watch->due();
  loop.run();
  EXPECT_EQ(looks, 1);
}

TEST_F(Watch, IsDueAgainAfterALookAndAfterAStop) {
  const auto run = [this] {
    loop.restart();
    loop.run();
    return looks;
  };
  make(false);
  watch->due();
  EXPECT_EQ(run(), 1);
  watch->due();
  EXPECT_EQ(run(), 2);
  watch->due();
  watch->stop();
  EXPECT_EQ(run(), 2) << "that one was stopped";
  watch->due();
  EXPECT_EQ(run(), 3);
}

TEST_F(Watch, DoesNotLookWhenItIsOff) {
  options.numa = NumaPolicy::off;
  make(true);
  watch->due();
  loop.run();
  EXPECT_EQ(looks, 0);
}

TEST_F(Watch, MayBeDestroyedByALook) {
  watch.emplace(loop.get_executor(), options, true, [this] {
    ++looks;
    watch.reset();
  });
  watch->due();
  loop.run();
  EXPECT_EQ(looks, 1);
}

struct Translations : testing::Test {
  FakeKernel kernel;
  PortOptions options;
  FakeGuest guest{{{0x10000, 0x10000}}};
  std::shared_ptr<const memory::GuestMemory> memory = guest.map();
  NodeHistogram rings{.nodes = {{1, 2}, {3, 1}}};

  int node() const {
    int found = no_node;
    kernel.node_of(memory.get(), found);
    return found;
  }
};

TEST_F(Translations, GoWhereMostRingsAreAndStayThere) {
  TranslationPlacer placer(options, kernel);
  placer.follow(memory, rings);
  EXPECT_EQ(node(), 1);
  const std::uint32_t moves = kernel.moves;
  EXPECT_EQ(moves, 4U);
  placer.follow(memory, rings);
  EXPECT_EQ(kernel.moves, moves);
  rings = {.nodes = {{3, 3}}};
  placer.follow(memory, rings);
  EXPECT_EQ(node(), 3);
}

TEST_F(Translations, AreTriedAgainWhereTheNodeWasFull) {
  TranslationPlacer placer(options, kernel);
  kernel.room = 1;
  placer.follow(memory, rings);
  EXPECT_EQ(node(), 1) << "the first page went, the others did not";
  kernel.room = 1000;
  const std::uint32_t moves = kernel.moves;
  placer.follow(memory, rings);
  EXPECT_GT(kernel.moves, moves);
  const std::uint32_t settled = kernel.moves;
  placer.follow(memory, rings);
  EXPECT_EQ(kernel.moves, settled);
}

TEST_F(Translations, OfANewTableGoThereToo) {
  TranslationPlacer placer(options, kernel);
  placer.follow(memory, rings);
  memory = guest.map();
  placer.follow(memory, rings);
  EXPECT_EQ(node(), 1);
}

TEST_F(Translations, StayWhereNothingIsKnownOrNothingFollows) {
  TranslationPlacer(options, kernel).follow(memory, {});
  TranslationPlacer(options, kernel).follow(nullptr, rings);
  options.numa = NumaPolicy::report;
  TranslationPlacer(options, kernel).follow(memory, rings);
  options.numa = NumaPolicy::follow;
  kernel.several_nodes = false;
  TranslationPlacer(options, kernel).follow(memory, rings);
  EXPECT_EQ(kernel.moves, 0U);
}

}  // namespace
}  // namespace vhostx::test
