// SPDX-License-Identifier: BSD-3-Clause
// rte_vhost_driver_*(): the functions that take a path.
#include <atomic>
#include <exception>
#include <string>

#include "compat/rte_vhost/abi.hpp"
#include "compat/rte_vhost/runtime.hpp"
#include "compat/rte_vhost/say.hpp"

namespace vhostx::compat {
namespace {

std::atomic<bool> said_async{false};
std::atomic<bool> said_no_reconnect{false};
std::atomic<bool> said_iommu{false};
std::atomic<bool> said_postcopy{false};
std::atomic<bool> said_late{false};

bool takes_flags(std::uint64_t flags) {
  if ((flags & flag_async_copy) != 0) {
    refuse(said_async, "RTE_VHOST_USER_ASYNC_COPY", "packets are copied by the burst itself");
    return false;
  }
  if ((flags & flag_client) != 0 && (flags & flag_no_reconnect) != 0) {
    refuse(said_no_reconnect, "RTE_VHOST_USER_NO_RECONNECT", "the client role connects again after each loss");
    return false;
  }
  // These two only allow a feature, so it is no error that it is not offered.
  if ((flags & flag_iommu) != 0)
    refuse(said_iommu, "RTE_VHOST_USER_IOMMU_SUPPORT", "IOMMU_PLATFORM is not offered; all else is");
  if ((flags & flag_postcopy) != 0)
    refuse(said_postcopy, "RTE_VHOST_USER_POSTCOPY_SUPPORT", "PAGEFAULT is not offered; all else is");
  return true;
}

int failed(const char* function, const char* path, const std::string& why) {
  say(LogLevel::error, std::string(function) + ": " + (path == nullptr ? "(null)" : path) + ": " + why);
  return -1;
}

// Returns `use(driver)`, which is 0 or -1 for the application. Catches exceptions: memory may be out.
template <typename Use>
int with_driver(const char* function, const char* path, Use use) {
  try {
    const auto driver = Runtime::get().find(path);
    return driver == nullptr ? failed(function, path, "there is no such driver") : use(*driver);
  } catch (const std::exception& error) {
    return failed(function, path, error.what());
  }
}

int change_features(const char* function, const char* path, std::uint64_t set, std::uint64_t clear) {
  return with_driver(function, path, [&](Driver& driver) {
    if (driver.change_features(set, clear)) return 0;
    return refuse(said_late, function, "a started driver cannot change what it offers");
  });
}

}  // namespace
}  // namespace vhostx::compat

using namespace vhostx::compat;

int rte_vhost_driver_register(const char* path, std::uint64_t flags) {
  constexpr std::size_t socket_path_max = 107;  // sun_path without its terminating zero
  if (path == nullptr || !takes_flags(flags)) return -1;
  try {
    const std::string name(path);
    if (name.empty() || name.size() > socket_path_max) return failed(__func__, path, "expected 1 to 107 bytes");
    if (says_all()) say(vhostx::LogLevel::debug, name + ": registered with flags " + std::to_string(flags));
    return Runtime::get().add(name, flags) ? 0 : failed(__func__, path, "it is registered already");
  } catch (const std::exception& error) {
    return failed(__func__, path, error.what());
  }
}

int rte_vhost_driver_unregister(const char* path) {
  try {
    return Runtime::get().remove(path) ? 0 : -1;
  } catch (const std::exception& error) {
    return failed(__func__, path, error.what());
  }
}

int rte_vhost_driver_callback_register(const char* path, const DeviceOps* ops) {
  return with_driver(__func__, path, [ops](Driver& driver) {
    driver.set_ops(ops);
    return 0;
  });
}

int rte_vhost_driver_start(const char* path) {
  return with_driver(__func__, path, [path](Driver& driver) {
    const auto started = Runtime::get().start(driver);
    return started ? 0 : failed("rte_vhost_driver_start", path, started.error().message);
  });
}

int rte_vhost_driver_set_features(const char* path, std::uint64_t features) {
  return change_features(__func__, path, features, ~features);
}

int rte_vhost_driver_enable_features(const char* path, std::uint64_t features) {
  return change_features(__func__, path, features, 0);
}

int rte_vhost_driver_disable_features(const char* path, std::uint64_t features) {
  return change_features(__func__, path, 0, features);
}

int rte_vhost_driver_get_features(const char* path, std::uint64_t* features) {
  if (features == nullptr) return -1;
  return with_driver(__func__, path, [features](Driver& driver) {
    *features = driver.features();
    return 0;
  });
}

int rte_vhost_driver_get_protocol_features(const char* path, std::uint64_t* features) {
  if (features == nullptr) return -1;
  return with_driver(__func__, path, [features](Driver& driver) { return driver.protocol_features(*features); });
}

int rte_vhost_driver_get_queue_num(const char* path, std::uint32_t* pairs) {
  if (pairs == nullptr) return -1;
  return with_driver(__func__, path, [pairs](Driver& driver) {
    *pairs = driver.queue_pairs();
    return 0;
  });
}

int rte_vhost_driver_set_max_queue_num(const char* path, std::uint32_t pairs) {
  return with_driver(__func__, path, [=](Driver& driver) {
    if (pairs == 0 || pairs > queue_pairs_max)
      return failed("rte_vhost_driver_set_max_queue_num", path,
                    std::to_string(pairs) + " queue pairs, expected 1 to 128");
    if (driver.set_queue_pairs(pairs)) return 0;
    return refuse(said_late, "rte_vhost_driver_set_max_queue_num", "a started driver cannot change what it offers");
  });
}
