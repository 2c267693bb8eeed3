// SPDX-License-Identifier: BSD-3-Clause
// Bytes that claim to be the record of a connection, at a keeper, with descriptors of all kinds beside it: a port that
// adopts it goes on or closes the connection, and serves the next one.
//
// Input: one byte. With its bit 1 the application's state comes first: which half of its file is in use, how many bytes
// it has by its word, and those that there are. With its bit 2 the port is a server, and two bytes choose what the
// bundle has for the listening socket and its file. With its bit 3 there are counters of 16 bytes that follow. If the
// byte is odd, the fields of a SessionState follow, which is
// written as its owner would write it, and words for the port's own record of what is in flight, each with its place;
// otherwise bytes of the record's file.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <rte_mbuf.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <vhostx/backend.hpp>

#include "backend/loop/control_loop.hpp"
#include "continuity/port_keeper.hpp"
#include "continuity/session_record.hpp"
#include "continuity/state_file.hpp"
#include "tests/support/eal.hpp"
#include "virtqueue/inflight_area.hpp"
#include "virtqueue/inflight_store.hpp"

namespace {

using namespace vhostx;
using namespace vhostx::continuity;

constexpr RecordLimits limits{.rings = 4, .regions = 8};
constexpr Slot listener_slot = 2;
constexpr Slot listener_file_slot = 3;
constexpr Slot counters_slot = 5;
constexpr Slot state_slot = 6;
constexpr std::uint32_t state_bytes_max = 64;
constexpr Slot first_slot = 16;
constexpr std::uint16_t posted = 8;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

UniqueFd memory_file(std::size_t bytes) {
  UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
  require(::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0);
  return file;
}

/// A ring whose avail area is in the first half of the file has chains for a record that says so; its used area is in
/// the other half.
void post_in(const UniqueFd& file) {
  const std::vector<std::uint16_t> words(1 << 14, posted);
  require(::pwrite(file.get(), words.data(), 2 * words.size(), 0) >= 0);
}

/// What a bundle could hold. Slots from first_slot on: files, eventfds, a socket, a folder.
PortKeeper::Files some_files() {
  PortKeeper::Files files;
  Slot slot = first_slot;
  for (const std::size_t bytes : {std::size_t{1} << 16, std::size_t{1} << 21}) {
    files[slot] = memory_file(bytes);
    post_in(files[slot++]);
  }
  for (int i = 0; i < 4; ++i) files[slot++] = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::array<int, 2> pair{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
  files[slot++] = UniqueFd(pair[0]);
  files[slot++] = UniqueFd(pair[1]);
  files[slot++] = UniqueFd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  files[counters_slot] = memory_file(1 << 16);  // not sealed
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
  std::span<const std::uint8_t> take_bytes(std::size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
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
  state.own_inflight = input.take<std::uint8_t>();
  state.inflight = input.take<InflightState>();
  return state;
}

/// Words of the regions' headers and of their first entries.
void damage(const virtqueue::InflightStore& in_flight, Input& input) {
  constexpr std::uint64_t region = virtqueue::InflightStore::bytes_of_a_ring;
  while (!input.rest().empty()) {
    const std::uint64_t ring = input.take<std::uint8_t>() % limits.rings;
    const std::uint64_t at = input.take<std::uint16_t>() % 4096;
    const auto word = input.take<std::uint64_t>();
    require(::pwrite(in_flight.fd(), &word, sizeof word, static_cast<off_t>(ring * region + at)) == sizeof word);
  }
}

/// A file of StateFile, with anything in it.
UniqueFd state_file(Input& input) {
  constexpr off_t first_half = 4096;
  const auto half = input.take<std::uint8_t>();
  const std::uint32_t in_use = half < StateFile::in_use_names.size() ? StateFile::in_use_names[half] : half;
  const std::uint64_t length = input.take<std::uint16_t>();
  const auto bytes = input.take_bytes(input.take<std::uint16_t>() % first_half);
  auto made = StateFile::create(2 * first_half);
  require(made.ok());
  require(::pwrite(made->fd(), &in_use, sizeof in_use, sizeof(std::uint64_t)) == sizeof in_use);
  require(::pwrite(made->fd(), &length, sizeof length, first_half) == sizeof length);
  require(::pwrite(made->fd(), bytes.data(), bytes.size(), first_half + sizeof length) >= 0);
  return UniqueFd(::fcntl(made->fd(), F_DUPFD_CLOEXEC, 0));
}

/// A socket that listens at `path`, and its file.
std::pair<UniqueFd, UniqueFd> listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlink(path.c_str());
  require(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  require(::listen(socket.get(), 1) == 0);
  UniqueFd file(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  require(file.get() >= 0);
  return {std::move(socket), std::move(file)};
}

/// Where the port listens, in a folder of this process.
const std::string& socket_path() {
  static const std::string path = [] {
    std::string folder = "/tmp/fuzz_adopt-XXXXXX";
    require(::mkdtemp(folder.data()) != nullptr);
    static const std::string made = folder;
    std::atexit([] { std::filesystem::remove_all(made); });
    return folder + "/port";
  }();
  return path;
}

/// Something of the bundle for `slot`, or what belongs there.
void choose(PortKeeper::Files& files, Slot slot, std::uint8_t choice, const UniqueFd& right) {
  const auto found = files.find(first_slot + choice % 16);
  const UniqueFd& chosen = found == files.end() ? right : found->second;
  files[slot] = UniqueFd(::fcntl(chosen.get(), F_DUPFD_CLOEXEC, 0));
}

/// A file of counters as a port makes it.
UniqueFd counters_file(Input& input) {
  UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  require(::ftruncate(file.get(), (limits.rings + 1) * off_t{4096}) == 0);
  for (const off_t at : {off_t{0}, off_t{4096}}) {
    const auto word = input.take<std::uint64_t>();
    require(::pwrite(file.get(), &word, sizeof word, at) == sizeof word);
  }
  require(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0);
  return file;
}

void fill(SessionRecord& record, const virtqueue::InflightStore& in_flight, bool fields, Input input) {
  if (fields) {
    require(record.write(state_in(input)).ok());
    return damage(in_flight, input);
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

/// What is in flight is served again.
void serve(Port& port) {
  std::array<rte_mbuf*, 32> packets{};
  for (std::uint16_t pair = 0; pair < limits.rings / 2; ++pair) {
    const std::uint16_t count = port.from_guest(pair).dequeue_burst(test::test_pool(), packets.data(), 32);
    rte_pktmbuf_free_bulk(packets.data(), count);
    rte_mbuf* packet = rte_pktmbuf_alloc(test::test_pool());
    require(packet != nullptr);
    port.to_guest(pair).enqueue_burst(&packet, 1);
    rte_pktmbuf_free(packet);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Backend& served = the_backend();
  auto record = SessionRecord::create(limits);
  require(record.ok());
  auto in_flight = virtqueue::InflightStore::create(limits.rings);
  require(in_flight.ok());
  Input input({data, size});
  const auto mode = input.take<std::uint8_t>();
  UniqueFd state = (mode & 2) != 0 ? state_file(input) : UniqueFd();
  const bool is_server = (mode & 4) != 0;
  const auto socket_choice = is_server ? input.take<std::uint8_t>() : std::uint8_t{0};
  const auto file_choice = is_server ? input.take<std::uint8_t>() : std::uint8_t{0};
  UniqueFd counters = (mode & 8) != 0 ? counters_file(input) : UniqueFd();
  fill(*record, **in_flight, (mode & 1) != 0, input);
  std::array<int, 2> pair{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
  const UniqueFd front_end(pair[0]);
  next_files = some_files();
  next_files[0] = UniqueFd(pair[1]);
  next_files[1] = UniqueFd(::fcntl(record->fd(), F_DUPFD_CLOEXEC, 0));
  next_files[own_inflight_slot] = UniqueFd(::fcntl((*in_flight)->fd(), F_DUPFD_CLOEXEC, 0));
  if (state) next_files[state_slot] = std::move(state);
  if (counters) next_files[counters_slot] = std::move(counters);
  PortOptions options;
  options.socket_path = is_server ? socket_path() : "/nonexistent/port";
  options.role = is_server ? Role::server : Role::client;
  if (is_server) {
    const auto [socket, file] = listen_at(options.socket_path);
    choose(next_files, listener_slot, socket_choice, socket);
    choose(next_files, listener_file_slot, file_choice, file);
  }
  options.save_state = [] { return std::vector<std::byte>(1); };
  options.load_state = [](std::span<const std::byte> bytes) -> Result<void> {
    require(bytes.size() <= state_bytes_max);
    return {};
  };
  options.state_bytes_max = state_bytes_max;
  options.queue_pairs_max = limits.rings / 2;
  options.memory_slots_max = static_cast<std::uint16_t>(limits.regions);
  auto opened = served.open_port(options);
  require(opened.ok());
  std::unique_ptr<Port> port = std::move(opened).value();
  for (int i = 0; i < 4; ++i) served.run_control(std::chrono::milliseconds(0));
  serve(*port);
  const PortInfo info = port->info();
  char byte;
  const bool closed = ::recv(front_end.get(), &byte, 1, MSG_DONTWAIT) == 0;
  require(info.connected || closed);
  port.reset();
  require(::recv(front_end.get(), &byte, 1, MSG_DONTWAIT) == 0);
  return 0;
}
