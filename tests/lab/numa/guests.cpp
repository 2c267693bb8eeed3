// SPDX-License-Identifier: BSD-3-Clause
// numa-guests: guests in one program, each on a vhost-user socket and with its memory on the NUMA nodes it is told,
// that send each other packets with numbers while their memory is moved from node to node.
//
// Commands come on standard input, one a line, and are answered by one JSON line each:
//   move GUEST NODE   all of the guest's memory to the node, while the traffic runs (needs CAP_SYS_NICE)
//   where             pages of each guest by node, as the kernel says ("-1": not in memory)
//   count             packets sent, received, lost ..., after all that was under way has arrived
//   stop              as count, and the traffic does not go on before
//   go
//   quit
// What goes wrong is {"error": TEXT}, and the program goes on. Exit status: 0, 1 it could not start, 2 the command
// line.
#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "tests/lab/numa/node_memory.hpp"
#include "tests/lab/numa/pump.hpp"
#include "tools/bench/vhost_endpoint.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::lab;
using nlohmann::json;
using tools::bench::Endpoint;
using tools::bench::GuestOptions;
using tools::bench::VhostEndpoint;

constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

/// SOCKET[,nodes=N|N+N][,pages=4k|2m]
struct GuestSpec {
  std::string socket;
  Nodes nodes{0};
  bool huge_pages = false;
};

Result<GuestSpec> parse_guest(const std::string& text) {
  std::istringstream words(text);
  GuestSpec guest;
  std::getline(words, guest.socket, ',');
  for (std::string word; std::getline(words, word, ',');) {
    if (word.starts_with("nodes=")) {
      auto nodes = parse_nodes(word.substr(6));
      if (!nodes) return nodes.error();
      guest.nodes = *std::move(nodes);
    } else if (word == "pages=2m" || word == "pages=4k") {
      guest.huge_pages = word == "pages=2m";
    } else {
      return make_error(ErrorCode::invalid_argument,
                        "--guest {}: '{}', expected nodes=N, nodes=N+N, pages=4k or pages=2m", text, word);
    }
  }
  return guest;
}

struct Guest {
  GuestSpec spec;
  std::unique_ptr<VhostEndpoint> endpoint;

  std::vector<Range> memory() const {
    std::vector<Range> ranges;
    for (std::size_t i = 0; i < endpoint->memory().region_count(); ++i) {
      const auto region = endpoint->memory().description(i);
      ranges.push_back({reinterpret_cast<std::byte*>(region.front_end_address), region.size,
                        spec.huge_pages ? huge_page_bytes : std::size_t{4096}});
    }
    return ranges;
  }

  Result<std::map<int, std::size_t>> pages() const {
    std::map<int, std::size_t> sum;
    for (const Range& range : memory()) {
      const auto counts = count_pages(range);
      if (!counts) return counts.error();
      for (const auto& [node, pages] : *counts) sum[node] += pages;
    }
    return sum;
  }
};

Result<Guest> open_guest(const GuestSpec& spec, const PumpOptions& pump) {
  const auto allocating = AllocateOn::begin(spec.nodes);
  if (!allocating) return allocating.error();
  GuestOptions options;
  options.path = spec.socket;
  options.huge_pages = spec.huge_pages;
  options.frame_bytes_max = pump.frame_bytes;
  options.timeout = std::chrono::seconds(30);
  auto endpoint = VhostEndpoint::open(options);
  if (!endpoint) return endpoint.error();
  Guest guest{spec, *std::move(endpoint)};
  if (spec.huge_pages && !guest.endpoint->memory().huge_pages())
    return make_error(ErrorCode::out_of_memory, "{}: too few huge pages are free", spec.socket);
  const auto pages = guest.pages();
  if (!pages) return pages.error();
  if (pages->contains(-1))  // the next touch would be a SIGBUS
    return make_error(ErrorCode::out_of_memory, "{}: {} pages found no memory on their nodes", spec.socket,
                      pages->at(-1));
  for (const Range& range : guest.memory())
    if (auto bound = bind(range, spec.nodes); !bound) return bound.error();
  return guest;
}

json by_node(const std::map<int, std::size_t>& pages) {
  json nodes = json::object();
  for (const auto& [node, count] : pages) nodes[std::to_string(node)] = count;
  return nodes;
}

json error_line(const Error& error) { return {{"error", error.message}, {"errno", error.system_errno}}; }

class Commands {
 public:
  Commands(std::vector<Guest>& guests, Pump& pump) : guests_(guests), pump_(pump) {}

  json obey(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "where") return where();
    if (command == "count" || command == "stop") return count(command == "count");
    if (command == "go") {
      pump_.resume();
      return {{"going", true}};
    }
    std::size_t guest = 0;
    unsigned node = 0;
    if (command == "move" && words >> guest >> node && guest < guests_.size() && node <= node_max)
      return move(guest, node);
    return {{"error", "'" + line + "': expected 'move GUEST NODE', where, count, stop, go or quit"}};
  }

 private:
  json where() {
    json guests = json::array();
    for (const Guest& guest : guests_) {
      const auto pages = guest.pages();
      if (!pages) return error_line(pages.error());
      guests.push_back(by_node(*pages));
    }
    return {{"where", guests}};
  }

  json count(bool resume) {
    const auto counts = pump_.counts(resume);
    if (!counts) return error_line(counts.error());
    return {{"count",
             {{"sent", counts->sent},
              {"received", counts->received},
              {"lost", counts->lost},
              {"duplicated", counts->duplicated},
              {"reordered", counts->reordered},
              {"late", counts->late},
              {"damaged", counts->damaged},
              {"foreign", counts->foreign}}}};
  }

  json move(std::size_t guest, unsigned node) {
    const auto begun = std::chrono::steady_clock::now();
    for (const Range& range : guests_[guest].memory())
      if (auto moved = bind(range, {node}); !moved) return error_line(moved.error());
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
    return {{"moved", {{"guest", guest}, {"node", node}, {"seconds", taken.count()}}}};
  }

  std::vector<Guest>& guests_;
  Pump& pump_;
};

void say(const json& line) { std::cout << line.dump() << std::endl; }

int fail(int code, const Error& error) {
  std::fprintf(stderr, "numa-guests: %s\n", error.message.c_str());
  return code;
}

int run(const std::vector<std::string>& texts, const PumpOptions& options) {
  std::vector<Guest> guests;
  std::vector<Endpoint*> endpoints;
  for (const std::string& text : texts) {
    const auto spec = parse_guest(text);
    if (!spec) return fail(2, spec.error());
    auto guest = open_guest(*spec, options);
    if (!guest) return fail(1, guest.error());
    guests.push_back(*std::move(guest));
    endpoints.push_back(guests.back().endpoint.get());
  }
  auto pump = Pump::start(endpoints, options);
  if (!pump) return fail(1, pump.error());
  Commands commands(guests, **pump);
  say({{"ready", guests.size()}});
  for (std::string line; std::getline(std::cin, line) && line != "quit";) say(commands.obey(line));
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app("Guests whose memory moves from NUMA node to NUMA node while they send each other packets");
  std::vector<std::string> guests;
  PumpOptions options;
  app.add_option("--guest", guests, "SOCKET[,nodes=N|N+N][,pages=4k|2m], once a guest; each sends to the next")
      ->required()
      ->delimiter('\0')
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--cpu", options.cpu, "CPU of the thread that drives all rings");
  app.add_option("--size", options.frame_bytes, "Bytes of a frame, without FCS (64)")->check(CLI::Range(64, 1518));
  app.add_option("--in-flight", options.in_flight, "Packets under way from guest to guest (32)")
      ->check(CLI::Range(1, 128));
  app.add_option("--rate", options.rate_pps, "Packets a second of all guests together (20000); 0: as fast as it goes")
      ->check(CLI::NonNegativeNumber);
  CLI11_PARSE(app, argc, argv);
  return run(guests, options);
} catch (const std::exception& error) {
  std::fprintf(stderr, "numa-guests: %s\n", error.what());
  return 1;
}
