// SPDX-License-Identifier: BSD-3-Clause
#include "systemd/stored_name.hpp"

#include <gtest/gtest.h>

namespace vhostx::systemd {
namespace {

/// FDNAME as systemd takes it.
bool is_valid(const std::string& name) {
  for (const char c : name)
    if (c < ' ' || c >= 127 || c == ':') return false;
  return name.size() <= 255;
}

TEST(StoredName, OfAFileIsShort) {
  EXPECT_EQ(name_of_file(1), "vhostx-1");
  EXPECT_EQ(name_of_file(0xffffffff), "vhostx-ffffffff");
  EXPECT_EQ(file_of_name("vhostx-1a"), 26U);
}

TEST(StoredName, OfAnIndexIsThePath) {
  EXPECT_EQ(*name_of_index("/run/vhostx/vm_0.sock-1"), "vhostx@/run/vhostx/vm_0.sock-1");
  EXPECT_EQ(*name_of_index("@a b:c%"), "vhostx@%40a%20b%3Ac%25");
}

TEST(StoredName, EveryByteComesBack) {
  for (int byte = 1; byte < 256; ++byte) {
    const std::string bundle = "/a" + std::string(1, static_cast<char>(byte)) + "20";
    const auto name = name_of_index(bundle);
    ASSERT_TRUE(name);
    EXPECT_TRUE(is_valid(*name)) << byte;
    EXPECT_EQ(bundle_of_name(*name), bundle);
  }
}

TEST(StoredName, WhatIsTooLongIsRefused) {
  EXPECT_TRUE(name_of_index(std::string(107, 'a')));
  EXPECT_TRUE(name_of_index(std::string(82, ' ')));
  const auto refused = name_of_index(std::string(83, ' '));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().message.find("has 256 characters"), std::string::npos) << refused.error().message;
}

TEST(StoredName, OnlyOneSpellingIsRead) {
  for (const char* const name : {"vhostx-", "vhostx-0", "vhostx-01", "vhostx-A", "vhostx-1 ", "vhostx-100000000",
                                 "vhostx-x", "vhostx--1", "Vhostx-1", "vhostx@a"})
    EXPECT_FALSE(file_of_name(name)) << name;
  for (const char* const name : {"vhostx@%", "vhostx@%4", "vhostx@%zz", "vhostx@%41", "vhostx@%2f", "vhostx@a b",
                                 "vhostx@%3a", "vhostx-1", "vhostx"})
    EXPECT_FALSE(bundle_of_name(name)) << name;
}

TEST(StoredName, OthersAreLeftAlone) {
  for (const char* const name :
       {"stored", "vhostx", "connection", "", "vhostx.socket", "vhostx-", "vhostx-switch.socket"})
    EXPECT_FALSE(is_name_of_ours(name)) << name;
  for (const char* const name : {"vhostx-1", "vhostx-0123456789abcdef", "vhostx@", "vhostx@of another version"})
    EXPECT_TRUE(is_name_of_ours(name)) << name;
}

}  // namespace
}  // namespace vhostx::systemd
