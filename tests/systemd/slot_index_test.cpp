// SPDX-License-Identifier: BSD-3-Clause
#include "systemd/slot_index.hpp"

#include <cstdint>
#include <fcntl.h>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

namespace vhostx::systemd {
namespace {

SlotIndex made() {
  auto index = SlotIndex::create();
  if (!index) throw std::runtime_error(index.error().message);
  return std::move(index).value();
}

UniqueFd copy_of(const SlotIndex& index) { return UniqueFd(::dup(index.fd())); }

std::string why_refused(UniqueFd file) {
  const auto adopted = SlotIndex::adopt(std::move(file));
  return adopted ? "adopted" : adopted.error().message;
}

void write_word(const SlotIndex& index, std::size_t word, std::uint64_t value) {
  ASSERT_EQ(::pwrite(index.fd(), &value, sizeof value, static_cast<off_t>(word * sizeof value)), 8);
}

TEST(SlotIndex, TheNextProcessReadsWhatWasWritten) {
  SlotIndex index = made();
  ASSERT_TRUE(index.set(0, 7));
  ASSERT_TRUE(index.set(4'000'000'000, 8));
  ASSERT_TRUE(index.set(1, 8));
  ASSERT_TRUE(index.set(0, 9));
  index.clear(1);
  index.clear(55);
  const auto next = SlotIndex::adopt(copy_of(index));
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->file_in(0), 9U);
  EXPECT_EQ(next->file_in(4'000'000'000), 8U);
  EXPECT_EQ(next->file_in(1), 0U);
  EXPECT_EQ(next->entries().size(), 2U);
}

TEST(SlotIndex, IsFullAtItsBound) {
  SlotIndex index = made();
  for (std::uint32_t slot = 0; slot < SlotIndex::slots_max; ++slot) ASSERT_TRUE(index.set(slot, 1));
  const auto refused = index.set(SlotIndex::slots_max, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::limit);
  EXPECT_TRUE(index.set(5, 2)) << "in place of what is there";
  index.clear(6);
  EXPECT_TRUE(index.set(SlotIndex::slots_max, 1));
}

TEST(SlotIndex, WhatIsNoneIsRefused) {
  EXPECT_NE(why_refused(UniqueFd(::eventfd(0, EFD_CLOEXEC))).find("not sealed"), std::string::npos);
  EXPECT_NE(why_refused(UniqueFd(::memfd_create("x", MFD_ALLOW_SEALING))).find("not sealed"), std::string::npos);
  UniqueFd shorter(::memfd_create("x", MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(shorter.get(), 4096), 0);
  ASSERT_EQ(::fcntl(shorter.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  EXPECT_NE(why_refused(std::move(shorter)).find("has 4096 bytes, expected 16392"), std::string::npos);
}

TEST(SlotIndex, ADamagedOneIsRefused) {
  SlotIndex index = made();
  ASSERT_TRUE(index.set(3, 1));
  write_word(index, 9, std::uint64_t{3} << 32 | 2);
  EXPECT_NE(why_refused(copy_of(index)).find("slot 3 twice"), std::string::npos);
  write_word(index, 0, 1);
  EXPECT_NE(why_refused(copy_of(index)).find("another version: 0x1"), std::string::npos);
}

}  // namespace
}  // namespace vhostx::systemd
