// SPDX-License-Identifier: BSD-3-Clause
// AccessTable: how often each virtual CPU touched which page.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>

namespace vhostx::lab {

inline constexpr unsigned page_shift = 12;

/// Of one program and of the machine: a page that moves to another node has the same virtual and a new physical number.
struct Pages {
  std::uint64_t address = 0;  ///< As the program has it, >> page_shift.
  std::uint64_t place = 0;    ///< As the machine has it, >> page_shift.
  bool operator==(const Pages&) const noexcept = default;
};

class AccessTable {
 public:
  static constexpr unsigned vcpus_max = 16;  ///< Of further ones nothing is counted.

  bool counting() const noexcept { return counting_.load(std::memory_order_relaxed); }
  void count(unsigned vcpu, const Pages& pages, bool store) {
    if (vcpu >= vcpus_max) return;
    Vcpu& own = vcpus_[vcpu];
    const std::lock_guard lock(own.mutex);
    Counts& counts = own.pages[pages];
    ++(store ? counts.stores : counts.loads);
  }

  /// Forgets all, and counts from here.
  void begin() {
    for (Vcpu& vcpu : vcpus_) {
      const std::lock_guard lock(vcpu.mutex);
      vcpu.pages.clear();
    }
    counting_ = true;
  }

  /// Counts no more. Lines of "VCPU ADDRESS PLACE LOADS STORES"; pages in hexadecimal.
  std::string end();

 private:
  struct Counts {
    std::uint64_t loads = 0;
    std::uint64_t stores = 0;
  };
  struct Hash {
    std::size_t operator()(const Pages& pages) const noexcept {
      return std::hash<std::uint64_t>{}(pages.address * 0x9E37'79B9'7F4A'7C15 ^ pages.place);
    }
  };
  struct alignas(64) Vcpu {
    std::mutex mutex;  // the thread that counts is one; the other is the reader
    std::unordered_map<Pages, Counts, Hash> pages;
  };

  std::atomic<bool> counting_{false};
  std::array<Vcpu, vcpus_max> vcpus_;
};

}  // namespace vhostx::lab
