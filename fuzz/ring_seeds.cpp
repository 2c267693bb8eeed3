// SPDX-License-Identifier: BSD-3-Clause
// Writes the seeds of fuzz_rings into the folder that is its argument: a ring of each kind of chain, legal and not, and
// the same descriptors as a packed ring.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr std::uint64_t base = 0x10000;
constexpr std::size_t avail_at = 0x1000;
constexpr std::size_t buffers_at = 0x3000;

struct Descriptor {
  std::uint64_t address;
  std::uint32_t length;
  std::uint16_t flags;
  std::uint16_t next;
};

struct Seed {
  std::string name;
  std::vector<Descriptor> descriptors;
  std::vector<std::uint16_t> heads;
  bool to_guest = false;
  std::vector<Descriptor> table = {};  // indirect, at buffers_at
};

void put(std::vector<std::uint8_t>& bytes, std::size_t at, const void* from, std::size_t size) {
  if (bytes.size() < at + size) bytes.resize(at + size);
  std::memcpy(bytes.data() + at, from, size);
}

/// As a packed ring has it: id and flags in place of flags and next.
Descriptor packed(const Descriptor& one) { return {one.address, one.length, one.next, one.flags}; }

void write(const std::string& folder, const std::string& name, std::vector<std::uint8_t> bytes, const Seed& seed) {
  const std::size_t memory = bytes.size();
  put(bytes, memory, seed.descriptors.data(), seed.descriptors.size() * sizeof(Descriptor));
  put(bytes, memory + avail_at + 4, seed.heads.data(), seed.heads.size() * 2);
  const std::vector<std::uint8_t> buffer(256, 0);
  put(bytes, memory + buffers_at, buffer.data(), buffer.size());
  if (!seed.table.empty()) put(bytes, memory + buffers_at, seed.table.data(), seed.table.size() * sizeof(Descriptor));
  std::ofstream(folder + "/" + name, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

/// Control: a ring of 8, VERSION_1 and MRG_RXBUF, `available` of it, one more before the second burst.
std::vector<std::uint8_t> control(const Seed& seed, std::uint8_t size, std::uint16_t start, std::size_t available) {
  std::vector<std::uint8_t> bytes{size, seed.to_guest, 0x03, 8};
  for (const std::uint16_t word : {start, static_cast<std::uint16_t>(available)}) put(bytes, bytes.size(), &word, 2);
  bytes.resize(10, 1);
  return bytes;
}

void write_both(const std::string& folder, const Seed& seed) {
  write(folder, seed.name, control(seed, 3, 0, seed.heads.size()), seed);
  Seed other = seed;
  for (auto* list : {&other.descriptors, &other.table})
    for (Descriptor& one : *list) one = packed(one);
  write(folder, "packed_" + seed.name, control(seed, 3 | 8, 0x8000, seed.descriptors.size()), other);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: ring_seeds FOLDER\n", stderr);
    return 2;
  }
  const std::uint64_t buffer = base + buffers_at;
  const std::uint64_t border = base + 0x8000;
  const std::vector<Seed> seeds{
      {"one", {{buffer, 76, 0, 0}}, {0}},
      {"two", {{buffer, 12, 1, 1}, {buffer + 12, 64, 0, 0}}, {0}},
      {"four_packets", {{buffer, 76, 0, 0}, {buffer, 80, 0, 0}, {buffer, 12, 1, 3}, {buffer, 60, 0, 0}}, {0, 1, 2}},
      {"border", {{border - 30, 76, 0, 0}}, {0}},
      {"indirect", {{buffer, 32, 4, 0}}, {0}, false, {{buffer + 64, 12, 1, 1}, {buffer + 76, 64, 0, 0}}},
      {"tail_table", {{buffer + 64, 12, 1, 1}, {buffer, 16, 4, 0}}, {0}, false, {{buffer + 76, 64, 0, 0}}},
      {"loop", {{buffer, 76, 1, 0}}, {0}},
      {"bad_head", {{buffer, 76, 0, 0}}, {8, 0, 65535}},
      {"short", {{buffer, 5, 0, 0}, {buffer, 12, 0, 0}}, {0, 1}},
      {"receive", {{buffer, 2000, 2, 0}, {buffer, 2000, 2, 0}}, {0, 1}, true},
      {"receive_merged",
       {{buffer, 60, 2, 0}, {buffer, 60, 2, 0}, {buffer, 60, 2, 0}, {buffer, 60, 2, 0}},
       {0, 1, 2, 3},
       true},
      {"receive_split", {{buffer, 5, 3, 1}, {border - 20, 300, 2, 0}}, {0}, true},
      {"receive_indirect", {{buffer, 32, 4, 0}}, {0}, true, {{buffer + 64, 12, 3, 1}, {buffer + 76, 400, 2, 0}}},
      {"receive_tiny", {{buffer, 1, 2, 0}, {buffer, 400, 2, 0}}, {0, 1}, true},
  };
  for (const Seed& seed : seeds) write_both(argv[1], seed);
  return 0;
}
