// SPDX-License-Identifier: BSD-3-Clause
// A back-end with a real keeper is killed at every system call while it handles a message, of each kind. The next one
// goes on as if nothing had been, or it closes the connection because a message was in work: never anything between.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "tests/backend/port_fixture.hpp"
#include "tests/continuity/keeper_fixture.hpp"
#include "tests/support/cut_process.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

constexpr std::chrono::milliseconds turn{1};

/// A flag that a child process sees.
class SharedFlag {
 public:
  SharedFlag()
      : flag_(new (::mmap(nullptr, sizeof(Flag), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Flag) {}
  ~SharedFlag() { ::munmap(flag_, sizeof(Flag)); }
  SharedFlag(const SharedFlag&) = delete;
  SharedFlag& operator=(const SharedFlag&) = delete;
  void set() { *flag_ = true; }
  bool is_set() const { return *flag_; }

 private:
  using Flag = std::atomic<bool>;
  Flag* flag_;
};

struct Kind {
  std::string name;
  /// Sends the message, and does not wait for its answer. One comes.
  std::function<void(FakeMachine&)> send;

  friend void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }
};

template <typename Payload>
Kind simple(std::string name, Request request, const Payload& payload) {
  return {std::move(name),
          [=](FakeMachine& machine) { must(machine.front_end().send(make_request(request, payload, true))); }};
}

Kind bare(std::string name, Request request) {
  return {std::move(name), [=](FakeMachine& machine) { must(machine.front_end().send(make_request(request, true))); }};
}

void send_with(FakeMachine& machine, Message message, int fd) {
  message.add_fd(duplicate(fd));
  must(machine.front_end().send(message));
}

Kind with_eventfd(std::string name, Request request) {
  return {std::move(name), [=](FakeMachine& machine) {
            send_with(machine, make_request(request, U64{0}, true), machine.ring(1).call.get());
          }};
}

void send_memory_again(FakeMachine& machine) {
  const MemoryRegion region = machine.region(0);
  send_with(machine, make_request(Request::add_mem_reg, SingleMemoryRegion{0, region}, true),
            machine.guest().file(0).get());
}

/// By its peer; what that has sent before may still be unread.
bool is_closed(int socket) {
  pollfd watched{socket, 0, 0};
  return ::poll(&watched, 1, 0) == 1 && (watched.revents & POLLHUP) != 0;
}

/// What a front-end has set up, as far as the application can see it.
std::string state_of(Port& port) {
  const PortInfo info = port.info();
  std::string text = fmt::format("features {:#x} {:#x}, {} regions of {} bytes, mtu {}, status {}", info.features,
                                 info.protocol_features, info.memory_regions, info.memory_bytes, info.mtu, info.status);
  for (const std::uint16_t ring : std::initializer_list<std::uint16_t>{0, 1}) {
    const vhostx::VringState state = port.vring(ring).state();
    text += fmt::format(", ring {}: {} {}", ring, state.started, state.enabled);
  }
  return text;
}

/// One connection whose back-end is killed while it handles a message.
class Cut {
 public:
  Cut(const std::string& keeper, const std::string& socket)
      : keeper_(keeper),
        socket_(socket),
        child_([this] { serve(); }),
        machine_(socket, 2, {{0x4000'0000, std::size_t{64} << 10}}) {
    machine_.bring_up();
    machine_.sync();
  }

  /// False: processes cannot be traced here.
  bool begin() {
    go_.set();
    return child_.wait_still();
  }
  /// Kills it after `stops` beginnings and ends of system calls. False: it was through before.
  bool cut(const Kind& kind, std::size_t stops) {
    kind.send(machine_);
    const bool within = child_.run(stops);
    child_.kill();
    return within;
  }
  /// Has the next one go on. What it then has; nothing: it has closed the connection.
  std::optional<std::string> go_on() {
    auto backend = must(Backend::create(options(&log_)));
    const auto port = must(backend->open_port(port_options(), nullptr));
    if (is_closed(machine_.front_end().fd())) return {};
    must(machine_.front_end().receive_reply());
    machine_.sync();  // no second answer came
    return state_of(*port);
  }
  const std::string& log() const { return log_; }

 private:
  BackendOptions options(std::string* log) const {
    BackendOptions options;
    options.keeper = keeper_;
    options.keeper_grace = std::chrono::milliseconds(0);
    options.log = [log](LogLevel, std::string_view line) { (*log += line) += '\n'; };
    return options;
  }
  PortOptions port_options() const {
    PortOptions options;
    options.socket_path = socket_;
    options.protocol_features_extra = ProtocolFeatureSet{ProtocolFeature::reset_device}.bits();
    return options;
  }

  // In the child.
  void serve() const {
    std::string log;
    BackendOptions served = options(&log);
    served.control_thread = ControlThread::application;
    auto backend = must(Backend::create(served));
    const auto port = must(backend->open_port(port_options(), nullptr));
    while (!go_.is_set()) backend->run_control(turn);
    CutProcess::stand_still();
    backend->run_control(patience);
    CutProcess::stand_still();
  }

  std::string keeper_;
  std::string socket_;
  SharedFlag go_;
  CutProcess child_;
  FakeMachine machine_;
  std::string log_;
};

class MessageInstants : public continuity::KeeperTest, public ::testing::WithParamInterface<Kind> {};

TEST_P(MessageInstants, TheNextOneGoesOnOrCloses) {
  continuity::KeeperThread keeper(options());
  std::optional<std::string> before_it, after_it;  // what the next one has then
  std::size_t closed = 0;
  bool within = true;
  for (std::size_t stops = 0; within; ++stops) {
    SCOPED_TRACE("killed after " + std::to_string(stops) + " beginnings and ends of system calls");
    Cut cut(path_, folder_.path("port" + std::to_string(stops)));
    if (!cut.begin()) GTEST_SKIP() << "no process may trace another one here";
    within = cut.cut(GetParam(), stops);
    std::optional<std::string> state;
    try {
      state = cut.go_on();
    } catch (const std::exception& error) {
      FAIL() << error.what() << "; the next one's log:\n" << cut.log();
    }
    if (stops == 0) before_it = state;
    after_it = state;
    if (state) {
      EXPECT_EQ(*state, before_it) << "the message was handled once, by either";
    } else {
      EXPECT_NE(cut.log().find("in the midst of a message"), std::string::npos) << cut.log();
      ++closed;
    }
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_TRUE(before_it) << "nothing was read of it";
  EXPECT_TRUE(after_it) << "its answer was sent";
  EXPECT_GT(closed, 0U) << "in between nobody can tell";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, MessageInstants,
    ::testing::Values(bare("get_features", Request::get_features), bare("set_owner", Request::set_owner),
                      simple("net_set_mtu", Request::net_set_mtu, U64{1400}),
                      simple("set_status", Request::set_status, U64{15}),
                      simple("disable", Request::set_vring_enable, protocol::VringState{0, 0}),
                      simple("get_vring_base", Request::get_vring_base, protocol::VringState{1, 0}),
                      with_eventfd("set_vring_kick", Request::set_vring_kick),
                      with_eventfd("set_vring_call", Request::set_vring_call),
                      with_eventfd("set_vring_err", Request::set_vring_err), Kind{"add_mem_reg", send_memory_again}),
    [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace vhostx::test
