// SPDX-License-Identifier: BSD-3-Clause
// DescriptorStore: the bundles of all ports of this process in systemd's descriptor store.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "base/release_pool.hpp"
#include "base/releases.hpp"
#include "base/unique_fd.hpp"
#include "continuity/port_keeper.hpp"
#include "systemd/service_manager.hpp"
#include "systemd/slot_index.hpp"
#include "systemd/store_room.hpp"
#include "systemd/stored_files.hpp"

namespace vhostx::systemd {

/// A change asks systemd for what is added, then changes a word of the bundle's index, then asks for the removal of
/// what nobody uses any more. So whenever the process is killed, the index tells what the last hold() or drop() left,
/// and files that no index has are of a change that was not finished: they are removed at the next start.
///
/// Any thread.
class DescriptorStore {
 public:
  using Clock = std::chrono::steady_clock;
  using Files = continuity::PortKeeper::Files;
  using Slot = continuity::Slot;

  /// `stored`: what the process before left. A bundle of it that cannot be read is removed. `grace`: how long the
  /// others wait for their ports.
  DescriptorStore(std::unique_ptr<ServiceManager> manager, std::size_t places, std::vector<Stored> stored,
                  std::chrono::milliseconds grace);
  ~DescriptorStore();
  DescriptorStore(const DescriptorStore&) = delete;
  DescriptorStore& operator=(const DescriptorStore&) = delete;

  /// PortKeeper's, of one bundle. Errors: busy (claimed in this process), limit, invalid_argument (the name), system.
  Result<Files> claim(const std::string& name);
  Result<void> hold(const std::string& name, Slot slot, int fd);
  Result<void> drop(const std::string& name, Slot slot);
  Result<void> park(const std::string& name, std::chrono::milliseconds grace);
  /// Its owner is gone: as park(), with the grace of the constructor, but it does not wait for systemd.
  void release(const std::string& name) noexcept;

  /// Removes the bundles that nobody has claimed in time. How many.
  std::size_t drop_unclaimed(Clock::time_point now);

 private:
  struct Bundle {
    SlotIndex index;
    std::shared_ptr<Releases> releases;
    bool claimed;
    Clock::time_point waits_until;  // where it is not claimed
  };
  using Bundles = std::map<std::string, Bundle>;

  void take(std::map<std::string, std::vector<UniqueFd>> stored);
  void take_index(const std::string& name, const std::string& bundle, UniqueFd fd);
  Result<Bundle*> make(const std::string& name);
  Result<Files> files_of(const Bundle& bundle) const;
  Result<Bundle*> claimed(const std::string& name);
  Result<void> remove(Bundles::iterator bundle);

  const std::chrono::milliseconds grace_;
  const std::shared_ptr<ReleasePool> pool_ = std::make_shared<ReleasePool>();
  std::mutex lock_;
  StoreRoom room_;
  StoredFiles files_;
  Bundles bundles_;
};

}  // namespace vhostx::systemd
