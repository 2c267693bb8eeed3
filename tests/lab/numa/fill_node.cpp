// SPDX-License-Identifier: BSD-3-Clause
// fill-node FULL OTHER: moves pages of its own from node OTHER to node FULL until FULL takes none any more, prints
// "full MEBIBYTES", keeps them until its input ends, and then prints nothing.
//
// Pages are moved, not bound and touched: an allocation that finds its only node full calls the kernel's killer, a move
// just fails, at the same mark at which anybody else's move fails.
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numaif.h>
#include <string>
#include <unistd.h>

#include <sys/mman.h>

namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t chunk_bytes = std::size_t{4} << 20;
constexpr int refusals_enough = 64;  // of single pages in a row: what was left over here and there is gone too

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "fill-node: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

bool bind_to(std::byte* at, std::size_t bytes, unsigned node) {
  const unsigned long mask = 1UL << node;
  return ::mbind(at, bytes, MPOL_BIND, &mask, sizeof mask * 8, MPOL_MF_MOVE | MPOL_MF_STRICT) == 0;
}

/// Touched memory on node `other`.
std::byte* chunk_on(unsigned other) {
  void* const at = ::mmap(nullptr, chunk_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) fail("mapping memory");
  ::madvise(at, chunk_bytes, MADV_NOHUGEPAGE);
  auto* const chunk = static_cast<std::byte*>(at);
  if (!bind_to(chunk, chunk_bytes, other)) fail("binding memory to the other node");
  std::memset(chunk, 1, chunk_bytes);
  return chunk;
}

/// Bytes moved: all of the chunk, or as many pages as still went.
std::size_t move_chunk(std::byte* chunk, unsigned full, int& refused) {
  if (bind_to(chunk, chunk_bytes, full)) return chunk_bytes;
  std::size_t moved = 0;
  for (std::size_t at = 0; at < chunk_bytes && refused < refusals_enough; at += page_bytes) {
    const bool went = bind_to(chunk + at, page_bytes, full);
    refused = went ? 0 : refused + 1;
    if (went) moved += page_bytes;
  }
  return moved;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: fill-node FULL OTHER\n");
    return 2;
  }
  const auto full = static_cast<unsigned>(std::atoi(argv[1]));
  const auto other = static_cast<unsigned>(std::atoi(argv[2]));
  std::size_t bytes = 0;
  for (int refused = 0; refused < refusals_enough;) bytes += move_chunk(chunk_on(other), full, refused);
  std::printf("full %zu\n", bytes >> 20);
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) continue;
  return 0;
}
