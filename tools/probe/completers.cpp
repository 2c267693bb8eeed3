// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/completers.hpp"

#include <algorithm>

#include "protocol/features.hpp"
#include "tools/probe/check/check.hpp"

namespace vhostx::tools::probe {
namespace {

using Words = std::optional<std::vector<std::string>>;

/// Completes the last word of a list: the words before it, and a sign before the word, stay.
template <typename Names>
Words complete_list(std::string_view typed, const Names& names) {
  const auto comma = typed.rfind(',');
  auto begin = comma == std::string_view::npos ? 0 : comma + 1;
  if (begin < typed.size() && (typed[begin] == '-' || typed[begin] == '+')) ++begin;
  const std::string before(typed.substr(0, begin));
  std::vector<std::string> words{before + "all", before + "none"};
  for (const auto& name : names) words.push_back(before + std::string(name.name));
  return words;
}

Words complete_features(std::string_view typed) { return complete_list(typed, protocol::virtio_feature_names()); }

Words complete_protocol_features(std::string_view typed) {
  return complete_list(typed, protocol::protocol_feature_names());
}

Words complete_groups(std::string_view) {
  std::vector<std::string> groups;
  for (const auto& check : all_checks())
    if (groups.empty() || groups.back() != check.group()) groups.push_back(check.group());
  return groups;
}

}  // namespace

std::map<std::string, Completer> completers() {
  return {{"--features", complete_features},
          {"--protocol-features", complete_protocol_features},
          {"WORDS", complete_features},
          {"--group", complete_groups}};
}

}  // namespace vhostx::tools::probe
