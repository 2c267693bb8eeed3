// SPDX-License-Identifier: BSD-3-Clause
// Expectations for tests in C: a failure is the GoogleTest test's that runs them.
#pragma once

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Tells of a failure if `good` is not. Returns `good`.
bool check(bool good, const char* what, const char* file, int line);
/// The same of two texts that shall be equal.
bool check_text(const char* text, const char* wanted, const char* file, int line);

#define CHECK(what) check((what), #what, __FILE__, __LINE__)
#define CHECK_TEXT(text, wanted) check_text((text), (wanted), __FILE__, __LINE__)

#ifdef __cplusplus
}
#endif
