// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/features/feature_table.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vhostx::tools::probe {
namespace {

const protocol::FeatureName* find_name(FeatureNames names, unsigned bit) {
  const auto at = std::find_if(names.begin(), names.end(), [bit](const auto& name) { return name.bit == bit; });
  return at == names.end() ? nullptr : &*at;
}

}  // namespace

std::string text_of_bits(const std::string& title, std::uint64_t bits, FeatureNames names) {
  std::string text = fmt::format("{}: {:#x}\n", title, bits);
  auto out = std::back_inserter(text);
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((bits >> bit & 1) == 0) continue;
    const auto* name = find_name(names, bit);
    if (name != nullptr)
      fmt::format_to(out, "  {:>2}  {:<40} {}\n", bit, name->name, name->meaning);
    else
      fmt::format_to(out, "  {:>2}  unknown\n", bit);
  }
  return text;
}

nlohmann::ordered_json json_of_bits(std::uint64_t bits, FeatureNames names) {
  using Json = nlohmann::ordered_json;
  Json object{{"bits", fmt::format("{:#x}", bits)}, {"names", Json::array()}, {"unknown", Json::array()}};
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((bits >> bit & 1) == 0) continue;
    if (const auto* name = find_name(names, bit); name != nullptr)
      object["names"].push_back(std::string(name->name));
    else
      object["unknown"].push_back(bit);
  }
  return object;
}

}  // namespace vhostx::tools::probe
