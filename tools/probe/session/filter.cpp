// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/session/filter.hpp"

#include <algorithm>
#include <charconv>
#include <fnmatch.h>
#include <string_view>

#include "base/error.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr std::string_view vring_prefix = "vring=";

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '*' || c == '?' || c == ' ';
  });
}

std::string in_capitals(std::string_view text) {
  std::string capitals(text);
  std::transform(capitals.begin(), capitals.end(), capitals.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return capitals;
}

}  // namespace

Result<Filter> Filter::parse(const std::string& text) {
  Filter filter;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    std::string_view word = std::string_view(text).substr(at, end - at);
    at = end + 1;
    Term term{Term::Kind::name, {}, 0, word.starts_with('!')};
    if (term.forbids) word.remove_prefix(1);
    if (word == "findings") {
      term.kind = Term::Kind::findings;
    } else if (word.starts_with(vring_prefix)) {
      term.kind = Term::Kind::vring;
      const auto digits = word.substr(vring_prefix.size());
      const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), term.vring);
      if (error != std::errc() || stop != digits.data() + digits.size())
        return make_error(ErrorCode::invalid_argument, "filter '{}': expected a number after 'vring='", word);
    } else {
      term.glob = in_capitals(word);
      if (!is_name(term.glob))
        return make_error(ErrorCode::invalid_argument,
                          "filter '{}': expected a message such as SET_VRING_* or GET_FEATURES, vring=N, or findings",
                          word);
    }
    filter.terms_.push_back(std::move(term));
  }
  return filter;
}

bool Filter::holds(const Term& term, const Event& event, const Decoded& decoded) {
  switch (term.kind) {
    case Term::Kind::findings:
      return !decoded.findings.empty();
    case Term::Kind::vring:
      return protocol::vring_index(event.way, message_of(event)) == term.vring;
    case Term::Kind::name:
      break;
  }
  return ::fnmatch(term.glob.c_str(), decoded.name.c_str(), 0) == 0;
}

bool Filter::shows(const Event& event, const Decoded& decoded) const {
  if (event.kind != EventKind::message) return true;
  const bool broken = std::any_of(decoded.findings.begin(), decoded.findings.end(),
                                  [](const Finding& finding) { return finding.weight == Finding::Weight::violation; });
  if (broken) return true;
  bool any = false, held = false;
  for (const Term& term : terms_) {
    const bool holds_here = holds(term, event, decoded);
    if (term.forbids && holds_here) return false;
    any = any || !term.forbids;
    held = held || (!term.forbids && holds_here);
  }
  return held || !any;
}

}  // namespace vhostx::tools::probe
