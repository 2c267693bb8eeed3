// SPDX-License-Identifier: BSD-3-Clause
// Values of options that are lists.
#include <charconv>
#include <string>

#include "base/error.hpp"
#include "tools/bench/frame.hpp"
#include "tools/bench/options.hpp"

namespace vhostx::tools::bench {
namespace {

constexpr std::size_t socket_path_max = 107;  // sun_path without its terminating zero

Result<EndpointSpec> parse_endpoint(std::string_view text) {
  constexpr std::string_view tap = "tap:";
  EndpointSpec spec;
  spec.tap = text.starts_with(tap);
  spec.path = std::string(spec.tap ? text.substr(tap.size()) : text);
  const std::size_t most = spec.tap ? 15 : socket_path_max;  // IFNAMSIZ
  if (!spec.path.empty() && spec.path.size() <= most) return spec;
  return invalid_argument("'{}': the {} has {} bytes: expected 1 to {}", text, spec.tap ? "interface's name" : "path",
                          spec.path.size(), most);
}

}  // namespace

Result<std::vector<EndpointSpec>> parse_endpoints(std::string_view text) {
  std::vector<EndpointSpec> endpoints;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    const auto word = text.substr(begin, end - begin);
    begin = end + 1;
    if (word == "server" && !endpoints.empty() && !endpoints.back().tap) {
      endpoints.back().listen = true;
      continue;
    }
    auto spec = parse_endpoint(word);
    if (!spec) return spec.error();
    endpoints.push_back(*std::move(spec));
  }
  if (endpoints.size() > 2) return invalid_argument("{} endpoints: expected one or two", endpoints.size());
  return endpoints;
}

Result<std::vector<std::uint32_t>> parse_sizes(std::string_view text) {
  std::vector<std::uint32_t> sizes;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    const auto word = text.substr(begin, end - begin);
    begin = end + 1;
    if (word == "sweep") {
      sizes.insert(sizes.end(), sweep_sizes.begin(), sweep_sizes.end());
      continue;
    }
    std::uint32_t size = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), size);
    if (error != std::errc{} || stop != word.data() + word.size() || size < frame_bytes_min || size > frame_bytes_max)
      return invalid_argument("--sizes '{}': '{}' is no frame size: expected {} to {} bytes, or sweep", text, word,
                              frame_bytes_min, frame_bytes_max);
    sizes.push_back(size);
  }
  return sizes;
}

}  // namespace vhostx::tools::bench
