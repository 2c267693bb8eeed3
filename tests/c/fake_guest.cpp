// SPDX-License-Identifier: BSD-3-Clause
#include "tests/c/fake_guest.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>

#include "protocol/message.hpp"
#include "tests/backend/port_fixture.hpp"
#include "tests/support/eal.hpp"

using vhostx::protocol::FrontEndRequest;
using vhostx::test::FakeMachine;

struct fake_guest {
  explicit fake_guest(const char* path) : machine(path) {}

  static constexpr std::size_t net_header_bytes = 12;
  FakeMachine machine;
  std::deque<std::vector<std::uint8_t>> received;
};

fake_guest* fake_guest_connect(const char* socket_path) {
  auto* guest = new fake_guest(socket_path);
  guest->machine.bring_up();
  return guest;
}

void fake_guest_leave(fake_guest* guest) { delete guest; }

void fake_guest_transmit(fake_guest* guest, uint8_t fill, uint32_t length) {
  std::vector<std::uint8_t> bytes(fake_guest::net_header_bytes + length, fill);
  std::fill_n(bytes.begin(), fake_guest::net_header_bytes, std::uint8_t{0});
  guest->machine.ring(1).driver.chain().readable(bytes).publish();
}

size_t fake_guest_reap(fake_guest* guest) { return guest->machine.ring(1).driver.reap().size(); }

void fake_guest_post(fake_guest* guest, uint32_t length) {
  guest->machine.ring(0).driver.chain().writable(length).publish();
}

size_t fake_guest_receive(fake_guest* guest, uint8_t* bytes, size_t size) {
  auto& driver = guest->machine.ring(0).driver;
  for (const auto& used : driver.reap()) guest->received.push_back(driver.bytes_of(used));
  if (guest->received.empty()) return 0;
  const std::vector<std::uint8_t> frame = std::move(guest->received.front());
  guest->received.pop_front();
  const std::size_t length = frame.size() - fake_guest::net_header_bytes;
  std::copy_n(frame.begin() + fake_guest::net_header_bytes, std::min(size, length), bytes);
  return length;
}

void fake_guest_kick(fake_guest* guest) { guest->machine.kick(1); }

int fake_guest_lie(fake_guest* guest) {
  auto& driver = guest->machine.ring(1).driver;
  driver.lie();
  return static_cast<int>(driver.lie_cause());
}

void fake_guest_enable(fake_guest* guest, uint16_t ring, bool enabled) {
  guest->machine.enable(ring, enabled);
  guest->machine.sync();
}

void fake_guest_set_mtu(fake_guest* guest, uint16_t mtu) {
  guest->machine.status_of(FrontEndRequest::net_set_mtu, vhostx::protocol::U64{mtu});
}

void fake_guest_send_memory(fake_guest* guest) { guest->machine.send_memory(); }

namespace {

int fake_socket(const char* path, int (*take)(int, const sockaddr*, socklen_t)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string_view(path).copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (take(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) std::abort();
  return fd;
}

}  // namespace

namespace {

/// SET_DEVICE_STATE_FD; the back-end's channel, empty: refused.
vhostx::UniqueFd begin_transfer(FakeMachine& machine, std::uint32_t direction) {
  using namespace vhostx;
  auto features = test::usual_protocol_features;
  features.set(protocol::ProtocolFeature::device_state);
  machine.negotiate(test::usual_features, features);
  auto message =
      protocol::make_request(FrontEndRequest::set_device_state_fd, protocol::DeviceState{direction, /*phase=*/0});
  message.add_fd(tools::duplicate(machine.ring(0).kick.get()));  // in place of a pipe
  return test::must(machine.front_end().ask(message)).take_fd();
}

bool transfer_was_good(FakeMachine& machine) {
  using namespace vhostx;
  const auto check = protocol::make_request(FrontEndRequest::check_device_state);
  return test::must(machine.front_end().ask(check)).payload_as<protocol::U64>()->value == 0;
}

}  // namespace

int fake_move_state(const char* from_path, const char* to_path) {
  FakeMachine from(from_path);
  const auto saved = begin_transfer(from, 0);
  if (!saved || !transfer_was_good(from)) return 1;
  FakeMachine to(to_path);
  const auto loaded = begin_transfer(to, 1);
  std::array<std::byte, 4096> record{};
  const ssize_t length = ::read(saved.get(), record.data(), record.size());
  if (!loaded || ::write(loaded.get(), record.data(), static_cast<std::size_t>(length)) != length) return 2;
  return transfer_was_good(to) ? 0 : 2;
}

int fake_connect(const char* socket_path) { return fake_socket(socket_path, ::connect); }

int fake_listen(const char* socket_path) {
  const int fd = fake_socket(socket_path, ::bind);
  if (::listen(fd, 1) != 0) std::abort();
  return fd;
}

const char* fake_path(const char* name) {
  static const vhostx::test::TemporaryFolder folder;
  thread_local std::string path;
  path = folder.path(name);
  return path.c_str();
}

rte_mempool* fake_pool() {
  vhostx::test::start_eal();
  return vhostx::test::test_pool();
}
