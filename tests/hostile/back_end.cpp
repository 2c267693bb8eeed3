// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/back_end.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <stdexcept>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/wait.h>

namespace vhostx::hostile {
namespace {

using Json = nlohmann::json;

constexpr std::array<const char*, socket_count> names{"attacked",       "honest", "lending",
                                                      "lending-honest", "victim", "victim-peer"};
// Two queue pairs, so that there is something beside the pair that is attacked. What is attacked offers all that it can
// but RING_RESET, which an attack takes all the same.
constexpr std::array<const char*, socket_count> port_options{
    ",queues=2,offer=in_order+uso+reset_device+inband_notifications+gpa_addresses+inflight_shmfd",
    ",queues=2",
    ",zerocopy=lend,offer=uso+reset_device+inband_notifications+gpa_addresses+inflight_shmfd",
    "",
    ",zerocopy=off,offer=uso",
    ""};

std::string make_folder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "vhostx-hostile-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  return pattern;
}

struct Pipe {
  UniqueFd read, write;
};
Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// The quarantine keeps freed memory: with its usual 256 MiB no growth could be told from it.
constexpr const char* sanitizer_options = "quarantine_size_mb=8:detect_leaks=1:abort_on_error=0:exitcode=99";

std::vector<std::string> arguments_of(const std::string& program, const std::array<std::string, socket_count>& paths) {
  // Both CPUs for each thread: where several of these processes run at once, none waits for the CPU of another one.
  std::vector<std::string> words{
      program,          "--lcores", "0@(0-1),1@(0-1)",   "--no-huge", "-m",     "160", "--no-shconf",
      "--no-telemetry", "--no-pci", "--log-level=error", "--",        "--mode", "io",  "--json",
      "--stats",        "0.015",    "--event-rate",      "5000"};  // hundreds of attacks meet one port
  for (std::size_t i = 0; i < socket_count; ++i) words.insert(words.end(), {"--port", paths[i] + port_options[i]});
  return words;
}

std::string text(const Json& object, const char* key) { return object.value(key, std::string()); }

void add_counters(const Json& table, std::map<std::string, std::uint64_t>& counters) {
  for (const auto& [name, value] : table.items())
    if (value.is_number())
      counters[name] += value.get<std::uint64_t>();
    else
      add_counters(value, counters);
}

Statistics statistics_of(const Json& line) {
  Statistics statistics;
  statistics.mbufs_in_use = line["process"]["mbufs_in_use"];
  statistics.events_lost = line["process"]["events_lost"];
  for (const auto& port : line["ports"])
    for (const char* table : {"from_guest", "to_guest", "switch_drops"})
      add_counters(port[table], statistics.counters[port["name"]]);
  return statistics;
}

}  // namespace

BackEnd::BackEnd(const std::string& program) : folder_(make_folder()) {
  for (std::size_t i = 0; i < socket_count; ++i) paths_[i] = folder_ + "/" + names[i];
  launch(program);
  const auto ready = [](const BackEndEvent& event) { return event.name == "ready"; };
  if (wait_event(0, ready, patience * 3)) return;
  const std::string why = lives() ? "it is not ready yet" : fmt::format("wait status {:#x}", status_);
  clean_up();
  throw std::runtime_error(fmt::format("the back-end did not start: {}: {}", why, log_since(0)));
}

BackEnd::~BackEnd() { clean_up(); }

void BackEnd::clean_up() {
  if (!reaped_ && pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
  }
  if (listener_.joinable()) listener_.join();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void BackEnd::launch(const std::string& program) {
  Pipe output = make_pipe(), errors = make_pipe();
  auto words = arguments_of(program, paths_);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::setenv("ASAN_OPTIONS", sanitizer_options, 0);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // whatever becomes of us, none is left behind
    ::dup2(output.write.get(), STDOUT_FILENO);
    ::dup2(errors.write.get(), STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  if (pid_ < 0) throw std::runtime_error("no process for the back-end");
  listener_ =
      std::thread([this, out = std::move(output.read), err = std::move(errors.read)] { listen(out.get(), err.get()); });
}

void BackEnd::listen(int output, int errors) {
  std::string unfinished;
  std::array<pollfd, 2> watched{pollfd{output, POLLIN, 0}, pollfd{errors, POLLIN, 0}};
  std::array<char, 65536> bytes;
  while (watched[0].fd >= 0 || watched[1].fd >= 0) {
    if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) break;
    for (auto& one : watched) {
      if (one.fd < 0 || one.revents == 0) continue;
      const auto got = ::read(one.fd, bytes.data(), bytes.size());
      if (got <= 0) {
        one.fd = -1;
      } else if (&one == watched.data()) {
        unfinished.append(bytes.data(), static_cast<std::size_t>(got));
        for (std::size_t end; (end = unfinished.find('\n')) != std::string::npos; unfinished.erase(0, end + 1))
          take_line(unfinished.substr(0, end));
      } else {
        const std::lock_guard lock(mutex_);
        log_.append(bytes.data(), static_cast<std::size_t>(got));
        said_.notify_all();
      }
    }
  }
  const std::lock_guard lock(mutex_);
  silent_ = true;
  said_.notify_all();
}

void BackEnd::take_line(const std::string& line) {
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object()) return;
  const std::string name = text(object, "event");
  const bool is_statistics = name == "stats";
  Statistics statistics;
  if (is_statistics) statistics = statistics_of(object);
  const std::lock_guard lock(mutex_);
  if (is_statistics) {
    statistics_ = std::move(statistics);
    ++statistics_read_;
  } else {
    events_.push_back(
        {name, text(object, "port"), text(object, "reason"), text(object, "cause"), object.value("vring", -1), line});
  }
  said_.notify_all();
}

bool BackEnd::lives() {
  if (!reaped_) reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return !reaped_;
}

std::string BackEnd::end() {
  if (!lives()) return fmt::format("it had ended already, with wait status {:#x}", status_);
  ::kill(pid_, SIGINT);
  {
    std::unique_lock lock(mutex_);
    if (!wait(lock, patience * 3, [this] { return silent_; })) return "it did not end";
  }
  ::waitpid(pid_, &status_, 0);
  reaped_ = true;
  if (!WIFEXITED(status_) || WEXITSTATUS(status_) != 0) return fmt::format("it ended with wait status {:#x}", status_);
  return {};
}

bool BackEnd::wait(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds timeout,
                   const std::function<bool()>& condition) const {
  return said_.wait_for(lock, timeout, [&] { return condition() || silent_; }) && condition();
}

std::size_t BackEnd::events_until_now() const {
  const std::lock_guard lock(mutex_);
  return events_.size();
}

std::optional<BackEndEvent> BackEnd::wait_event(std::size_t since, const EventTest& test,
                                                std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  std::size_t at = since;
  const auto found = [&] {
    while (at < events_.size() && !test(events_[at])) ++at;
    return at < events_.size();
  };
  if (!wait(lock, timeout, found)) return std::nullopt;
  return events_[at];
}

// The first line may have been on its way when the call began; the second was not.
Statistics BackEnd::wait_statistics(const std::function<bool(const Statistics&)>& test,
                                    std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  const std::size_t first = statistics_read_ + 2;
  wait(lock, timeout, [&] { return statistics_read_ >= first && test(statistics_); });
  return statistics_;
}

std::size_t BackEnd::log_bytes() const {
  const std::lock_guard lock(mutex_);
  return log_.size();
}

std::string BackEnd::log_since(std::size_t position) const {
  const std::lock_guard lock(mutex_);
  return log_.substr(std::min(position, log_.size()));
}

bool BackEnd::wait_log(std::size_t position, const std::string& wanted) const {
  std::unique_lock lock(mutex_);
  return wait(lock, patience, [&] { return log_.find(wanted, position) != std::string::npos; });
}

}  // namespace vhostx::hostile
