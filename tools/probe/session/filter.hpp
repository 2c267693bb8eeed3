// SPDX-License-Identifier: BSD-3-Clause
// Which messages are shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

/// Terms with commas between them: a message's name, where * and ? stand for any text or byte ("SET_VRING_*"),
/// "vring=N", "findings" (those with one), and each of them with "!" before it for the opposite. A message is shown
/// when one of the plain terms holds, or there is none, and no "!" term is broken. Connections and notes are always
/// shown. Findings of messages that are not shown are lost to the reader: so a message with a violation is shown,
/// whatever its name.
class Filter {
 public:
  /// Error: names the term, and what was expected.
  static Result<Filter> parse(const std::string& text);

  bool shows(const Event& event, const Decoded& decoded) const;

 private:
  struct Term {
    enum class Kind : std::uint8_t { name, vring, findings } kind;
    std::string glob;
    std::uint32_t vring;
    bool forbids;
  };
  static bool holds(const Term& term, const Event& event, const Decoded& decoded);

  std::vector<Term> terms_;
};

}  // namespace vhostx::tools::probe
