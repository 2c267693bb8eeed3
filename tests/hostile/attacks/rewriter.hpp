// SPDX-License-Identifier: BSD-3-Clause
// Rewriter: a thread that writes to shared memory without end, as another CPU of a guest may while the back-end reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <thread>

namespace vhostx::hostile {

class Rewriter {
 public:
  /// Writes values of chance, single words and whole runs.
  Rewriter(void* at, std::size_t bytes)
      : Rewriter([at, bytes](std::mt19937_64& random) { scribble(at, bytes, random); }) {}
  /// Calls `write` again and again.
  explicit Rewriter(std::function<void(std::mt19937_64&)> write)
      : thread_([write = std::move(write)](const std::stop_token& stop) {
          for (std::mt19937_64 random(4711); !stop.stop_requested();) write(random);
        }) {}

 private:
  static void scribble(void* at, std::size_t bytes, std::mt19937_64& random) {
    auto* const words = static_cast<std::uint16_t*>(at);
    const std::size_t count = bytes / sizeof *words;
    for (int i = 0; i < 64; ++i)
      __atomic_store_n(words + random() % count, static_cast<std::uint16_t>(random()), __ATOMIC_RELAXED);
  }

  std::jthread thread_;
};

}  // namespace vhostx::hostile
