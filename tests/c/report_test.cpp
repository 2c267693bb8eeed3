// SPDX-License-Identifier: BSD-3-Clause
// How failures become codes and texts.
#include "c/report.hpp"

#include <stdexcept>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

namespace vhostx::c {
namespace {

TEST(CReport, EveryCodeHasItsNumberAndItsName) {
  for (int code = VHOSTX_INVALID_ARGUMENT; code <= VHOSTX_TIMED_OUT; ++code) {
    const auto cpp = static_cast<ErrorCode>(code - 1);
    EXPECT_EQ(code_of(cpp), code);
    EXPECT_STREQ(vhostx_code_name(code), to_string(cpp));
  }
}

TEST(CReport, ALongTextIsCut) {
  vhostx_error error;
  EXPECT_EQ(report(&error, {ErrorCode::limit, std::string(1000, 'x'), 0}), VHOSTX_LIMIT);
  EXPECT_EQ(std::string(error.message), std::string(sizeof error.message - 1, 'x'));
}

TEST(CReport, WhereThereIsNoTextThereIsAName) {
  vhostx_error error;
  report(&error, {ErrorCode::out_of_memory, {}, 0});
  EXPECT_STREQ(error.message, "out_of_memory");
}

TEST(CReport, ExceptionsBecomeCodes) {
  vhostx_error error;
  const auto failing = [](auto exception) { return [exception]() -> Result<void> { throw exception; }; };
  EXPECT_EQ(run_for_code(&error, failing(std::bad_alloc())), VHOSTX_OUT_OF_MEMORY);
  EXPECT_EQ(run_for_code(&error, failing(std::system_error(24, std::system_category(), "epoll"))), VHOSTX_SYSTEM);
  EXPECT_EQ(error.system_errno, 24);
  EXPECT_EQ(std::string(error.message).rfind("epoll", 0), 0U);
  EXPECT_EQ(run_for_code(nullptr, failing(std::system_error(24, std::system_category()))), VHOSTX_SYSTEM);
}

}  // namespace
}  // namespace vhostx::c
