// SPDX-License-Identifier: BSD-3-Clause
// A back-end with a real keeper is killed at every system call while it handles a message, of each kind. The next one
// goes on as if nothing had been where nothing was read yet or the answer was sent. In between it may close the
// connection, because a message was in work: never anything else.
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/backend/port_fixture.hpp"
#include "tests/continuity/keeper_fixture.hpp"
#include "tests/support/cut_process.hpp"
#include "tests/support/inflight_file.hpp"
#include "tests/support/log_file.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

constexpr std::chrono::milliseconds turn{1};
constexpr ProtocolFeatureSet extra_protocol_features{ProtocolFeature::reset_device, ProtocolFeature::log_shmfd,
                                                     ProtocolFeature::inflight_shmfd};

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
  /// Before that, and waits until it was handled.
  std::function<void(FakeMachine&)> prepare = [](FakeMachine&) {};
  /// At the next back-end: so that what the message has set is seen.
  std::function<void(FakeMachine&)> finish = [](FakeMachine&) {};

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

// Of a ring that has stopped.
void stop_ring(FakeMachine& machine) { must(machine.front_end().get_vring_base(1)); }
void start_ring(FakeMachine& machine) {
  machine.send_fds(1);
  machine.kick(1);
}
template <typename Payload>
Kind stopped(std::string name, Request request, const Payload& payload) {
  Kind kind = simple(std::move(name), request, payload);
  kind.prepare = stop_ring;
  kind.finish = start_ring;
  return kind;
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

void send_features(FakeMachine& machine) {
  const FeatureSet features = machine.front_end().features() | FeatureSet{VirtioFeature::vhost_log_all};
  must(machine.front_end().send(make_request(Request::set_features, U64{features.bits()}, true)));
}

void send_protocol_features(FakeMachine& machine) {
  must(machine.front_end().send(
      make_request(Request::set_protocol_features, U64{machine.front_end().protocol_features().bits()}, true)));
}

void send_addresses(FakeMachine& machine) {
  must(machine.front_end().send(make_request(Request::set_vring_addr, machine.addresses(1), true)));
}

Message with_region(FakeMachine& machine, Request request) {
  return make_request(request, SingleMemoryRegion{0, machine.region(0)}, true);
}

void send_memory_again(FakeMachine& machine) {
  send_with(machine, with_region(machine, Request::add_mem_reg), machine.guest().file(0).get());
}

void remove_memory(FakeMachine& machine) { must(machine.front_end().send(with_region(machine, Request::rem_mem_reg))); }

void send_memory_table(FakeMachine& machine) {
  send_with(machine, make_memory_table({{machine.region(0)}}, true), machine.guest().file(0).get());
}

void send_log_base(FakeMachine& machine) {
  const LogFile log(std::uint64_t{1} << 20);
  send_with(machine, make_request(Request::set_log_base, LogBase{log.bytes(), 0}, true), log.fd());
}

void send_log_fd(FakeMachine& machine) {
  send_with(machine, make_request(Request::set_log_fd, true), machine.ring(1).call.get());
}

void send_back_end_socket(FakeMachine& machine) {
  std::array<int, 2> pair{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) throw std::runtime_error("socketpair");
  const UniqueFd ours(pair[0]), theirs(pair[1]);
  send_with(machine, make_request(Request::set_backend_req_fd, true), theirs.get());
}

// Of the front-end's own making: nothing is in flight.
void send_inflight(FakeMachine& machine) {
  const InflightFile file(std::size_t{4096});
  const Inflight area{.mmap_size = file.bytes(), .queue_count = 2, .queue_size = 64};
  send_with(machine, make_request(Request::set_inflight_fd, area, true), file.fd());
}

/// By its peer; what that has sent before may still be unread.
bool is_closed(int socket) {
  pollfd watched{socket, 0, 0};
  return ::poll(&watched, 1, 0) == 1 && (watched.revents & POLLHUP) != 0;
}

bool is_readable(int socket) {
  pollfd watched{socket, POLLIN, 0};
  return ::poll(&watched, 1, 0) == 1;
}

/// What a front-end has set up, as far as the application can see it.
std::string state_of(Port& port) {
  const PortInfo info = port.info();
  std::string text = fmt::format("features {:#x} {:#x}, {} regions of {} bytes, mtu {}, status {}", info.features,
                                 info.protocol_features, info.memory_regions, info.memory_bytes, info.mtu, info.status);
  for (const std::uint16_t ring : std::initializer_list<std::uint16_t>{0, 1}) {
    const vhostx::VringState state = port.vring(ring).state();
    text += fmt::format(", ring {}: {} {}, {} entries", ring, state.started, state.enabled, port.vring(ring).size());
  }
  return text;
}

/// One connection whose back-end is killed while it handles a message.
class Cut {
 public:
  Cut(const Kind& kind, const std::string& keeper, const std::string& socket)
      : kind_(kind),
        keeper_(keeper),
        socket_(socket),
        child_([this] { serve(); }),
        machine_(socket, 2, {{0x4000'0000, std::size_t{64} << 10}}) {
    machine_.negotiate(usual_features, usual_protocol_features | extra_protocol_features);
    machine_.send_memory();
    machine_.start_rings();
    kind_.prepare(machine_);
    machine_.sync();
  }

  /// False: processes cannot be traced here.
  bool begin() {
    go_.set();
    return child_.wait_still();
  }
  /// Kills it after `stops` beginnings and ends of system calls. False: it was through before.
  bool cut(std::size_t stops) {
    kind_.send(machine_);
    const bool within = child_.run(stops);
    child_.kill();
    return within;
  }
  bool reads() const { return child_.place().call == SYS_recvmsg && child_.place().begins; }
  bool has_answered() const { return child_.place().call == SYS_sendmsg && !child_.place().begins; }
  bool is_answered() { return is_readable(machine_.front_end().fd()); }
  /// Of the message, by the back-end that was killed.
  int unread_bytes() const {
    auto client = must(continuity::KeeperClient::connect(keeper_));
    const auto slots = must(client.claim(socket_, continuity::ClaimHow::now));
    int bytes = -1;
    if (::ioctl(slots.at(continuity::front_end_slot).get(), FIONREAD, &bytes) != 0)
      throw std::runtime_error("FIONREAD");
    return bytes;
  }
  /// Has the next one go on. What it then has; nothing: it has closed the connection.
  std::optional<std::string> go_on() {
    auto backend = must(Backend::create(options(&log_)));
    const auto port = must(backend->open_port(port_options(), nullptr));
    if (is_closed(machine_.front_end().fd())) return {};
    must(machine_.front_end().receive_reply());
    kind_.finish(machine_);
    machine_.sync();  // no second answer came
    return state_of(*port) + bases();
  }
  const std::string& log() const { return log_; }

 private:
  std::string bases() {
    return fmt::format(", bases {} {}", must(machine_.front_end().get_vring_base(0)),
                       must(machine_.front_end().get_vring_base(1)));
  }
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
    options.protocol_features_extra = extra_protocol_features.bits();
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

  const Kind& kind_;
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
  std::optional<std::string> before_it;  // what the next one has then
  int message_bytes = 0;
  enum class Progress { unread, handled, answered };
  std::map<Progress, std::size_t> adopted, closed;
  bool within = true;
  for (std::size_t stops = 0; within; ++stops) {
    SCOPED_TRACE("killed after " + std::to_string(stops) + " beginnings and ends of system calls");
    Cut cut(GetParam(), path_, folder_.path("port" + std::to_string(stops)));
    if (!cut.begin()) GTEST_SKIP() << "no process may trace another one here";
    within = cut.cut(stops);
    Progress progress = Progress::answered;
    std::optional<std::string> state;
    try {
      const int unread = cut.unread_bytes();
      if (stops == 0) message_bytes = unread;
      if (!cut.is_answered()) progress = unread == message_bytes ? Progress::unread : Progress::handled;
      state = cut.go_on();
    } catch (const std::exception& error) {
      FAIL() << error.what() << "; the next one's log:\n" << cut.log();
    }
    if (stops == 0) before_it = state;
    ++(state ? adopted : closed)[progress];
    if (state) {
      EXPECT_EQ(*state, before_it) << "the message was handled once, by either";
    } else {
      EXPECT_TRUE(progress != Progress::unread || cut.reads()) << "its first byte is not even looked for";
      EXPECT_TRUE(progress != Progress::answered || cut.has_answered()) << "it does something else already";
      EXPECT_NE(cut.log().find("in the midst of a message"), std::string::npos) << cut.log();
    }
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(adopted[Progress::unread], 0U);
  EXPECT_GT(closed[Progress::handled], 0U) << "nobody can tell";
  EXPECT_EQ(adopted[Progress::handled], 0U) << "its answer is lost";
  EXPECT_GT(adopted[Progress::answered], 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, MessageInstants,
    ::testing::Values(
        bare("get_features", Request::get_features), bare("set_owner", Request::set_owner),
        simple("net_set_mtu", Request::net_set_mtu, U64{1400}), simple("set_status", Request::set_status, U64{15}),
        simple("disable", Request::set_vring_enable, protocol::VringState{0, 0}),
        simple("get_vring_base", Request::get_vring_base, protocol::VringState{1, 0}),
        with_eventfd("set_vring_kick", Request::set_vring_kick),
        with_eventfd("set_vring_call", Request::set_vring_call), with_eventfd("set_vring_err", Request::set_vring_err),
        Kind{"set_features", send_features}, Kind{"set_protocol_features", send_protocol_features},
        stopped("set_vring_num", Request::set_vring_num, protocol::VringState{1, 32}),
        stopped("set_vring_base", Request::set_vring_base, protocol::VringState{1, 7}),
        Kind{"set_vring_addr", send_addresses, stop_ring, start_ring}, Kind{"add_mem_reg", send_memory_again},
        Kind{"rem_mem_reg", remove_memory}, Kind{"set_mem_table", send_memory_table},
        Kind{"set_log_base", send_log_base}, Kind{"set_log_fd", send_log_fd},
        Kind{"set_backend_req_fd", send_back_end_socket}, bare("reset_device", Request::reset_device),
        Kind{"set_inflight_fd", send_inflight,
             [](FakeMachine& machine) {
               for (const unsigned ring : {0U, 1U}) must(machine.front_end().get_vring_base(ring));
             }}),
    [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace vhostx::test
