// SPDX-License-Identifier: BSD-3-Clause
// Ends a compilation that is not C++20 or newer with words, before the other headers fill a page with errors.
#pragma once

#if __cplusplus < 202002L
#error "vhostx needs C++20: compile with -std=c++20"
#include <vhostx/compile-with-std=c++20>  // no such file: ends the compilation here, which #error does not
#endif
