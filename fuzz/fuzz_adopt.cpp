// SPDX-License-Identifier: BSD-3-Clause
// Bytes that claim to be the record of a connection, at a keeper, with descriptors of all kinds beside it: a port that
// adopts it goes on or closes the connection, and serves the next one.
//
// Input: one byte; if it is odd, the fields of a SessionState follow, which is written as its owner would write it;
// otherwise bytes of the record's file.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <span>
#include <unistd.h>
#include <utility>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <vhostx/backend.hpp>

#include "backend/loop/control_loop.hpp"
#include "continuity/port_keeper.hpp"
#include "continuity/session_record.hpp"
#include "tests/support/eal.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::continuity;

constexpr RecordLimits limits{.rings = 4, .regions = 8};
constexpr Slot first_slot = 16;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

UniqueFd memory_file(std::size_t bytes) {
  UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
  require(::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0);
  return file;
}

/// What a bundle could hold. Slots from first_slot on: files, eventfds, a socket, a folder.
PortKeeper::Files some_files() {
  PortKeeper::Files files;
  Slot slot = first_slot;
  for (const std::size_t bytes : {std::size_t{1} << 16, std::size_t{1} << 21}) files[slot++] = memory_file(bytes);
  for (int i = 0; i < 4; ++i) files[slot++] = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::array<int, 2> pair{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
  files[slot++] = UniqueFd(pair[0]);
  files[slot++] = UniqueFd(pair[1]);
  files[slot++] = UniqueFd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return files;
}

class Bundle final : public PortKeeper {
 public:
  explicit Bundle(Files files) : files_(std::move(files)) {}
  Result<Files> claim() override { return std::move(files_); }
  Result<void> hold(Slot, int fd) override {
    require(::fcntl(fd, F_GETFD) >= 0);
    return {};
  }
  Result<void> drop(Slot) override { return {}; }
  Result<void> park(std::chrono::milliseconds) override { return {}; }

 private:
  Files files_;
};

/// Takes fields off the input; zero when there are no more bytes.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  template <typename T>
  T take() {
    T value{};
    const std::size_t count = std::min(sizeof value, bytes_.size());
    if (count != 0) std::memcpy(&value, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
    return value;
  }
  std::span<const std::uint8_t> rest() const { return bytes_; }

 private:
  std::span<const std::uint8_t> bytes_;
};

SessionState state_in(Input& input) {
  SessionState state;
  state.features = input.take<std::uint64_t>();
  state.protocol_features = input.take<std::uint64_t>();
  state.features_set = input.take<std::uint8_t>();
  state.protocol_features_set = input.take<std::uint8_t>();
  state.status = input.take<std::uint16_t>();
  state.mtu = input.take<std::uint32_t>();
  state.log_bytes = input.take<std::uint64_t>();
  state.log_offset = input.take<std::uint64_t>();
  state.log = input.take<std::uint8_t>();
  state.log_signal = input.take<std::uint8_t>();
  state.back_end_socket = input.take<std::uint8_t>();
  state.regions.resize(input.take<std::uint8_t>() % (limits.regions + 1));
  for (RegionState& region : state.regions) {
    region.region = input.take<protocol::MemoryRegion>();
    region.file = input.take<std::uint8_t>();
    region.additions = input.take<std::uint8_t>();
  }
  state.rings.resize(limits.rings);
  for (RingState& ring : state.rings) ring = input.take<RingState>();
  return state;
}

void fill(SessionRecord& record, Input input) {
  if ((input.take<std::uint8_t>() & 1) != 0) {
    require(record.write(state_in(input)).ok());
    return;
  }
  struct stat facts {};
  require(::fstat(record.fd(), &facts) == 0);
  const auto size = static_cast<std::size_t>(facts.st_size);
  require(::pwrite(record.fd(), input.rest().data(), std::min(size, input.rest().size()), 0) >= 0);
}

/// The port's next bundle.
PortKeeper::Files next_files;

Backend& the_backend() {
  static const std::unique_ptr<Backend> one = [] {
    test::start_eal();
    auto loop = vhostx::backend::ControlLoop::create(
        {.control_thread = ControlThread::application, .keeper_grace = std::chrono::milliseconds(0)});
    require(loop.ok());
    (*loop)->set_keepers([](const std::string&) -> Result<std::unique_ptr<PortKeeper>> {
      return std::unique_ptr<PortKeeper>(std::make_unique<Bundle>(std::exchange(next_files, {})));
    });
    return std::make_unique<Backend>(std::move(loop).value());
  }();
  return *one;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Backend& served = the_backend();
  auto record = SessionRecord::create(limits);
  require(record.ok());
  fill(*record, Input({data, size}));
  std::array<int, 2> pair{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
  const UniqueFd front_end(pair[0]);
  next_files = some_files();
  next_files[0] = UniqueFd(pair[1]);
  next_files[1] = UniqueFd(::fcntl(record->fd(), F_DUPFD_CLOEXEC, 0));
  PortOptions options;
  options.socket_path = "/nonexistent/port";
  options.role = Role::client;
  options.queue_pairs_max = limits.rings / 2;
  options.memory_slots_max = static_cast<std::uint16_t>(limits.regions);
  auto opened = served.open_port(options);
  require(opened.ok());
  std::unique_ptr<Port> port = std::move(opened).value();
  for (int i = 0; i < 4; ++i) served.run_control(std::chrono::milliseconds(0));
  const PortInfo info = port->info();
  char byte;
  const bool closed = ::recv(front_end.get(), &byte, 1, MSG_DONTWAIT) == 0;
  require(info.connected || closed);
  port.reset();
  require(::recv(front_end.get(), &byte, 1, MSG_DONTWAIT) == 0);
  return 0;
}
