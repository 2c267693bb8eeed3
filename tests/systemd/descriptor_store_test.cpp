// SPDX-License-Identifier: BSD-3-Clause
// DescriptorStore: what a process left is what the next one finds, whenever it ended; and odd things in the store.
#include "systemd/descriptor_store.hpp"

#include <map>
#include <optional>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "systemd/stored_bundle.hpp"
#include "tests/systemd/fake_systemd.hpp"

namespace vhostx::systemd {
namespace {

using continuity::expect_open_descriptors;
using continuity::generous;
using continuity::memory_file;
using continuity::open_descriptors;
using continuity::same_file;
using continuity::socket_pair;
using Slot = continuity::Slot;

struct StoreTest : ::testing::Test {
  /// One process of the service.
  std::unique_ptr<DescriptorStore> start(std::size_t lives = FakeManager::never, std::size_t places = 1000) {
    return std::make_unique<DescriptorStore>(std::make_unique<FakeManager>(store, lives), places, store.handed_over(),
                                             generous);
  }
  /// What the next process finds: which of `files` is in which slot.
  std::map<Slot, std::size_t> found(DescriptorStore& process, const std::string& name = "a") {
    const auto claimed = process.claim(name);
    EXPECT_TRUE(claimed) << claimed.error().message;
    std::map<Slot, std::size_t> slots;
    for (const auto& [slot, fd] : *claimed)
      for (std::size_t i = 0; i < files.size(); ++i)
        if (same_file(fd.get(), files[i].get())) slots[slot] = i;
    EXPECT_EQ(slots.size(), claimed->size()) << "a file of nobody";
    return slots;
  }
  std::map<Slot, std::size_t> found_next(const std::string& name = "a") { return found(*start(), name); }
  int file(std::size_t i) {
    while (files.size() <= i) files.push_back(memory_file());
    return files[i].get();
  }

  std::vector<UniqueFd> files;
  FakeStore store;
};

using Slots = std::map<Slot, std::size_t>;

TEST_F(StoreTest, TheNextProcessFindsWhatWasLeft) {
  {
    const auto process = start();
    EXPECT_EQ(found(*process), Slots{});
    ASSERT_TRUE(process->hold("a", 0, file(0)));
    ASSERT_TRUE(process->hold("a", 70000, file(1)));
    ASSERT_TRUE(process->hold("a", 2, file(2)));
    ASSERT_TRUE(process->hold("a", 2, file(3)));
    ASSERT_TRUE(process->hold("a", 3, file(4)));
    ASSERT_TRUE(process->drop("a", 3));
    ASSERT_TRUE(process->drop("a", 99));
  }
  EXPECT_EQ(store.size(), 4U) << "an index and three files";
  EXPECT_EQ(found_next(), (Slots{{0, 0}, {2, 3}, {70000, 1}}));
  EXPECT_EQ(found_next(), (Slots{{0, 0}, {2, 3}, {70000, 1}})) << "and the one after it";
}

/// systemd stores an open file once, under its first name: one memory file of two regions, or of a guest's two devices.
TEST_F(StoreTest, OneFileMayBeInManySlots) {
  {
    const auto process = start();
    ASSERT_TRUE(process->claim("a") && process->claim("b"));
    const UniqueFd again(::dup(file(0)));
    ASSERT_TRUE(process->hold("a", 1, file(0)) && process->hold("a", 2, again.get()));
    ASSERT_TRUE(process->hold("b", 1, again.get()));
    ASSERT_TRUE(process->drop("a", 1));
  }
  EXPECT_EQ(store.size(), 3U);
  const auto next = start();
  EXPECT_EQ(found(*next, "a"), (Slots{{2, 0}}));
  EXPECT_EQ(found(*next, "b"), (Slots{{1, 0}}));
  ASSERT_TRUE(next->hold("b", 5, file(0))) << "known though another process stored it";
  ASSERT_TRUE(next->drop("a", 2) && next->drop("b", 1));
  EXPECT_EQ(store.size(), 3U);
  ASSERT_TRUE(next->drop("b", 5));
  EXPECT_EQ(store.size(), 2U) << "only the indexes are left";
}

TEST_F(StoreTest, HoldingWhatIsThereChangesNothing) {
  const auto process = start();
  ASSERT_TRUE(process->claim("a"));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(process->hold("a", 1, file(0)));
  EXPECT_EQ(store.names(), (std::vector<std::string>{"vhostx@a", "vhostx-1"}));
  ASSERT_TRUE(process->drop("a", 1));
  EXPECT_EQ(store.size(), 1U);
}

/// One step of a process's life, and what is in its slots afterwards.
struct Step {
  enum What { hold, drop } what;
  Slot slot;
  std::size_t file;
  Slots after;
};

TEST_F(StoreTest, EveryInstantIsOneOfBeforeOrAfter) {
  const std::vector<Step> life{
      {Step::hold, 0, 0, {{0, 0}}},          // a new file
      {Step::hold, 1, 0, {{0, 0}, {1, 0}}},  // one that is there
      {Step::hold, 0, 1, {{0, 1}, {1, 0}}},  // in place of one that stays
      {Step::hold, 1, 2, {{0, 1}, {1, 2}}},  // in place of the last of its kind
      {Step::hold, 1, 1, {{0, 1}, {1, 1}}},  // the same, by one that is there
      {Step::drop, 0, 0, {{1, 1}}},          // one that stays
      {Step::drop, 1, 0, {}},                // the last
      {Step::hold, 0, 1, {{0, 1}}},          // once more
  };
  file(2);
  bool whole = false;
  for (std::size_t lives = 0; !whole; ++lives) {
    store = FakeStore();
    Slots before, after;
    try {
      const auto process = start(lives);
      ASSERT_TRUE(process->claim("a"));
      for (const Step& step : life) {
        after = step.after;
        ASSERT_TRUE(step.what == Step::hold ? process->hold("a", step.slot, file(step.file))
                                            : process->drop("a", step.slot));
        before = after;
      }
      whole = true;
    } catch (const Killed&) {
    }
    const auto next = start();
    const Slots left = found(*next);
    EXPECT_TRUE(left == before || left == after) << "killed after " << lives << " steps";
    for (const auto& [slot, which] : left) ASSERT_TRUE(next->drop("a", slot));
    EXPECT_EQ(store.size(), 1U) << "something else than the index is left, after " << lives << " steps";
  }
}

TEST_F(StoreTest, ADropOfAllEndsAtAnyInstant) {
  bool whole = false;
  for (std::size_t lives = 0; !whole; ++lives) {
    store = FakeStore();
    {
      const auto process = start();
      ASSERT_TRUE(process->claim("a") && process->hold("a", 0, file(0)) && process->hold("a", 1, file(1)));
    }
    try {
      EXPECT_EQ(start(lives)->drop_unclaimed(DescriptorStore::Clock::time_point::max()), 1U);
      whole = true;
    } catch (const Killed&) {
    }
    const Slots left = found_next();
    EXPECT_TRUE(left == (Slots{{0, 0}, {1, 1}}) || left == Slots{}) << "killed after " << lives << " steps";
    EXPECT_EQ(store.size(), 1 + left.size());
  }
}

TEST_F(StoreTest, ABundleHasOneOwnerInAProcess) {
  const auto process = std::shared_ptr(start());
  StoreService service(process);
  auto first = *service.open("a");
  ASSERT_TRUE(first->claim());
  const auto second = *service.open("a");
  const auto refused = second->claim();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  EXPECT_NE(refused.error().message.find("'a'"), std::string::npos);
  EXPECT_FALSE(process->hold("b", 0, file(0))) << "not claimed";
  first.reset();
  EXPECT_TRUE(second->claim());
}

TEST_F(StoreTest, WhatNobodyClaimsIsDroppedAfterItsGrace) {
  auto [ours, front_end] = socket_pair();
  {
    const auto process = start();
    ASSERT_TRUE(process->claim("gone") && process->hold("gone", 0, ours.get()));
    ASSERT_TRUE(process->claim("a") && process->hold("a", 0, file(0)));
  }
  ours.reset();
  const auto next = std::shared_ptr(start());
  const auto now = DescriptorStore::Clock::now();
  EXPECT_EQ(found(*next), (Slots{{0, 0}}));
  EXPECT_EQ(next->drop_unclaimed(now), 0U);
  char byte = 0;
  EXPECT_EQ(::recv(front_end.get(), &byte, 1, MSG_DONTWAIT), -1) << "its connection is kept";
  EXPECT_EQ(next->drop_unclaimed(now + 2 * generous), 1U);
  EXPECT_EQ(::recv(front_end.get(), &byte, 1, 0), 0) << "its front-end sees the end";
  EXPECT_EQ(store.size(), 2U);
  // Of this process, as of the one before.
  ASSERT_TRUE(next->park("a", generous / 2));
  EXPECT_EQ(next->drop_unclaimed(now), 0U);
  EXPECT_EQ(next->drop_unclaimed(now + generous), 1U);
  EXPECT_EQ(store.size(), 0U);
}

TEST_F(StoreTest, AParkedBundleIsClaimedAgain) {
  const auto process = start();
  ASSERT_TRUE(process->claim("a") && process->hold("a", 0, file(0)) && process->park("a", generous));
  EXPECT_FALSE(process->hold("a", 1, file(1))) << "it is nobody's";
  EXPECT_EQ(found(*process), (Slots{{0, 0}}));
  EXPECT_EQ(process->drop_unclaimed(DescriptorStore::Clock::time_point::max()), 0U);
}

TEST_F(StoreTest, AFileThatIsMissingLeavesItsSlotEmpty) {
  {
    const auto process = start();
    ASSERT_TRUE(process->claim("a") && process->hold("a", 0, file(0)) && process->hold("a", 1, file(1)));
  }
  store.remove("vhostx-2");
  EXPECT_EQ(found_next(), (Slots{{0, 0}}));
  const auto next = start();
  ASSERT_TRUE(next->claim("a") && next->hold("a", 7, file(2)));
  EXPECT_EQ(store.names().back(), "vhostx-2") << "no index has that number any more";
}

/// What would not be told from a file that a change left unfinished.
TEST_F(StoreTest, TwoOfOneNameAreBothRefused) {
  {
    const auto process = start();
    ASSERT_TRUE(process->claim("a") && process->hold("a", 0, file(0)) && process->hold("a", 1, file(1)));
  }
  file(2);
  store.add("vhostx-1", UniqueFd(::dup(file(2))));
  EXPECT_EQ(found_next(), (Slots{{1, 1}}));
  EXPECT_EQ(store.size(), 2U);
  store.add("vhostx@a", memory_file());
  EXPECT_EQ(found_next(), Slots{});
}

TEST_F(StoreTest, WhatIsOfAnotherVersionIsRemoved) {
  store.add("vhostx-00ff", memory_file());
  store.add("vhostx@", memory_file());
  store.add("vhostx@a", memory_file());
  store.add("vhostx@%41", memory_file());
  store.add("vhostx-5", memory_file());
  EXPECT_EQ(found_next(), Slots{});
  EXPECT_EQ(store.names(), std::vector<std::string>{"vhostx@a"}) << "its own, made anew";
}

TEST_F(StoreTest, PlacesAreCounted) {
  const auto process = start(FakeManager::never, 3);
  ASSERT_TRUE(process->claim("a") && process->hold("a", 0, file(0)) && process->hold("a", 1, file(1)));
  const auto refused = process->hold("a", 2, file(2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::limit);
  EXPECT_NE(refused.error().message.find("has 3 places"), std::string::npos) << refused.error().message;
  EXPECT_TRUE(process->hold("a", 2, file(0))) << "it is there";
  ASSERT_TRUE(process->drop("a", 1));
  EXPECT_TRUE(process->hold("a", 1, file(2)));
  EXPECT_EQ(start(FakeManager::never, 3)->claim("b").error().code, ErrorCode::limit) << "the next one counts, too";
}

/// Else execve() would refuse the environment of the next process.
TEST_F(StoreTest, AllNamesFitIntoTheEnvironment) {
  const auto process = start(FakeManager::never, 1'000'000);
  std::optional<Error> refused;
  std::size_t bytes = 0;
  for (int i = 0; !refused && i < 1000; ++i) {
    const auto claimed = process->claim(std::string(80, ' ') + std::to_string(i));
    if (!claimed) refused = claimed.error();
  }
  for (const std::string& name : store.names()) bytes += name.size() + 1;
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, ErrorCode::limit);
  EXPECT_LE(bytes, StoreRoom::name_bytes_max);
  EXPECT_GT(bytes, StoreRoom::name_bytes_max - 256);
}

TEST_F(StoreTest, ANameThatIsTooLongIsRefused) {
  EXPECT_EQ(start()->claim(std::string(107, ':')).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(store.size(), 0U);
}

TEST_F(StoreTest, NoDescriptorIsLeft) {
  file(1);
  const std::size_t before = open_descriptors();
  {
    FakeStore others;
    DescriptorStore process(std::make_unique<FakeManager>(others), 1000, {}, generous);
    ASSERT_TRUE(process.claim("a") && process.hold("a", 0, file(0)) && process.hold("a", 1, file(1)));
    DescriptorStore next(std::make_unique<FakeManager>(others), 1000, others.handed_over(), generous);
    ASSERT_TRUE(next.claim("a"));
  }
  expect_open_descriptors(before);
}

}  // namespace
}  // namespace vhostx::systemd
