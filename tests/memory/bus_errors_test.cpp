// SPDX-License-Identifier: BSD-3-Clause
// Guest memory that its owner takes away while we use it.
#include "memory/bus_errors.hpp"

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "memory/mapped_region.hpp"

namespace vhostx::memory {
namespace {

constexpr std::size_t page = 4096;

// A region of four pages, and its owner's hand on the file.
struct Shared {
  explicit Shared(RegionDescription description = {.guest = {0x10000}, .front_end = {0}, .size = 4 * page}) {
    EXPECT_TRUE(handle_bus_errors());
    const auto bytes = static_cast<off_t>(description.mmap_offset + description.size);
    EXPECT_EQ(::ftruncate(file.get(), bytes), 0);
    auto mapped = MappedRegion::map(description, UniqueFd(::dup(file.get())), alarm);
    EXPECT_TRUE(mapped);
    region = std::move(mapped).value();
  }
  void shrink_to(std::size_t bytes) const { EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(bytes)), 0); }

  UniqueFd file{::memfd_create("shared", MFD_CLOEXEC)};
  std::shared_ptr<const EventFd> alarm = std::make_shared<const EventFd>(EventFd::create().value());
  std::shared_ptr<const MappedRegion> region;
};

std::uint8_t read(const std::uint8_t* byte) { return *static_cast<const volatile std::uint8_t*>(byte); }
void write(std::uint8_t* byte, std::uint8_t value) { *static_cast<volatile std::uint8_t*>(byte) = value; }

TEST(BusErrors, AReadOfMemoryThatIsGoneSeesZeroes) {
  const Shared shared;
  std::memset(shared.region->host(), 0x5a, 4 * page);
  EXPECT_FALSE(shared.region->lost_at());
  shared.shrink_to(2 * page);
  EXPECT_EQ(read(shared.region->host()), 0x5a);  // still there
  EXPECT_FALSE(shared.alarm->drain());
  EXPECT_EQ(read(shared.region->host() + 3 * page + 7), 0);
  EXPECT_EQ(shared.region->lost_at(), GuestAddress{0x10000 + 3 * page + 7});
  EXPECT_TRUE(shared.alarm->drain());
}

TEST(BusErrors, AWriteGoesToMemoryThatNobodySees) {
  const Shared shared;
  shared.shrink_to(0);
  write(shared.region->host() + page, 7);
  EXPECT_EQ(read(shared.region->host() + page), 7);
  shared.shrink_to(4 * page);  // grown again: it is not the guest's any more
  write(shared.region->host() + page, 8);
  std::uint8_t in_file = 0xff;
  ASSERT_EQ(::pread(shared.file.get(), &in_file, 1, page), 1);
  EXPECT_EQ(in_file, 0);
}

TEST(BusErrors, TheAlarmIsGivenOnce) {
  const Shared shared;
  shared.shrink_to(0);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(read(shared.region->host() + i * page), 0);
  EXPECT_TRUE(shared.alarm->drain());
  EXPECT_EQ(read(shared.region->host()), 0);
  EXPECT_FALSE(shared.alarm->drain());
  EXPECT_EQ(shared.region->lost_at(), GuestAddress{0x10000});
}

TEST(BusErrors, NeighboursKeepTheirs) {
  const Shared good;
  const Shared bad;
  const Shared other_good;
  write(good.region->host(), 1);
  write(other_good.region->host(), 2);
  bad.shrink_to(0);
  EXPECT_EQ(read(bad.region->host()), 0);
  EXPECT_EQ(read(good.region->host()), 1);
  EXPECT_EQ(read(other_good.region->host()), 2);
  EXPECT_FALSE(good.region->lost_at() || other_good.region->lost_at());
}

TEST(BusErrors, TheAddressIsTheGuestsAlsoWhereTheFileBeginsWithinAPage) {
  const Shared shared({.guest = {0x10000}, .front_end = {0}, .size = 2 * page, .mmap_offset = page + 0x100});
  shared.shrink_to(0);
  EXPECT_EQ(read(shared.region->host() + 5), 0);
  EXPECT_EQ(shared.region->lost_at(), GuestAddress{0x10005});
}

TEST(BusErrors, SeveralThreadsMayFindItOutTogether) {
  for (int round = 0; round < 50; ++round) {
    const Shared shared;
    shared.shrink_to(0);
    std::array<std::thread, 4> threads;
    for (std::size_t i = 0; i < threads.size(); ++i)
      threads[i] = std::thread([&shared, i] { EXPECT_EQ(read(shared.region->host() + i * page), 0); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(shared.region->lost_at());
    EXPECT_TRUE(shared.alarm->drain());
    EXPECT_FALSE(shared.alarm->drain());
  }
}

TEST(BusErrors, ManyMappingsComeAndGo) {
  std::vector<std::unique_ptr<Shared>> all;
  for (int i = 0; i < 200; ++i) all.push_back(std::make_unique<Shared>());
  for (std::size_t i = 0; i < all.size(); i += 2) all[i] = std::make_unique<Shared>();
  all[150]->shrink_to(0);
  EXPECT_EQ(read(all[150]->region->host()), 0);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i]->region->lost_at().has_value(), i == 150) << i;
}

// ---- what is not ours

// A page of a file that is mapped by nobody of ours, and empty.
const std::uint8_t* somebody_elses_page() {
  static const UniqueFd empty(::memfd_create("empty", MFD_CLOEXEC));
  static void* const mapped = ::mmap(nullptr, page, PROT_READ, MAP_SHARED, empty.get(), 0);
  return static_cast<std::uint8_t*>(mapped);
}

using BusErrorsDeathTest = ::testing::Test;

TEST(BusErrorsDeathTest, OtherFaultsEndTheProcessAsEver) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        ::signal(SIGBUS, SIG_DFL);
        handle_bus_errors();
        read(somebody_elses_page());
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST(BusErrorsDeathTest, ASentSignalEndsTheProcessAsEver) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        ::signal(SIGBUS, SIG_DFL);
        handle_bus_errors();
        ::raise(SIGBUS);
        std::exit(0);
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST(BusErrorsDeathTest, AnEarlierHandlerHearsOfTheOthers) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        ::signal(SIGBUS, [](int) { std::exit(17); });
        handle_bus_errors();
        const Shared shared;
        shared.shrink_to(0);
        if (read(shared.region->host()) == 0) read(somebody_elses_page());
      },
      ::testing::ExitedWithCode(17), "");
}

TEST(BusErrorsDeathTest, AlsoOneThatWantsToKnowMore) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        struct sigaction action {};
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = [](int, siginfo_t* info, void*) {
          std::exit(info->si_addr == somebody_elses_page() ? 19 : 1);
        };
        ::sigaction(SIGBUS, &action, nullptr);
        handle_bus_errors();
        read(somebody_elses_page());
      },
      ::testing::ExitedWithCode(19), "");
}

TEST(BusErrorsDeathTest, ASentSignalThatWasIgnoredStillIs) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        ::signal(SIGBUS, SIG_IGN);
        handle_bus_errors();
        ::raise(SIGBUS);
        std::exit(20);
      },
      ::testing::ExitedWithCode(20), "");
}

TEST(BusErrorsDeathTest, AnApplicationsOwnHandlerMayAskUs) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        struct sigaction action {};
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = [](int, siginfo_t* info, void*) {
          if (!recover_from_bus_error(*info)) std::exit(18);
        };
        const Shared shared;
        ::sigaction(SIGBUS, &action, nullptr);
        shared.shrink_to(0);
        if (read(shared.region->host()) == 0) read(somebody_elses_page());
      },
      ::testing::ExitedWithCode(18), "");
}

}  // namespace
}  // namespace vhostx::memory
