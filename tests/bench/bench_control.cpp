// SPDX-License-Identifier: BSD-3-Clause
// bench_control: how long a control message takes, from a front-end's request to its answer, without and with a keeper,
// in turn. The keeper is a vhostx-keeper process.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <vhostx/backend.hpp>

#include "base/event_fd.hpp"
#include "tests/bench/bench_eal.hpp"
#include "tests/bench/command_line.hpp"
#include "tests/bench/must.hpp"
#include "tools/front_end/front_end.hpp"

namespace vhostx::bench {
namespace {

using tools::FrontEnd;
using Request = protocol::FrontEndRequest;
using Clock = std::chrono::steady_clock;

constexpr int not_counted = 200;  // caches, page tables, branch predictors

struct Options {
  std::string keeper;
  int rounds = 5000;
};

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vhostx-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Runs as long as this object.
class KeeperProcess {
 public:
  KeeperProcess(const std::string& program, const std::string& socket) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, STDOUT_FILENO);  // it tells of each client
    ::execl(program.c_str(), program.c_str(), socket.c_str(), nullptr);
    std::perror(program.c_str());
    ::_exit(127);
  }
  ~KeeperProcess() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  KeeperProcess(const KeeperProcess&) = delete;
  KeeperProcess& operator=(const KeeperProcess&) = delete;
  bool lives() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }

 private:
  pid_t pid_;
};

/// A back-end with one port, and its front-end.
struct Connection {
  Connection(const std::string& socket, const std::string& keeper) {
    BackendOptions options;
    options.keeper = keeper;
    backend = must(Backend::create(options), "a back-end");
    PortOptions port_options;
    port_options.socket_path = socket;
    port = must(backend->open_port(port_options, nullptr), "a port");
    front_end = std::make_unique<FrontEnd>(must(FrontEnd::connect(socket), "connecting"));
    must(front_end->negotiate({protocol::VirtioFeature::version_1}, {protocol::ProtocolFeature::reply_ack}),
         "negotiation");
  }

  std::unique_ptr<Backend> backend;
  std::unique_ptr<Port> port;
  std::unique_ptr<FrontEnd> front_end;
};

struct Case {
  const char* name;
  std::function<void(FrontEnd&)> ask;
};

std::vector<Case> cases(const EventFd& event) {
  return {
      {"GET_FEATURES", [](FrontEnd& to) { must(to.get_u64(Request::get_features), "GET_FEATURES"); }},
      {"SET_FEATURES",
       [](FrontEnd& to) { must(to.set_u64(Request::set_features, to.features().bits()), "SET_FEATURES"); }},
      {"SET_VRING_NUM",
       [size = std::uint32_t{256}](FrontEnd& to) mutable {
         must(to.set_vring(Request::set_vring_num, 0, size ^= 256 ^ 512), "SET_VRING_NUM");  // another one each time
       }},
      {"SET_VRING_CALL",
       [&event](FrontEnd& to) { must(to.set_vring_fd(Request::set_vring_call, 0, event.get()), "SET_VRING_CALL"); }},
  };
}

double microseconds(const Case& one, FrontEnd& to) {
  const auto begin = Clock::now();
  one.ask(to);
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

double median(std::vector<double>& times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

void compare(const Case& one, FrontEnd& without, FrontEnd& with, int rounds) {
  std::vector<double> without_us, with_us;
  for (int i = -not_counted; i < rounds; ++i) {
    const double first = microseconds(one, without);
    const double second = microseconds(one, with);
    if (i < 0) continue;
    without_us.push_back(first);
    with_us.push_back(second);
  }
  const double less = median(without_us), more = median(with_us);
  fmt::print("{:16} {:9.1f} {:9.1f} {:+9.1f}\n", one.name, less, more, more - less);
}

int run(const Options& options) {
  start_bench_eal(Pages::normal);
  const Folder folder;
  const std::string socket = folder / "keeper";
  const KeeperProcess keeper(options.keeper, socket);
  while (::access(socket.c_str(), F_OK) != 0) {
    if (!keeper.lives()) return 1;  // it has said why
    std::this_thread::yield();
  }
  Connection without(folder / "without", ""), with(folder / "with", socket);
  const EventFd event = must(EventFd::create(), "an eventfd");
  fmt::print("{:16} {:>9} {:>9} {:>9}\n", "medians, µs", "without", "with", "more");
  for (const Case& one : cases(event)) compare(one, *without.front_end, *with.front_end, options.rounds);
  return 0;
}

int main_of(int argc, char** argv) {
  CLI::App app("Time of a control message, without and with a keeper.", "bench_control");
  Options options;
  app.add_option("keeper", options.keeper, "The vhostx-keeper to start")->required()->check(CLI::ExistingFile);
  app.add_option("--rounds", options.rounds, "Messages of each kind")->check(CLI::Range(1, 10'000'000));
  return parse_and_run(app, argc, argv, [&options] { return run(options); });
}

}  // namespace
}  // namespace vhostx::bench

int main(int argc, char** argv) { return vhostx::bench::main_of(argc, argv); }
