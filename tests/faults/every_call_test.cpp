// SPDX-License-Identifier: BSD-3-Clause
// Each system call and each allocation of a port's whole life fails once. That life works all the same, or it ends with
// an error that is told; nothing leaks, and the next front-end at the same socket is served.
//
// VHOSTX_INJECT='mmap 3' runs one failure alone, VHOSTX_INJECT=mmap those of one call, and both show more.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <span>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/faults/injector.hpp"
#include "tests/faults/scripted_life.hpp"
#include "tests/protocol/open_fds.hpp"
#include "tests/support/eal.hpp"

namespace vhostx::test {
namespace {

struct Failure {
  Call call;
  std::vector<int> errors;
  unsigned first = 1;
};

// What the manual pages name. Not EAGAIN where the kernel says it of full or empty queues alone; not FIONBIO and
// timerfd_settime, which fail on no descriptor that is open; not what Asio does when a loop begins and never looks at:
// two epoll_ctl, and the signal of an eventfd that is new.
const std::vector<Failure>& failures() {
  static const std::vector<Failure> all{
      {Call::allocation, {0}},
      {Call::aligned_alloc, {ENOMEM}},
      {Call::accept4, {EINTR, ECONNABORTED, EMFILE, ENOMEM}},
      {Call::bind, {EACCES, EADDRINUSE, ENOSPC}},
      {Call::connect, {EINTR, ECONNREFUSED, EAGAIN}},
      {Call::epoll_create1, {EMFILE, ENOMEM}},
      {Call::epoll_ctl, {ENOMEM, ENOSPC}, 3},
      {Call::epoll_wait, {EINTR}},
      {Call::eventfd, {EMFILE, ENOMEM}},
      {Call::fcntl, {EPERM}},
      {Call::fstat, {EINTR, ENOMEM}},
      {Call::fstatfs, {EINTR, EIO}},
      {Call::getsockopt, {ENOMEM}},
      {Call::listen, {EADDRINUSE}},
      {Call::lstat, {EACCES, ENOMEM}},
      {Call::madvise, {EAGAIN, ENOMEM}},
      {Call::mbind, {EPERM, ENOMEM}},
      {Call::mincore, {EAGAIN, ENOMEM}},
      {Call::mmap, {EAGAIN, ENFILE, ENOMEM}},
      {Call::move_pages, {EPERM, ENOMEM}},
      {Call::poll, {EINTR, ENOMEM}},
      {Call::read, {EINTR, EIO}},
      {Call::readlink, {EACCES, ENOMEM}},
      {Call::recvmsg, {EINTR, ECONNRESET, ENOMEM}},
      {Call::rte_extmem_register, {0}},
      {Call::sendmsg, {EINTR, EPIPE, ENOBUFS, ENOMEM}},
      {Call::socket, {EMFILE, ENOBUFS, ENOMEM}},
      {Call::syscall, {EPERM, ENOSYS}},
      {Call::timerfd_create, {EMFILE}},
      {Call::unlink, {EACCES}},
      {Call::write, {EINTR, EAGAIN, EIO}, 2},
  };
  return all;
}

/// What a process has that could leak.
struct Possessions {
  std::ptrdiff_t fds = open_fds();
  unsigned guest_mappings = mappings_of("memfd:");

  static unsigned mappings_of(const char* what) {
    std::ifstream maps("/proc/self/maps");
    unsigned count = 0;
    for (std::string line; std::getline(maps, line);) count += line.find(what) != std::string::npos;
    return count;
  }
  bool operator==(const Possessions&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Possessions& p) {
  return out << p.fds << " descriptors, " << p.guest_mappings << " mappings";
}

struct EveryCall : ::testing::TestWithParam<LifeOptions> {
  EveryCall() {
    start_eal();
    {
      ScriptedLife life(GetParam());  // makes what is made once a process
      life.open();
      life.live();
    }
    before = Possessions();
  }

  // The life with a failure in it, then one without.
  void run(const Injection& injection) {
    {
      ScriptedLife life(GetParam());
      arm(injection);
      const std::string end = attempt(life);
      if (!has_struck()) life.close();  // the ends of port and backend can fail, too
      disarm();
      if (!end.empty()) ++ended;
      ++runs;
      next_life(life, injection, end);
    }
    EXPECT_EQ(Possessions(), before) << injection.text();
  }

  // Why it ended; empty: it worked.
  static std::string attempt(ScriptedLife& life) {
    try {
      life.open();
      life.live();
      return {};
    } catch (const Hang& hang) {
      ADD_FAILURE() << hang.what();
      return hang.what();
    } catch (const std::exception& error) {
      const std::string text = error.what();
      return text.empty() ? "out of memory" : text;
    }
  }

  void next_life(ScriptedLife& life, const Injection& injection, const std::string& end) {
    const std::string log = life.take_log();
    if (std::getenv("VHOSTX_INJECT") != nullptr)
      std::printf("%s\n  ended: %s\n%s", injection.text().c_str(), end.empty() ? "no" : end.c_str(), log.c_str());
    std::string next = attempt(life);
    // What waits to be accepted of a port that connects may be a connection that it has given up since.
    if (!next.empty() && GetParam().role == Role::client) next = attempt(life);
    EXPECT_EQ(next, "") << "the next life; log of the first:\n" << log << "of the next:\n" << life.take_log();
  }

  std::vector<unsigned> count() {
    ScriptedLife life(GetParam());
    count_calls();
    life.open();
    life.live();
    life.close();
    disarm();
    std::vector<unsigned> counts;
    for (const auto& failure : failures()) counts.push_back(calls_seen(failure.call));
    return counts;
  }

  Possessions before;
  unsigned runs = 0;
  unsigned ended = 0;
};

std::string life_name(const ::testing::TestParamInfo<LifeOptions>& info) {
  return std::string(info.param.role == Role::server ? "Server" : "Client") + (info.param.zero_copy ? "Lending" : "");
}
INSTANTIATE_TEST_SUITE_P(Of, EveryCall, ::testing::Values(LifeOptions{}, LifeOptions{Role::client, true}), life_name);

// Of all failures, or of those that the environment names.
bool is_wanted(const Injection& injection) {
  const char* const wanted = std::getenv("VHOSTX_INJECT");
  if (wanted == nullptr) return true;
  std::istringstream words(wanted);
  std::string name;
  unsigned nth = 0;
  words >> name;
  return name == name_of(injection.call) && (!(words >> nth) || nth == injection.nth);
}

// The errors take turns, so that each call fails once in a run of the test, and each kind of call in each way.
TEST_P(EveryCall, FailsOnce) {
  const auto counts = count();
  for (std::size_t i = 0; i < counts.size(); ++i)
    for (unsigned nth = failures()[i].first; nth <= counts[i]; ++nth) {
      const auto& errors = failures()[i].errors;
      const Injection injection{failures()[i].call, nth, errors[nth % errors.size()]};
      SCOPED_TRACE(injection.text());
      if (is_wanted(injection)) run(injection);
    }
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (counts[i] != 0) std::printf("%s %u, ", name_of(failures()[i].call), counts[i]);
  std::printf("\n%u lives, %u of them ended early\n", runs, ended);
}

}  // namespace
}  // namespace vhostx::test
