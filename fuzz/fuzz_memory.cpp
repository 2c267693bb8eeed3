// SPDX-License-Identifier: BSD-3-Clause
// A front-end that sets, adds and removes regions of any numbers and files, and a guest that names any addresses,
// against a list of regions that is searched from its beginning to its end.
//
// Input: Choices.
#include <array>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <optional>
#include <unistd.h>
#include <vector>

#include <sys/eventfd.h>
#include <sys/mman.h>

#include "backend/connection/memory_table.hpp"
#include "fuzz/choices.hpp"
#include "memory/buffer_translator.hpp"

namespace {

using namespace vhostx;
using fuzz::Choices;
using memory::FrontEndAddress;
using memory::GuestAddress;
using memory::GuestMemory;
using protocol::FrontEndRequest;
using protocol::Message;

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr memory::MemoryLimits limits{.regions_max = 10, .bytes_max = 0x60000};

/// What a front-end may send as memory. Of those that can be memory each word says which file it is of, and where.
class Files {
 public:
  Files() {
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
      files_[i].reset(::memfd_create("guest", MFD_CLOEXEC));
      require(::ftruncate(files_[i].get(), static_cast<off_t>(sizes_[i])) == 0);
      for (std::uint64_t at = 0; at + 8 <= sizes_[i]; at += 8) {
        const std::uint64_t word = word_at(i, at);
        require(::pwrite(files_[i].get(), &word, sizeof word, static_cast<off_t>(at)) == sizeof word);
      }
    }
    other_.reset(::eventfd(0, EFD_CLOEXEC));
  }
  static std::uint64_t word_at(std::size_t file, std::uint64_t at) { return (at + 8) << 8 | file; }
  static std::uint8_t byte_at(std::size_t file, std::uint64_t at) {
    return static_cast<std::uint8_t>(word_at(file, at / 8 * 8) >> at % 8 * 8);
  }
  /// 0 where it cannot be memory.
  static std::uint64_t size(std::size_t file) { return file < sizes_.size() ? sizes_[file] : 0; }
  UniqueFd open(std::size_t file) const {
    return UniqueFd(::fcntl(file < files_.size() ? files_[file].get() : other_.get(), F_DUPFD_CLOEXEC, 0));
  }

 private:
  static constexpr std::array<std::uint64_t, 3> sizes_{0x20000, 0x10000, 0x1008};
  std::array<UniqueFd, 3> files_;
  UniqueFd other_;
};

struct Region {
  protocol::MemoryRegion numbers;
  std::size_t file = 0;
  unsigned added = 1;
};

constexpr std::uint64_t top = std::numeric_limits<std::uint64_t>::max();

bool wraps(std::uint64_t begin, std::uint64_t size) { return size - 1 > top - begin; }

bool is_acceptable(const Region& region) {
  const auto& n = region.numbers;
  if (n.size == 0 || wraps(n.guest_address, n.size) || wraps(n.front_end_address, n.size)) return false;
  return n.size <= Files::size(region.file) && n.mmap_offset <= Files::size(region.file) - n.size;
}

bool overlap(std::uint64_t a, std::uint64_t a_size, std::uint64_t b, std::uint64_t b_size) {
  return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

/// A table may be so; `regions` are acceptable each.
bool is_table(const std::vector<Region>& regions) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < regions.size(); ++i) {
    const auto& a = regions[i].numbers;
    bytes += a.size;
    for (std::size_t k = 0; k < i; ++k) {
      const auto& b = regions[k].numbers;
      if (overlap(a.guest_address, a.size, b.guest_address, b.size)) return false;
      if (overlap(a.front_end_address, a.size, b.front_end_address, b.size)) return false;
    }
  }
  return regions.size() <= limits.regions_max && bytes <= limits.bytes_max;
}

/// The list that a MemoryTable must be like.
class Model {
 public:
  const std::vector<Region>& regions() const { return regions_; }

  bool set(const std::vector<Region>& wanted) {
    for (const Region& region : wanted)
      if (!is_acceptable(region)) return false;
    if (!is_table(wanted)) return false;
    regions_ = wanted;
    return true;
  }
  bool add(const Region& wanted) {
    for (Region& region : regions_)
      if (std::memcmp(&region.numbers, &wanted.numbers, sizeof wanted.numbers) == 0)
        return region.added < 128 && ++region.added != 0;
    auto more = regions_;
    more.push_back(wanted);
    if (!is_acceptable(wanted) || !is_table(more)) return false;
    regions_ = more;
    return true;
  }
  bool remove(const Region& wanted) {
    for (std::size_t i = 0; i < regions_.size(); ++i) {
      const auto& n = regions_[i].numbers;
      if (n.guest_address != wanted.numbers.guest_address || n.size != wanted.numbers.size ||
          n.front_end_address != wanted.numbers.front_end_address)
        continue;
      if (--regions_[i].added == 0) regions_.erase(regions_.begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    }
    return false;
  }

 private:
  std::vector<Region> regions_;
};

/// Where an address lies, and how many bytes of the region follow.
struct Found {
  std::size_t file;
  std::uint64_t at;
  std::uint64_t left;
};

template <typename Start>
std::optional<Found> find(const std::vector<Region>& regions, std::uint64_t address, Start start) {
  for (const Region& region : regions) {
    const std::uint64_t begin = start(region.numbers);
    if (address < begin || address - begin >= region.numbers.size) continue;
    return Found{region.file, region.numbers.mmap_offset + (address - begin), region.numbers.size - (address - begin)};
  }
  return {};
}
std::optional<Found> find_guest(const std::vector<Region>& regions, std::uint64_t address) {
  return find(regions, address, [](const protocol::MemoryRegion& n) { return n.guest_address; });
}

/// First and last byte are those of the file.
void require_bytes(const std::uint8_t* data, std::uint64_t size, const Found& found) {
  for (const std::uint64_t i : {std::uint64_t{0}, size - 1})
    require(data[i] == Files::byte_at(found.file, found.at + i) || found.at + i >= Files::size(found.file) / 8 * 8);
}

class Translations {
 public:
  Translations(std::vector<Region> regions, std::shared_ptr<const GuestMemory> memory)
      : regions_(std::move(regions)), memory_(std::move(memory)) {}

  void check(Choices& choices) {
    const std::uint64_t address = pick_address(choices);
    const auto length = static_cast<std::size_t>(
        choices.pick<std::uint64_t>({1, 16, 0, 0x1000, 0x20000, top, top - address, top - address + 1}));
    if (memory_ == nullptr) return require(regions_.empty());
    check_prefix(address, length);
    check_front_end(address, length);
    check_buffers<16>(address, length, choices);
    check_buffers<0x10000>(address, length, choices);
  }

 private:
  std::uint64_t pick_address(Choices& choices) const {
    if (regions_.empty() || choices.one_in(6)) return choices.number();
    const auto& n = regions_[choices.below(static_cast<std::uint32_t>(regions_.size()))].numbers;
    const std::uint64_t begin = choices.one_in(4) ? n.front_end_address : n.guest_address;
    return begin +
           choices.pick<std::uint64_t>({0, 1, n.size - 1, n.size - 16, n.size, n.size / 2, top, choices.byte()});
  }

  void check_prefix(std::uint64_t address, std::size_t length) {
    const auto found = find_guest(regions_, address);
    const auto span = memory_->translate_prefix(GuestAddress{address}, length, hint_);
    require(bool{span} == found.has_value() || length == 0);
    const bool whole = found && length != 0 && length <= found->left;
    require(bool{memory_->translate(GuestAddress{address}, length)} == whole);
    require(bool{memory_->translate(GuestAddress{address}, length, hint_)} == whole);
    if (!found || length == 0) return;
    require(span.size == std::min<std::uint64_t>(length, found->left));
    require_bytes(span.data, span.size, *found);
  }

  void check_front_end(std::uint64_t address, std::size_t length) const {
    const auto found = find(regions_, address, [](const protocol::MemoryRegion& n) { return n.front_end_address; });
    const auto span = memory_->translate(FrontEndAddress{address}, length);
    require(bool{span} == (found && length != 0 && length <= found->left));
    if (span) require_bytes(span.data, length, *found);
  }

  template <std::size_t length_max>
  void check_buffers(std::uint64_t address, std::size_t length, Choices& choices) {
    if (length == 0 || length > length_max) return;
    memory::BufferTranslator<length_max> translator(*memory_, hint_);
    for (int i = 0; i < 3; ++i) {
      const std::uint8_t* data = nullptr;
      const auto found = find_guest(regions_, address);
      require(translator.translate({address}, length, data) == (found && length <= found->left));
      if (found && length <= found->left) require_bytes(data, length, *found);
      address = pick_address(choices);
    }
    translator.keep_hint(hint_);
  }

  std::vector<Region> regions_;
  std::shared_ptr<const GuestMemory> memory_;
  GuestMemory::Hint hint_;
};

Region pick_region(Choices& choices, const Model& model) {
  const auto& known = model.regions();
  if (!known.empty() && choices.one_in(3)) {
    Region region = known[choices.below(static_cast<std::uint32_t>(known.size()))];
    region.added = 1;
    auto& n = region.numbers;
    switch (choices.below(5)) {  // the same, a neighbour, or almost the same
      case 0:
        n.guest_address += n.size, n.front_end_address += n.size;
        break;
      case 1:
        n.guest_address -= n.size, n.front_end_address -= n.size;
        break;
      case 2:
        n.mmap_offset += 0x1000;
        break;
      default:
        break;
    }
    return region;
  }
  Region region;
  region.file = choices.pick<std::size_t>({0, 1, 0, 1, 2, 3});
  auto& n = region.numbers;
  n.guest_address =
      choices.one_in(8) ? choices.number() : std::uint64_t{choices.byte()} << choices.pick({12, 16, 30, 56});
  n.front_end_address = choices.one_in(8) ? choices.number() : 0x7000'0000'0000 + (std::uint64_t{choices.byte()} << 16);
  n.size =
      choices.pick<std::uint64_t>({0x1000, 0x10000, 0x8000, 0x1008, 1, 0x1001, 0, 0x20000, 0x20001, top, top - 0xfff});
  n.mmap_offset = choices.pick<std::uint64_t>({0, 0, 0x1000, 8, 0xfff, 0x10000, top, top - 0xfff});
  return region;
}

template <typename Payload>
Message make_message(FrontEndRequest request, const Payload& payload) {
  Message message({static_cast<std::uint32_t>(request), protocol::Header::version_1, sizeof payload});
  std::memcpy(message.payload().data(), &payload, sizeof payload);
  return message;
}

/// One request to both. The same verdict, and what was refused changed nothing.
void change(Choices& choices, const Files& files, backend::MemoryTable& table, Model& model) {
  const auto before = table.current();
  Region region = pick_region(choices, model);
  bool done = false;
  bool expected = false;
  if (choices.one_in(4)) {
    protocol::MemoryTablePayload payload{};
    std::vector<Region> wanted;
    for (std::uint32_t i = 0, count = choices.below(9); i < count; ++i) wanted.push_back(pick_region(choices, model));
    payload.header.count = static_cast<std::uint32_t>(wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) payload.regions[i] = wanted[i].numbers;
    auto message = make_message(FrontEndRequest::set_mem_table, payload);
    const bool one_less = !wanted.empty() && choices.one_in(16);
    for (std::size_t i = one_less ? 1 : 0; i < wanted.size(); ++i) message.add_fd(files.open(wanted[i].file));
    done = table.set(message).ok();
    expected = !one_less && model.set(wanted);
  } else if (choices.one_in(3)) {
    auto message = make_message(FrontEndRequest::rem_mem_reg, protocol::SingleMemoryRegion{0, region.numbers});
    done = table.remove(message).ok();
    expected = model.remove(region);
  } else {
    auto message = make_message(FrontEndRequest::add_mem_reg, protocol::SingleMemoryRegion{0, region.numbers});
    message.add_fd(files.open(region.file));
    done = table.add(message).ok();
    expected = model.add(region);
  }
  require(done == expected);
  require(done || table.current() == before);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Files files;
  Choices choices(data, size);
  backend::MemoryTable table(limits, nullptr, nullptr);
  Model model;
  Translations old({}, nullptr);  // a table that somebody still uses
  for (int i = 0; i < 200 && !choices.empty(); ++i) {
    change(choices, files, table, model);
    Translations now(model.regions(), table.current());
    for (std::uint32_t looks = choices.below(4); looks != 0; --looks) now.check(choices);
    old.check(choices);
    if (choices.one_in(3)) old = std::move(now);
  }
  return 0;
}
