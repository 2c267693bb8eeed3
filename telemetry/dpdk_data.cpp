// SPDX-License-Identifier: BSD-3-Clause
#include "telemetry/dpdk_data.hpp"

#include <cerrno>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <rte_telemetry.h>

namespace vhostx::telemetry {
namespace {

struct Free {
  void operator()(rte_tel_data* data) const noexcept { rte_tel_data_free(data); }
};
using Container = std::unique_ptr<rte_tel_data, Free>;

/// DPDK frees a container once it has sent the answer that holds it. Without an answer it does not.
using Containers = std::vector<Container>;

int fill(rte_tel_data* out, const Dict& dict, Containers& made);

/// Adds a value to a dictionary. DPDK returns a positive number for a value that it cut; that is no failure.
struct Adder {
  rte_tel_data* out;
  const char* name;
  Containers& made;

  int operator()(int value) const noexcept { return rte_tel_data_add_dict_int(out, name, value); }
#if VHOSTX_DPDK_ABI >= 24  // DPDK 23.11
  int operator()(std::uint64_t value) const noexcept { return rte_tel_data_add_dict_uint(out, name, value); }
#else
  int operator()(std::uint64_t value) const noexcept { return rte_tel_data_add_dict_u64(out, name, value); }
#endif
  int operator()(const std::string& text) const noexcept {
    return rte_tel_data_add_dict_string(out, name, text.c_str());
  }
  int operator()(const std::vector<std::string>& list) const {
    return contain([&](rte_tel_data* array) {
      int error = rte_tel_data_start_array(array, RTE_TEL_STRING_VAL);
      for (std::size_t i = 0; error >= 0 && i < list.size(); ++i)
        error = rte_tel_data_add_array_string(array, list[i].c_str());
      return error;
    });
  }
  int operator()(const Dict& dict) const {
    return contain([&](rte_tel_data* inner) { return fill(inner, dict, made); });
  }

  template <typename Filler>
  int contain(Filler filler) const {
    Container container(rte_tel_data_alloc());
    if (container == nullptr) return -ENOMEM;
    rte_tel_data* const data = container.get();
    made.push_back(std::move(container));
    if (const int error = filler(data); error < 0) return error;
    return rte_tel_data_add_dict_container(out, name, data, 0);
  }
};

int fill(rte_tel_data* out, const Dict& dict, Containers& made) {
  if (const int error = rte_tel_data_start_dict(out); error < 0) return error;
  for (const auto& entry : dict.entries())
    if (const int error = std::visit(Adder{out, entry.name.c_str(), made}, entry.value); error < 0) return error;
  return 0;
}

}  // namespace

int fill(rte_tel_data* out, const Dict& dict) noexcept try {
  Containers made;
  if (const int error = fill(out, dict, made); error < 0) return error;
  for (Container& container : made) static_cast<void>(container.release());  // DPDK owns them now
  return 0;
} catch (const std::bad_alloc&) {
  return -ENOMEM;
}

}  // namespace vhostx::telemetry
