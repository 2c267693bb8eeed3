// SPDX-License-Identifier: BSD-3-Clause
#include "systemd/slot_index.hpp"

#include <cerrno>
#include <fcntl.h>
#include <set>
#include <unistd.h>
#include <utility>

#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.hpp"

namespace vhostx::systemd {
namespace {

constexpr std::uint64_t magic = 0x31786469'78736876;  // "vhsxidx1": the last character is the version
constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

constexpr continuity::Slot slot_of(std::uint64_t word) noexcept { return static_cast<continuity::Slot>(word >> 32); }
constexpr std::uint32_t file_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }
constexpr std::uint64_t word_of(continuity::Slot slot, std::uint32_t file) noexcept {
  return std::uint64_t{slot} << 32 | file;
}

}  // namespace

/// The file. A word without a file is free, whatever its slot.
struct SlotIndex::Words {
  std::uint64_t magic;
  std::array<std::uint64_t, slots_max> slots;
};

Result<SlotIndex> SlotIndex::create() {
  UniqueFd file(::memfd_create("vhostx-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file || ::ftruncate(file.get(), sizeof(Words)) != 0 || ::fcntl(file.get(), F_ADD_SEALS, seals) != 0)
    return make_system_error(errno, "making an index of {} bytes", sizeof(Words));
  auto index = map(std::move(file));
  if (index) index->words_->magic = magic;
  return index;
}

Result<SlotIndex> SlotIndex::adopt(UniqueFd file) {
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) return make_system_error(errno, "an index of slots");
  const int sealed = ::fcntl(file.get(), F_GET_SEALS);
  if (sealed < 0 || (sealed & F_SEAL_SHRINK) == 0)
    return protocol_violation("an index of slots is not sealed against shrinking");
  if (static_cast<std::uint64_t>(facts.st_size) != sizeof(Words))
    return protocol_violation("an index of slots has {} bytes, expected {}", facts.st_size, sizeof(Words));
  auto index = map(std::move(file));
  if (!index) return index;
  if (auto good = index->check(); !good) return good.error();
  return index;
}

Result<SlotIndex> SlotIndex::map(UniqueFd file) {
  void* const view = ::mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (view == MAP_FAILED) return make_system_error(errno, "mapping an index of {} bytes", sizeof(Words));
  return SlotIndex(std::move(file), static_cast<Words*>(view));
}

SlotIndex::SlotIndex(SlotIndex&& other) noexcept
    : file_(std::move(other.file_)), words_(std::exchange(other.words_, nullptr)) {}

SlotIndex::~SlotIndex() {
  if (words_ != nullptr) ::munmap(words_, sizeof(Words));
}

Result<void> SlotIndex::check() const {
  if (words_->magic != magic)
    return protocol_violation("an index of slots of another version: {:#x}, expected {:#x}", words_->magic, magic);
  std::set<continuity::Slot> seen;
  for (const Entry& entry : entries())
    if (!seen.insert(entry.slot).second)
      return protocol_violation("an index of slots has slot {} twice, expected once", entry.slot);
  return {};
}

std::vector<SlotIndex::Entry> SlotIndex::entries() const {
  std::vector<Entry> found;
  for (std::size_t i = 0; i < slots_max; ++i)
    if (const std::uint64_t word = load(i); file_of(word) != 0) found.push_back({slot_of(word), file_of(word)});
  return found;
}

std::uint32_t SlotIndex::file_in(continuity::Slot slot) const noexcept {
  const std::size_t place = place_of(slot);
  return place < slots_max ? file_of(load(place)) : 0;
}

Result<void> SlotIndex::set(continuity::Slot slot, std::uint32_t file) {
  std::size_t place = place_of(slot);
  if (place == slots_max) place = free_place();
  if (place == slots_max)
    return make_error(ErrorCode::limit, "a connection of more than {} descriptors: expected at most that", slots_max);
  store(place, word_of(slot, file));
  return {};
}

void SlotIndex::clear(continuity::Slot slot) noexcept {
  if (const std::size_t place = place_of(slot); place < slots_max) store(place, 0);
}

std::size_t SlotIndex::place_of(continuity::Slot slot) const noexcept {
  std::size_t i = 0;
  while (i < slots_max && (file_of(load(i)) == 0 || slot_of(load(i)) != slot)) ++i;
  return i;
}

std::size_t SlotIndex::free_place() const noexcept {
  std::size_t i = 0;
  while (i < slots_max && file_of(load(i)) != 0) ++i;
  return i;
}

std::uint64_t SlotIndex::load(std::size_t place) const noexcept {
  return std::atomic_ref<std::uint64_t>(words_->slots[place]).load(std::memory_order_relaxed);
}

// The process may be killed after any store: what it asked of systemd before is done before the next process reads
// this.
void SlotIndex::store(std::size_t place, std::uint64_t word) noexcept {
  std::atomic_ref<std::uint64_t>(words_->slots[place]).store(word, std::memory_order_seq_cst);
}

}  // namespace vhostx::systemd
