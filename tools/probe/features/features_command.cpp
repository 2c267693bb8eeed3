// SPDX-License-Identifier: BSD-3-Clause
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/probe/exit_code.hpp"
#include "tools/probe/features/feature_table.hpp"
#include "tools/probe/features/feature_words.hpp"
#include "tools/probe/features/features_options.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr const char* features_help = "Names the bits of a feature mask, or makes a mask from names";

constexpr const char* features_footer = R"(
Examples:
  vhostx-probe features 0x150008000
  vhostx-probe features mrg_rxbuf,version_1,event_idx
  vhostx-probe features --protocol 0x9
  vhostx-probe features all,-ring_packed --json | jq -r .bits

Words: names with or without prefix, in any case; masks (0x...); bit=N; all; none. A '-' before a word removes it.)";

}  // namespace

CLI::App* add_features_command(CLI::App& app, FeaturesOptions& options) {
  CLI::App* const features = app.add_subcommand("features", features_help);
  features->footer(features_footer);
  features->add_option("WORDS", options.words, "Masks and names, separated by commas (all)");
  features->add_flag("--protocol", options.protocol, "The words are protocol features (SET_PROTOCOL_FEATURES)");
  features->add_flag("--json", options.json, "Prints one JSON object instead of text");
  return features;
}

int run_features(const FeaturesOptions& options) {
  const auto virtio = parse_features(options.words, {});
  const auto protocol = parse_protocol_features(options.words, {});
  if (options.protocol ? !protocol : !virtio)
    return fail("features", options.protocol ? protocol.error().message : virtio.error().message, ExitCode::usage);
  const std::uint64_t bits = options.protocol ? protocol->bits() : virtio->bits();
  const FeatureNames names = options.protocol ? protocol::protocol_feature_names() : protocol::virtio_feature_names();
  if (options.json) return print(json_of_bits(bits, names).dump() + '\n');
  return print(text_of_bits(options.protocol ? "protocol features" : "features", bits, names));
}

}  // namespace vhostx::tools::probe
