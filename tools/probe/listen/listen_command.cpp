// SPDX-License-Identifier: BSD-3-Clause
// A relay like that of `trace`, whose other end is a StandIn: what is shown and recorded is the same.
#include <array>
#include <cerrno>
#include <list>

#include <CLI/CLI.hpp>
#include <sys/socket.h>

#include "base/error.hpp"
#include "tools/probe/features/feature_words.hpp"
#include "tools/probe/listen/listen_options.hpp"
#include "tools/probe/trace/observe.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr const char* listen_help =
    "Acts as a back-end and shows what a front-end (QEMU) wants. Answers every request, moves no packet";

constexpr const char* listen_footer = R"(
Examples:
  vhostx-probe listen /tmp/vm0.sock
  vhostx-probe listen /tmp/vm0.sock --features=-ring_packed,-net_mq --queues 4
  vhostx-probe listen /tmp/vm0.sock --features 0x100008000 --protocol-features reply_ack,mq
  vhostx-probe listen /tmp/vm0.sock --once --write vm0.jsonl

Words of --features: names with or without prefix, in any case; masks (0x...); bit=N; all; none. A '-' before a word removes
it. A list that begins with + or - (--features=-csum) changes the default; any other list replaces it. By default all
features with a name are offered, except IOMMU_PLATFORM.)";

template <typename Set>
void add_features_option(CLI::App& app, const char* name, Set& set, Result<Set> (*parse)(const std::string&, Set),
                         const char* description) {
  const auto take = [&set, parse, name](const std::string& text) {
    const auto parsed = parse(text, set);
    if (!parsed) throw WrongLine(std::string(name) + ": " + parsed.error().message);
    set = *parsed;
  };
  app.add_option_function<std::string>(name, take, description)->type_name("WORD[,WORD...]");
}

}  // namespace

CLI::App* add_listen_command(CLI::App& app, ListenOptions& options) {
  CLI::App* const listen = app.add_subcommand("listen", listen_help);
  listen->footer(listen_footer);
  listen->add_option("SOCK", options.listen, "Socket to create, on which the front-end connects")->required();
  add_features_option(*listen, "--features", options.back_end.features, parse_features, "Virtio features to offer");
  add_features_option(*listen, "--protocol-features", options.back_end.protocol_features, parse_protocol_features,
                      "Protocol features to offer");
  expect_whole(listen->add_option("--queues", options.back_end.queue_pairs, "Queue pairs to offer, 1 to 128 (1)")
                   ->type_name("N"),
               1, 128, "queue pairs");
  expect_whole(
      listen->add_option("--memory-slots", options.back_end.memory_slots, "Memory slots to offer, 1 to 509 (509)")
          ->type_name("N"),
      1, 509, "memory slots");
  listen->add_flag("--once", options.once, "End after the first connection");
  add_show_options(*listen, options.show);
  return listen;
}

int run_listen(const ListenOptions& options) {
  std::list<StandIn> back_ends;
  RelayLoopOptions loop;
  loop.listen = options.listen;
  loop.once = options.once;
  loop.connect = [&]() -> Result<UniqueFd> {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
      return make_system_error(errno, "making a socket pair");
    back_ends.remove_if([](const StandIn& back_end) { return back_end.over(); });
    back_ends.emplace_back(UniqueFd(ends[1]), options.back_end);
    return UniqueFd(ends[0]);
  };
  return observe(loop, options.show, "vhostx-probe listen");
}

}  // namespace vhostx::tools::probe
