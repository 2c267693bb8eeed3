// SPDX-License-Identifier: BSD-3-Clause
// The command line of vhostx-bench.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <vhostx/result.hpp>

#include "tools/bench/vhost_endpoint.hpp"
#include "tools/common/program.hpp"

namespace vhostx::tools::bench {

enum class Mode { tx, rx, loopback, pair, latency };
const char* to_string(Mode mode) noexcept;

/// PATH[,server] of a socket, or tap:NAME.
struct EndpointSpec {
  std::string path;  ///< Or the interface's name.
  bool tap = false;
  bool listen = false;

  std::string text() const { return (tap ? "tap:" : "") + path; }
};

/// One back-end, reached by one guest or by two.
struct SideSpec {
  std::string label;
  std::vector<EndpointSpec> endpoints;
  int pid = 0;  ///< Stopped while it is not its turn; 0: nobody.
};

struct Options {
  std::vector<SideSpec> sides;  ///< One; two to be compared.
  Mode mode = Mode::loopback;
  std::vector<std::uint32_t> sizes{64};
  GuestOptions guest;               ///< All but the path.
  std::optional<EndpointSpec> log;  ///< Where the last guest migrates to, and back.
  unsigned burst = 32;
  std::optional<std::uint32_t> in_flight;  ///< Not given: what the receiver has buffers for; 0: no limit.
  double rate_pps = 0;
  double duration_s = 2;  ///< For each size (and side).
  unsigned rounds = 10;
  bool bidirectional = false;
  bool interrupt = false;
  bool check_heads = false;
  bool rewrite = false;
  bool no_loss = false;
  bool json = false;
  bool limit = false;
  int cpu = -1;
  int limit_cpu = -1;
  std::string plot;

  bool compares() const noexcept { return sides.size() > 1; }
};

/// Sizes above this are sent as TCP frames for the device to segment.
inline constexpr std::uint32_t plain_frame_bytes_max = 16384;
/// What the word "sweep" stands for.
inline constexpr std::array<std::uint32_t, 6> sweep_sizes{64, 128, 256, 512, 1024, 1518};
inline constexpr std::uint16_t segment_payload_bytes = 1448;

/// Pure: the same arguments (without the program's name) give the same answer.
std::variant<Options, EarlyExit> parse_options(const std::vector<std::string>& arguments);

/// One or two endpoints with commas between them, as after --connect, --a and --b.
Result<std::vector<EndpointSpec>> parse_endpoints(std::string_view text);
/// E.g. "64,128,1518" or "sweep,9000".
Result<std::vector<std::uint32_t>> parse_sizes(std::string_view text);

}  // namespace vhostx::tools::bench
