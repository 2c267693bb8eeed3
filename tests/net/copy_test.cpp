// SPDX-License-Identifier: BSD-3-Clause
// copy_packet() copies all of a packet and touches nothing else.
#include "net/copy.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace vhostx::net {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t size_max = 2048;
constexpr std::uint8_t guard_byte = 0xa5;

/// A page between two that cannot be touched.
class GuardedPage {
 public:
  GuardedPage()
      : pages_(static_cast<std::uint8_t*>(
            ::mmap(nullptr, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    if (::mprotect(begin(), page, PROT_READ | PROT_WRITE) != 0) std::abort();
  }
  ~GuardedPage() { ::munmap(pages_, 3 * page); }
  GuardedPage(const GuardedPage&) = delete;
  GuardedPage& operator=(const GuardedPage&) = delete;

  std::uint8_t* begin() const { return pages_ + page; }
  std::uint8_t* end() const { return pages_ + 2 * page; }

 private:
  std::uint8_t* pages_;
};

struct CopyPacket : ::testing::Test {
  CopyPacket() {
    for (std::size_t i = 0; i < page; ++i) from.begin()[i] = static_cast<std::uint8_t>(i * 31 + (i >> 8) * 7 + 1);
  }

  /// Copies, and looks at the whole page.
  void expect_exact(std::uint8_t* to_bytes, const std::uint8_t* from_bytes, std::size_t size) {
    std::fill(to.begin(), to.end(), guard_byte);
    copy_packet(to_bytes, from_bytes, size);
    ASSERT_TRUE(std::equal(from_bytes, from_bytes + size, to_bytes)) << size;
    const auto untouched = [](std::uint8_t byte) { return byte == guard_byte; };
    ASSERT_TRUE(std::all_of(to.begin(), to_bytes, untouched)) << size;
    ASSERT_TRUE(std::all_of(to_bytes + size, to.end(), untouched)) << size;
  }

  GuardedPage from;
  GuardedPage to;
};

TEST_F(CopyPacket, TouchesNothingBehindThePacket) {
  for (std::size_t size = 0; size <= size_max; ++size)
    ASSERT_NO_FATAL_FAILURE(expect_exact(to.end() - size, from.end() - size, size));
}

TEST_F(CopyPacket, TouchesNothingBeforeThePacket) {
  for (std::size_t size = 0; size <= size_max; ++size)
    ASSERT_NO_FATAL_FAILURE(expect_exact(to.begin(), from.begin(), size));
}

// All alignments against each other for sizes at which another way of copying begins; the rest in turn.
TEST_F(CopyPacket, AtEveryAlignment) {
  for (std::size_t size = 0; size <= size_max; ++size) {
    const bool all = size <= 130;
    for (std::size_t a = 0; a < 16; ++a)
      for (std::size_t b = all ? 0 : (a + size) % 16; b < (all ? 16 : (a + size) % 16 + 1); ++b) {
        ASSERT_NO_FATAL_FAILURE(expect_exact(to.begin() + 64 + a, from.begin() + b, size)) << a << " " << b;
      }
  }
}

// A guest may post one buffer twice: what was lent from it is then copied into itself.
TEST_F(CopyPacket, SourceAndDestinationMayOverlap) {
  for (std::size_t size = 0; size <= 300; ++size)
    for (const int shift : {-70, -17, -16, -1, 0, 1, 15, 16, 33, 70}) {
      std::array<std::uint8_t, 512> bytes;
      std::copy_n(from.begin(), bytes.size(), bytes.begin());
      std::array<std::uint8_t, 512> expected = bytes;
      std::memmove(expected.data() + 100 + shift, expected.data() + 100, size);
      copy_packet(bytes.data() + 100 + shift, bytes.data() + 100, size);
      ASSERT_EQ(bytes, expected) << size << " bytes, moved by " << shift;
    }
}

}  // namespace
}  // namespace vhostx::net
