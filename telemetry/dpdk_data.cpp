// SPDX-License-Identifier: BSD-3-Clause
#include "telemetry/dpdk_data.hpp"

#include <cerrno>
#include <memory>

#include <rte_telemetry.h>

namespace vhostx::telemetry {
namespace {

struct Free {
  void operator()(rte_tel_data* data) const noexcept { rte_tel_data_free(data); }
};
using Container = std::unique_ptr<rte_tel_data, Free>;

/// Adds a value to a dictionary. What DPDK cut, it says with a positive number: no failure.
struct Adder {
  rte_tel_data* out;
  const char* name;

  int operator()(int value) const noexcept { return rte_tel_data_add_dict_int(out, name, value); }
  int operator()(std::uint64_t value) const noexcept { return rte_tel_data_add_dict_u64(out, name, value); }
  int operator()(const std::string& text) const noexcept {
    return rte_tel_data_add_dict_string(out, name, text.c_str());
  }
  int operator()(const std::vector<std::string>& list) const noexcept {
    return contain([&](rte_tel_data* array) {
      int error = rte_tel_data_start_array(array, RTE_TEL_STRING_VAL);
      for (std::size_t i = 0; error >= 0 && i < list.size(); ++i)
        error = rte_tel_data_add_array_string(array, list[i].c_str());
      return error;
    });
  }
  int operator()(const Dict& dict) const noexcept {
    return contain([&](rte_tel_data* inner) { return fill(inner, dict); });
  }

  /// DPDK frees a container once it has it, and all that it holds with the answer.
  template <typename Filler>
  int contain(Filler filler) const noexcept {
    Container container(rte_tel_data_alloc());
    if (container == nullptr) return -ENOMEM;
    if (const int error = filler(container.get()); error < 0) return error;
    const int error = rte_tel_data_add_dict_container(out, name, container.get(), 0);
    if (error >= 0) static_cast<void>(container.release());
    return error;
  }
};

}  // namespace

int fill(rte_tel_data* out, const Dict& dict) noexcept {
  if (const int error = rte_tel_data_start_dict(out); error < 0) return error;
  for (const auto& entry : dict.entries())
    if (const int error = std::visit(Adder{out, entry.name.c_str()}, entry.value); error < 0) return error;
  return 0;
}

}  // namespace vhostx::telemetry
