// SPDX-License-Identifier: BSD-3-Clause
#include "systemd/store_room.hpp"

#include "base/error.hpp"

namespace vhostx::systemd {

Result<void> StoreRoom::store(const std::string& name, int fd) {
  if (taken_ >= places_)
    return make_error(ErrorCode::limit,
                      "systemd's store has {} places, and all are taken: FileDescriptorStoreMax=", places_);
  if (name_bytes_ + name.size() + 1 > name_bytes_max)
    return make_error(ErrorCode::limit,
                      "the names of {} descriptors in systemd's store have {} bytes, expected at most {}: a process "
                      "can be given no more",
                      taken_ + 1, name_bytes_ + name.size() + 1, name_bytes_max);
  if (auto stored = manager_->store(name, fd); !stored) return stored;
  count(name);
  return {};
}

Result<void> StoreRoom::remove(const std::string& name) {
  if (auto removed = manager_->remove(name); !removed) return removed;
  --taken_;
  name_bytes_ -= name.size() + 1;
  return {};
}

void StoreRoom::count(const std::string& name) noexcept {
  ++taken_;
  name_bytes_ += name.size() + 1;
}

}  // namespace vhostx::systemd
