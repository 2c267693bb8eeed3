// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

#include <vhostx/c/error.h>
#include <vhostx/c/log.h>
#include <vhostx/log.hpp>

#include "c/report.hpp"

namespace vhostx::c {
namespace {

/// In the order of vhostx_code, from 1.
constexpr ErrorCode codes[] = {ErrorCode::invalid_argument,
                               ErrorCode::unsupported,
                               ErrorCode::busy,
                               ErrorCode::limit,
                               ErrorCode::out_of_memory,
                               ErrorCode::system,
                               ErrorCode::protocol_violation,
                               ErrorCode::closed,
                               ErrorCode::timed_out};
static_assert(codes[VHOSTX_TIMED_OUT - 1] == ErrorCode::timed_out && std::size(codes) == VHOSTX_TIMED_OUT);

constexpr LogLevel levels[] = {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error};
static_assert(levels[VHOSTX_LOG_ERROR] == LogLevel::error);

}  // namespace

int code_of(ErrorCode code) noexcept {
  return static_cast<int>(std::find(std::begin(codes), std::end(codes), code) - std::begin(codes)) + 1;
}

void copy_text(char* to, std::size_t size, std::string_view text) noexcept {
  const std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

int report(vhostx_error* error, const Error& why) noexcept {
  const int code = code_of(why.code);
  if (error == nullptr) return code;
  error->code = code;
  error->system_errno = why.system_errno;
  // There may have been no memory for a text.
  copy_text(error->message, sizeof error->message, why.message.empty() ? to_string(why.code) : why.message);
  return code;
}

int report_exception(vhostx_error* error) noexcept {
  try {
    throw;
  } catch (const std::system_error& what) {
    if (error != nullptr) {
      *error = {VHOSTX_SYSTEM, what.code().value(), {}};
      copy_text(error->message, sizeof error->message, what.what());
    }
    return VHOSTX_SYSTEM;
  } catch (...) {  // nothing else is thrown in the library than for want of memory
    return report(error, {ErrorCode::out_of_memory, {}, 0});
  }
}

Error no_vring() {
  return make_error(ErrorCode::invalid_argument, "the vring is null, expected one of vhostx_port_vring()");
}

}  // namespace vhostx::c

const char* vhostx_code_name(int code) {
  using vhostx::c::codes;
  if (code == VHOSTX_OK) return "ok";
  return code < 0 || code > VHOSTX_TIMED_OUT ? "unknown" : to_string(codes[code - 1]);
}

const char* vhostx_log_level_name(int level) {
  using vhostx::c::levels;
  return level < 0 || level > VHOSTX_LOG_ERROR ? "unknown" : to_string(levels[level]);
}
