// SPDX-License-Identifier: BSD-3-Clause
// On which CPUs the library's own threads run.
#include "backend/loop/control_cpus.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/backend/port_fixture.hpp"

namespace vhostx::test {
namespace {

using Cpus = std::vector<unsigned>;

cpu_set_t set_of(const Cpus& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const unsigned cpu : cpus) CPU_SET(cpu, &set);
  return set;
}

Cpus list_of(const cpu_set_t& set) {
  Cpus cpus;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

TEST(ControlCpus, StayOffTheLcores) {
  const auto choose = [](const Cpus& caller, const Cpus& process, const Cpus& lcores) {
    return list_of(backend::choose_control_cpus(set_of(caller), set_of(process), set_of(lcores)));
  };
  EXPECT_EQ(choose({0, 1, 2, 3}, {0, 1, 2, 3}, {2, 3}), (Cpus{0, 1})) << "a thread that is not pinned";
  EXPECT_EQ(choose({2}, {0, 1, 2, 3}, {2, 3}), (Cpus{0, 1})) << "an lcore";
  EXPECT_EQ(choose({1}, {0, 1, 2, 3}, {2, 3}), (Cpus{1})) << "a thread that was pinned elsewhere";
  EXPECT_EQ(choose({2}, {2, 3}, {2, 3}), (Cpus{2})) << "lcores on all CPUs";
  EXPECT_EQ(choose({0, 1}, {0, 1}, {0, 1}), (Cpus{0, 1})) << "lcores that float over all CPUs";
}

/// Where each thread of this process runs that has this name. Those of a Backend before may not have ended yet.
std::vector<Cpus> cpus_of_threads(const std::string& name) {
  std::vector<Cpus> all;
  std::error_code ended;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", ended)) {
    std::string comm;
    std::getline(std::ifstream(task.path() / "comm"), comm);
    cpu_set_t cpus;
    if (comm == name && ::sched_getaffinity(std::stoi(task.path().filename().string()), sizeof cpus, &cpus) == 0)
      all.push_back(list_of(cpus));
  }
  return all;
}

/// The same with options. The name and the CPUs are set before the thread does anything else.
Cpus cpus_of_control_thread(const BackendOptions& options) {
  const TemporaryFolder folder;
  const auto backend = must(Backend::create(options));
  PortOptions port;
  port.socket_path = folder.path("port");
  must(backend->open_port(port));  // waits for the thread
  // The one of the Backend before is joined, and may be on the kernel's list a moment longer.
  const auto end = std::chrono::steady_clock::now() + patience;
  auto cpus = cpus_of_threads("vhostx-control");
  for (; cpus.size() != 1 && std::chrono::steady_clock::now() < end; cpus = cpus_of_threads("vhostx-control"))
    std::this_thread::yield();
  if (cpus.size() != 1) throw std::runtime_error("expected one thread vhostx-control");
  return cpus[0];
}

Cpus cpus_of_this_thread() {
  cpu_set_t cpus;
  return ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? list_of(cpus) : Cpus{};
}

// EAL's main lcore is this thread, pinned to one CPU; the others are what the process may use.
TEST(ControlCpus, AreByDefaultThoseWithoutAnLcore) {
  const Cpus lcore = cpus_of_this_thread();
  ASSERT_EQ(lcore.size(), 1U);
  const Cpus cpus = cpus_of_control_thread({});
  if (cpus == lcore) GTEST_SKIP() << "this process may use one CPU alone";
  EXPECT_EQ(std::count(cpus.begin(), cpus.end(), lcore[0]), 0);
}

TEST(ControlCpus, AreThoseThatWereAskedFor) {
  const Cpus lcore = cpus_of_this_thread();
  EXPECT_EQ(cpus_of_control_thread({.control_cpus = lcore}), lcore);
}

TEST(ControlCpus, AreRefusedWhereTheyAreNot) {
  const auto refused = [](unsigned cpu, const std::string& text) {
    const auto backend = Backend::create({.control_cpus = {cpus_of_this_thread()[0], cpu}});
    ASSERT_FALSE(backend);
    EXPECT_EQ(backend.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(backend.error().message, text);
  };
  refused(1024, "control_cpus has 1024, expected CPUs from 0 to 1023");
  if (std::thread::hardware_concurrency() < 1000)
    refused(1023, "control_cpus has 1023, expected CPUs that are online and that this process may use");
}

// Descriptors are released where the control thread runs, whoever hands them over.
TEST(ControlCpus, AreThoseOfTheThreadsThatReleaseToo) {
  const Cpus lcore = cpus_of_this_thread();
  PortFixture fixture({}, {.control_cpus = lcore});
  FakeMachine(fixture.options.socket_path).bring_up();
  fixture.events.until<FrontEndDisconnected>();
  const auto there = [&lcore] {
    const auto all = cpus_of_threads("vhostx-release");
    return std::count(all.begin(), all.end(), lcore) != 0;
  };
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!there() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_TRUE(there());
}

}  // namespace
}  // namespace vhostx::test
