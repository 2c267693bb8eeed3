// SPDX-License-Identifier: BSD-3-Clause
// StateFile: what one process wrote, another reads; and whatever else is there is refused.
#include "continuity/state_file.hpp"

#include <array>
#include <cstdint>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace vhostx::continuity {
namespace {

using Bytes = StateFile::Bytes;

constexpr std::size_t bytes_max = 10'000;

Bytes some_bytes(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 7 + count);
  return bytes;
}

template <typename T>
void put(int fd, off_t at, T value) {
  ASSERT_EQ(::pwrite(fd, &value, sizeof value, at), static_cast<ssize_t>(sizeof value));
}

std::string refusal(int fd, std::size_t most = bytes_max) {
  const auto got = StateFile::read(fd, most);
  return got ? "" : got.error().message;
}

struct StateFileTest : ::testing::Test {
  StateFile file = std::move(StateFile::create(bytes_max)).value();
};

TEST_F(StateFileTest, AnotherProcessReadsWhatWasWrittenLast) {
  EXPECT_EQ(StateFile::read(file.fd(), bytes_max).value(), Bytes());
  for (const std::size_t count : {std::size_t{1}, bytes_max, std::size_t{0}, std::size_t{4096}}) {
    ASSERT_TRUE(file.write(some_bytes(count)));
    EXPECT_EQ(StateFile::read(file.fd(), bytes_max).value(), some_bytes(count));
  }
}

TEST_F(StateFileTest, WhatHasNoRoomChangesNothing) {
  ASSERT_TRUE(file.write(some_bytes(5)));
  const auto written = file.write(some_bytes(bytes_max + 1));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::limit);
  EXPECT_EQ(StateFile::read(file.fd(), bytes_max).value(), some_bytes(5));
}

/// As a process leaves it that is killed while it writes: the other half does not count yet.
TEST_F(StateFileTest, AHalfInWorkIsNotRead) {
  ASSERT_TRUE(file.write(some_bytes(5)));
  const std::vector<std::uint8_t> noise(12'288, 0xff);
  ASSERT_EQ(::pwrite(file.fd(), noise.data(), noise.size(), 4096 + 12'288), 12'288);
  EXPECT_EQ(StateFile::read(file.fd(), bytes_max).value(), some_bytes(5));
}

TEST_F(StateFileTest, ALaterVersionMayAllowLess) {
  ASSERT_TRUE(file.write(some_bytes(100)));
  EXPECT_EQ(StateFile::read(file.fd(), 100).value(), some_bytes(100));
  EXPECT_EQ(refusal(file.fd(), 99), "it has 100 bytes, expected at most 99");
}

TEST_F(StateFileTest, ADamagedHeaderIsRefused) {
  ASSERT_TRUE(file.write(some_bytes(5)));
  put(file.fd(), 8, std::uint32_t{3});
  EXPECT_NE(refusal(file.fd()).find("half 0x3, expected"), std::string::npos) << refusal(file.fd());
  for (unsigned bit = 0; bit < 32; ++bit) {
    put(file.fd(), 8, StateFile::in_use_names[1] ^ 1U << bit);
    EXPECT_NE(refusal(file.fd()), "") << "bit " << bit;
  }
  put(file.fd(), 8, StateFile::in_use_names[1]);
  put(file.fd(), 4096, std::uint64_t{12'288 - 8 + 1});
  EXPECT_EQ(refusal(file.fd(), 1 << 20), "it has 12281 bytes, expected at most the 12280 of its file");
  put(file.fd(), 4096, ~std::uint64_t{0});
  EXPECT_NE(refusal(file.fd()), "");
  put(file.fd(), 0, std::uint64_t{1});
  EXPECT_NE(refusal(file.fd()).find("another version: 0x1"), std::string::npos) << refusal(file.fd());
}

/// Nothing waits for a peer: not even with a pipe, or a file that shrinks.
TEST(StateFile, OtherFilesAreRefused) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd read(ends[0]), write(ends[1]);
  EXPECT_NE(refusal(read.get()).find("not sealed"), std::string::npos);
  const UniqueFd plain(::memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(plain.get(), 3 * 4096), 0);
  EXPECT_NE(refusal(plain.get()).find("not sealed"), std::string::npos);
  for (const off_t size : {0, 4096, 2 * 4096, 4 * 4096, 3 * 4096 + 1}) {
    const UniqueFd odd(::memfd_create("odd", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(::ftruncate(odd.get(), size), 0);
    ASSERT_EQ(::fcntl(odd.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
    EXPECT_NE(refusal(odd.get()).find(std::to_string(size) + " bytes, expected an odd number of pages"),
              std::string::npos)
        << refusal(odd.get());
  }
}

}  // namespace
}  // namespace vhostx::continuity
