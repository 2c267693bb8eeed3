// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <optional>
#include <span>

#include "protocol/features.hpp"
#include "tools/probe/report/page_parts.hpp"

namespace vhostx::tools::probe {
namespace {

using Names = std::span<const protocol::FeatureName>;
using Bits = std::optional<std::uint64_t>;

bool has(const Bits& bits, unsigned bit) noexcept { return bits && (*bits >> bit & 1) != 0; }

Html mark(const Bits& bits, unsigned bit) {
  if (!bits) return html("<span class=\"no-mark\">?</span>");
  return has(bits, bit) ? html("<span class=\"yes-mark\">✓ yes</span>") : html("<span class=\"no-mark\">no</span>");
}

void add_row(Html& out, unsigned bit, Names names, const Bits& offered, const Bits& accepted) {
  const auto name = std::find_if(names.begin(), names.end(), [bit](const auto& each) { return each.bit == bit; });
  const bool stray = has(accepted, bit) && offered && !has(offered, bit);
  add(out, "<tr{}><th scope=\"row\" class=\"number\">{}</th><td><div class=\"feature\">",
      Html{has(accepted, bit) ? " class=\"accepted\"" : ""}, bit);
  if (name == names.end())
    add(out, "<code>bit {}</code><span>not known to this version</span>", bit);
  else
    add(out, "<code>{}</code><span>{}</span>", name->name, name->meaning);
  add(out, "</div></td><td>{}</td><td>{}{}</td></tr>\n", mark(offered, bit), mark(accepted, bit),
      stray ? html(" <b class=\"bad\">✖ not offered</b>") : Html{});
}

Html table_of(const char* caption, Names names, const Bits& offered, const Bits& accepted) {
  const std::uint64_t shown = offered.value_or(0) | accepted.value_or(0);
  if (!offered && !accepted)
    return html("<h4>{}</h4>\n<p class=\"none\">Neither offered nor chosen in this record.</p>\n", caption);
  Html out;
  add(out, "<h4>{}</h4>\n<p class=\"bits\">", caption);
  add(out, "Offered: {}. ", offered ? fmt::format("{:#x}", *offered) : std::string("not seen"));
  add(out, "Accepted: {}.</p>\n", accepted ? fmt::format("{:#x}", *accepted) : std::string("not yet"));
  add(out,
      "<table class=\"features\">\n<caption>{}</caption>\n<thead><tr><th scope=\"col\">bit</th><th scope=\"col\">name "
      "and "
      "meaning</th><th scope=\"col\">offered</th><th scope=\"col\">accepted</th></tr></thead>\n<tbody>\n",
      caption);
  for (unsigned bit = 0; bit < 64; ++bit)
    if ((shown >> bit & 1) != 0) add_row(out, bit, names, offered, accepted);
  out.text += "</tbody></table>\n";
  return out;
}

template <typename Set>
Bits bits_of(const std::optional<Set>& set) {
  return set ? Bits(set->bits()) : std::nullopt;
}

}  // namespace

Html features_part(const ConnectionData& connection) {
  const SessionState& state = connection.peak;
  Html out = table_of("Virtio features", protocol::virtio_feature_names(), bits_of(state.features_offered),
                      bits_of(state.features));
  out += table_of("Protocol features", protocol::protocol_feature_names(), bits_of(state.protocol_features_offered),
                  bits_of(state.protocol_features));
  return out;
}

}  // namespace vhostx::tools::probe
