// SPDX-License-Identifier: BSD-3-Clause
// execv(2) for tests that are built for another processor: the kernel cannot start such a program by itself, unless the
// machine is changed (binfmt_misc). GoogleTest starts each death test anew with this call, which then goes through the
// emulator.
#include <array>
#include <cerrno>
#include <cstddef>
#include <unistd.h>

// In a fork of a program with threads: no memory is allocated.
extern "C" int execv(const char* program, char* const* arguments) {
  const std::array emulator{VHOSTX_TEST_EMULATOR};  // its command line, as CTest uses it
  std::array<char*, 64> words{};
  std::size_t count = 0;
  for (const char* word : emulator) words[count++] = const_cast<char*>(word);
  words[count++] = const_cast<char*>(program);
  for (char* const* word = arguments + 1; *word != nullptr; ++word) {
    if (count + 1 == words.size()) {
      errno = E2BIG;
      return -1;
    }
    words[count++] = *word;
  }
  return ::execvp(words.front(), words.data());
}
