// SPDX-License-Identifier: BSD-3-Clause
#include "systemd/descriptor_store.hpp"

#include <utility>

#include "base/error.hpp"
#include "systemd/stored_name.hpp"

namespace vhostx::systemd {

DescriptorStore::DescriptorStore(std::unique_ptr<ServiceManager> manager, std::size_t places,
                                 std::vector<Stored> stored, std::chrono::milliseconds grace)
    : grace_(grace), room_(std::move(manager), places), files_(room_) {
  const auto releases = std::make_shared<Releases>(pool_);
  std::map<std::string, std::vector<UniqueFd>> by_name;
  for (Stored& one : stored) by_name[one.name].emplace_back(one.fd.release(), releases->ticket());
  take(std::move(by_name));
}

DescriptorStore::~DescriptorStore() { pool_->finish(); }

// Of two with one name nobody knows which is meant. Errors of a removal: what is left is removed by the next process.
void DescriptorStore::take(std::map<std::string, std::vector<UniqueFd>> stored) {
  std::map<std::string, UniqueFd> indexes;
  for (auto& [name, fds] : stored) {
    const auto number = file_of_name(name);
    if (number) files_.reserve(*number);
    if (fds.size() == 1 && number) {
      files_.found(*number, std::move(fds.front()));
    } else if (fds.size() == 1 && bundle_of_name(name)) {
      indexes.emplace(name, std::move(fds.front()));
    } else {
      room_.found(name);
      (void)room_.remove(name);
    }
  }
  for (auto& [name, fd] : indexes) take_index(name, *bundle_of_name(name), std::move(fd));
  (void)files_.remove_unused();
}

// The adoption of a connection checks whether all is there.
void DescriptorStore::take_index(const std::string& name, const std::string& bundle, UniqueFd fd) {
  room_.found(name);
  auto index = SlotIndex::adopt(std::move(fd));
  if (!index) {
    (void)room_.remove(name);
    return;
  }
  for (const SlotIndex::Entry& entry : index->entries()) {
    files_.reserve(entry.file);
    if (!files_.use(entry.file)) index->clear(entry.slot);
  }
  bundles_.emplace(bundle,
                   Bundle{std::move(index).value(), std::make_shared<Releases>(pool_), false, Clock::now() + grace_});
}

Result<DescriptorStore::Files> DescriptorStore::claim(const std::string& name) {
  const std::lock_guard guard(lock_);
  const auto found = bundles_.find(name);
  if (found != bundles_.end() && found->second.claimed)
    return make_error(ErrorCode::busy, "'{}' belongs to another port of this process", name);
  Result<Bundle*> bundle = found != bundles_.end() ? &found->second : make(name);
  if (!bundle) return bundle.error();
  auto files = files_of(**bundle);
  if (files) (*bundle)->claimed = true;
  return files;
}

Result<DescriptorStore::Bundle*> DescriptorStore::make(const std::string& name) {
  const auto index_name = name_of_index(name);
  if (!index_name) return index_name.error();
  auto index = SlotIndex::create();
  if (!index) return index.error();
  if (auto stored = room_.store(*index_name, index->fd()); !stored) return stored.error();
  const auto made = bundles_.emplace(
      name, Bundle{std::move(index).value(), std::make_shared<Releases>(pool_), false, Clock::now() + grace_});
  return &made.first->second;
}

Result<DescriptorStore::Files> DescriptorStore::files_of(const Bundle& bundle) const {
  Files files;
  for (const SlotIndex::Entry& entry : bundle.index.entries()) {
    auto fd = files_.duplicate(entry.file);
    if (!fd) return fd.error();
    files.emplace(entry.slot, std::move(fd).value());
  }
  return files;
}

Result<DescriptorStore::Bundle*> DescriptorStore::claimed(const std::string& name) {
  const auto bundle = bundles_.find(name);
  if (bundle == bundles_.end() || !bundle->second.claimed)
    return invalid_argument("'{}' is not claimed, expected claim() before", name);
  return &bundle->second;
}

Result<void> DescriptorStore::hold(const std::string& name, Slot slot, int fd) {
  const std::lock_guard guard(lock_);
  const auto found = claimed(name);
  if (!found) return found.error();
  Bundle& bundle = **found;
  const auto file = files_.use(fd, *bundle.releases);
  if (!file) return file.error();
  const std::uint32_t before = bundle.index.file_in(slot);
  if (auto set = bundle.index.set(slot, *file); !set) {
    (void)files_.unuse(*file);
    return set;
  }
  return before == 0 ? Result<void>() : files_.unuse(before);
}

Result<void> DescriptorStore::drop(const std::string& name, Slot slot) {
  const std::lock_guard guard(lock_);
  const auto found = claimed(name);
  if (!found) return found.error();
  SlotIndex& index = (*found)->index;
  const std::uint32_t file = index.file_in(slot);
  index.clear(slot);
  return file == 0 ? Result<void>() : files_.unuse(file);
}

// The process may end next. If it is not the service's main process, systemd may not know whose a message is once it
// has ended.
Result<void> DescriptorStore::park(const std::string& name, std::chrono::milliseconds grace) {
  const std::lock_guard guard(lock_);
  const auto bundle = claimed(name);
  if (!bundle) return bundle.error();
  (*bundle)->claimed = false;
  (*bundle)->waits_until = Clock::now() + grace;
  return room_.settle();
}

void DescriptorStore::release(const std::string& name) noexcept {
  const std::lock_guard guard(lock_);
  const auto bundle = bundles_.find(name);
  if (bundle == bundles_.end() || !bundle->second.claimed) return;
  bundle->second.claimed = false;
  bundle->second.waits_until = Clock::now() + grace_;
}

std::size_t DescriptorStore::drop_unclaimed(Clock::time_point now) {
  const std::lock_guard guard(lock_);
  std::size_t dropped = 0;
  for (auto bundle = bundles_.begin(); bundle != bundles_.end();) {
    const auto next = std::next(bundle);
    if (!bundle->second.claimed && bundle->second.waits_until <= now) {
      (void)remove(bundle);  // what is left is removed by the next process
      ++dropped;
    }
    bundle = next;
  }
  return dropped;
}

// The index first: files without one are removed at the next start, whenever this process ends.
Result<void> DescriptorStore::remove(Bundles::iterator bundle) {
  const std::vector<SlotIndex::Entry> entries = bundle->second.index.entries();
  Result<void> done;
  if (const auto name = name_of_index(bundle->first)) done = room_.remove(*name);
  for (const SlotIndex::Entry& entry : entries)
    if (auto removed = files_.unuse(entry.file); !removed) done = std::move(removed);
  bundles_.erase(bundle);
  return done;
}

}  // namespace vhostx::systemd
