// SPDX-License-Identifier: BSD-3-Clause
// A program that has not started EAL, and so a program of its own.
#include <gtest/gtest.h>

#include <vhostx/vhostx.h>
#include <vhostx/vhostx.hpp>

namespace vhostx {
namespace {

constexpr const char* expected =
    "EAL is not initialised, expected a successful rte_eal_init() before the first Backend";

TEST(WithoutEal, ThereIsNoBackendButAReason) {
  const auto backend = Backend::create();
  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(backend.error().message, expected);
}

TEST(WithoutEal, TheSameInC) {
  vhostx_error error{};
  EXPECT_EQ(vhostx_backend_create(nullptr, &error), nullptr);
  EXPECT_EQ(error.code, VHOSTX_INVALID_ARGUMENT);
  EXPECT_STREQ(error.message, expected);
  EXPECT_EQ(vhostx_backend_create(nullptr, nullptr), nullptr);
}

}  // namespace
}  // namespace vhostx
