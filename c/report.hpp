// SPDX-License-Identifier: BSD-3-Clause
// Turns a Result or an exception into a code and a vhostx_error of the C interface.
#pragma once

#include <cstddef>
#include <string_view>

#include <vhostx/c/error.h>
#include <vhostx/result.hpp>

namespace vhostx::c {

/// The C interface's number for a code. Its numbers never change; those of the C++ enumeration may.
int code_of(ErrorCode code) noexcept;

/// Writes `text` to a caller's array, cut to its size and always terminated.
void copy_text(char* to, std::size_t size, std::string_view text) noexcept;

/// Writes `why` to `error`, if that is not null. Returns the code.
int report(vhostx_error* error, const Error& why) noexcept;

/// The same for the exception that is being handled.
int report_exception(vhostx_error* error) noexcept;

/// Of a call with a null vring. invalid_argument.
Error no_vring();

/// Runs `work`, which returns a Result of a unique_ptr. Returns the object, which the caller then owns; null after an
/// error, which `error` gets.
template <typename Work>
auto run_for_object(vhostx_error* error, Work work) noexcept -> decltype(work().value().release()) {
  try {
    auto result = work();
    if (result) return result.value().release();
    report(error, result.error());
  } catch (...) {
    report_exception(error);
  }
  return nullptr;
}

/// Runs `work`, which returns a Result<void>. Returns its code; `error` gets the error.
template <typename Work>
int run_for_code(vhostx_error* error, Work work) noexcept {
  try {
    const Result<void> result = work();
    return result ? VHOSTX_OK : report(error, result.error());
  } catch (...) {
    return report_exception(error);
  }
}

}  // namespace vhostx::c
