// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/process_facts.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <fmt/format.h>

namespace vhostx::hostile {
namespace {

namespace fs = std::filesystem;

void count_fds(pid_t pid, ProcessFacts& facts) {
  std::error_code gone;
  const std::string folder = fmt::format("/proc/{}/fd", pid);
  for (auto at = fs::directory_iterator(folder, gone); !gone && at != fs::directory_iterator(); at.increment(gone)) {
    std::error_code closed;
    ++(fs::read_symlink(at->path(), closed) == "anon_inode:[eventpoll]" ? facts.epolls : facts.fds);
  }
}

void count_mappings(pid_t pid, ProcessFacts& facts) {
  std::ifstream maps(fmt::format("/proc/{}/maps", pid));
  for (std::string line; std::getline(maps, line);) {
    ++(line.find('/') == std::string::npos ? facts.own_mappings : facts.file_mappings);
    const bool own = line.find("/memfd:vhostx-port ") != std::string::npos;  // what a port says of its rings
    if (line.find("/memfd:vhostx-") != std::string::npos && !own) ++facts.guest_mappings;
  }
}

std::uint64_t anonymous_kib(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == "RssAnon:" && status >> kib) return kib;
  }
  return 0;
}

}  // namespace

ProcessFacts facts_of(pid_t pid) {
  ProcessFacts facts;
  count_fds(pid, facts);
  for (const pid_t thread : threads_of(pid))
    ++(name_of_thread(pid, thread) == "vhostx-signals" ? facts.signal_threads : facts.threads);
  count_mappings(pid, facts);
  facts.anonymous_kib = anonymous_kib(pid);
  return facts;
}

std::vector<pid_t> threads_of(pid_t pid) {
  std::vector<pid_t> threads;
  std::error_code gone;
  for (const auto& task : fs::directory_iterator(fmt::format("/proc/{}/task", pid), gone))
    threads.push_back(std::stoi(task.path().filename()));
  return threads;
}

std::string name_of_thread(pid_t pid, pid_t tid) {
  std::string name;
  std::ifstream(fmt::format("/proc/{}/task/{}/comm", pid, tid)) >> name;
  return name;
}

pid_t thread_named(pid_t pid, const std::string& name) {
  for (const pid_t thread : threads_of(pid))
    if (name_of_thread(pid, thread) == name) return thread;
  return 0;
}

std::chrono::nanoseconds time_in_queue(pid_t pid, pid_t tid) {
  std::ifstream file(fmt::format("/proc/{}/task/{}/schedstat", pid, tid));
  std::int64_t ran = 0, waited = 0;
  file >> ran >> waited;
  return std::chrono::nanoseconds(waited);
}

void QueueTime::add(pid_t pid, pid_t tid) {
  files_.emplace_back(::open(fmt::format("/proc/{}/task/{}/schedstat", pid, tid).c_str(), O_RDONLY | O_CLOEXEC));
}

std::chrono::nanoseconds QueueTime::total() const {
  std::int64_t sum = 0;
  for (const UniqueFd& file : files_) {
    std::array<char, 128> text{};
    long long ran = 0, waited = 0;
    if (::pread(file.get(), text.data(), text.size() - 1, 0) <= 0) continue;
    if (std::sscanf(text.data(), "%lld %lld", &ran, &waited) == 2) sum += waited;
  }
  return std::chrono::nanoseconds(sum);
}

std::chrono::nanoseconds time_stolen() {
  std::ifstream file("/proc/stat");
  std::string cpu;
  std::int64_t user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  file >> cpu >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal;
  return std::chrono::nanoseconds(std::chrono::seconds(steal)) / ::sysconf(_SC_CLK_TCK);
}

}  // namespace vhostx::hostile
