// SPDX-License-Identifier: BSD-3-Clause
#include "tests/faults/scripted_life.hpp"

#include <array>
#include <poll.h>
#include <thread>

#include "tests/backend/traffic.hpp"
#include "tests/faults/injector.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;

constexpr std::uint16_t packets_each_way = 4;
constexpr std::uint32_t large = 1500;             // lent, with zero copy
constexpr std::chrono::seconds hang{5};           // an answer that a failure has swallowed
constexpr std::chrono::seconds busy_machine{60};  // what has to come, on a machine that may be busy

// Sleeps: on a busy machine who yields waits for everybody else's turn.
void pause() { std::this_thread::sleep_for(std::chrono::microseconds(50)); }

std::vector<std::uint8_t> packet() { return std::vector<std::uint8_t>(12 + large); }

}  // namespace

ScriptedLife::ScriptedLife(const LifeOptions& options) {
  test_pool();
  options_.socket_path = folder_.path("port");
  options_.role = options.role;
  options_.zero_copy = options.zero_copy;
  options_.protocol_features_extra =
      usual_protocol_features.bits() & (std::uint64_t{1} << 5 | std::uint64_t{1} << 13);  // BACKEND_REQ, RESET_DEVICE
  options_.reconnect_delay_min = std::chrono::milliseconds(1);
  options_.reconnect_delay_max = std::chrono::milliseconds(10);
  if (options.role == Role::client) listener_ = must(FakeFrontEnd::listen(options_.socket_path));
}

void ScriptedLife::open() {
  if (backend_ == nullptr) {
    BackendOptions options;
    options.log = [this](LogLevel, std::string_view line) {
      const Spared spared;
      const std::lock_guard guard(lock_);
      (log_ += line) += '\n';
    };
    const InLibrary in_library;
    backend_ = must(Backend::create(std::move(options)));
  }
  if (port_ != nullptr) return;
  auto options = options_;
  const InLibrary in_library;
  port_ = must(backend_->open_port(std::move(options), [](Port&, const PortEvent&) {}));
}

void ScriptedLife::close() {
  const InLibrary in_library;
  port_.reset();
  backend_.reset();
}

FakeMachine ScriptedLife::connect() {
  return FakeMachine(
      must(listener_ ? FakeFrontEnd::accept(listener_, hang) : FakeFrontEnd::connect(options_.socket_path, hang)));
}

void ScriptedLife::live() {
  std::uint64_t connection = 0;
  try {
    FakeMachine machine = connect();
    machine.negotiate();
    connection = port_->info().connections;
    use(machine);
  } catch (const std::runtime_error&) {
    if (connection != 0) wait_left(connection);
    throw;
  }
  wait_left(connection);
}

void ScriptedLife::use(FakeMachine& machine) {
  machine.bring_up();
  must(machine.front_end().open_backend_channel());
  wait_until(machine, "the rings to start",
             [this] { return port_->vring(0).state().started && port_->vring(1).state().started; });
  exchange(machine);
  change_memory(machine);
  exchange(machine);
  must(machine.front_end().get_vring_base(0));
  must(machine.front_end().get_vring_base(1));
}

// What the guest sends comes back to it.
void ScriptedLife::exchange(FakeMachine& machine) {
  const auto returned = static_cast<std::uint16_t>(machine.ring(0).driver.used_index() + packets_each_way);
  for (unsigned i = 0; i < packets_each_way; ++i) {
    machine.ring(0).driver.chain().writable(12 + large).publish();
    machine.ring(1).driver.chain().readable(packet()).publish();
  }
  wait_until(machine, "the packets", [&] {
    std::array<rte_mbuf*, 32> packets;
    const InLibrary in_library;
    const auto count = port_->from_guest().dequeue_burst(test_pool(), packets.data(), packets.size());
    port_->to_guest().enqueue_burst(packets.data(), count);
    rte_pktmbuf_free_bulk(packets.data(), count);
    port_->from_guest().poll_completions();
    return machine.ring(0).driver.used_index() == returned;
  });
  machine.ring(0).driver.reap();
  machine.ring(1).driver.reap();
}

void ScriptedLife::change_memory(FakeMachine& machine) {
  const FakeGuest more({{0x9000'0000, std::size_t{1} << 20}});
  const auto description = more.description(0);
  const MemoryRegion region{description.guest.value, description.size, description.front_end.value,
                            description.mmap_offset};
  must(machine.front_end().add_mem_reg(region, more.file(0).get()));
  must(machine.front_end().rem_mem_reg(region));
  machine.send_memory();
}

void ScriptedLife::wait_until(FakeMachine& machine, const char* what, const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + busy_machine;
  while (!holds()) {
    if (machine.front_end().peer_is_gone()) throw std::runtime_error(std::string("hung up, not ") + what);
    if (std::chrono::steady_clock::now() > end) throw Hang(std::string("waited in vain for ") + what);
    pause();
  }
}

// In the client role the next connection, which nobody has accepted yet, may follow at once; its number may even be
// the one that was asked for.
void ScriptedLife::wait_left(std::uint64_t connection) {
  const auto end = std::chrono::steady_clock::now() + busy_machine;
  const auto next_one_waits = [this] {
    pollfd watched{listener_.get(), POLLIN, 0};
    return listener_ && ::poll(&watched, 1, 0) == 1;
  };
  for (auto info = port_->info(); info.connected && info.connections == connection && !next_one_waits();
       info = port_->info()) {
    if (std::chrono::steady_clock::now() > end) throw Hang("the port did not see its front-end leave");
    pause();
  }
}

std::string ScriptedLife::take_log() {
  const std::lock_guard guard(lock_);
  return std::exchange(log_, {});
}

}  // namespace vhostx::test
