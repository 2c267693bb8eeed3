// SPDX-License-Identifier: BSD-3-Clause
// A front-end that sends any requests in any order, with descriptors of any kind, against a Port. After each input the
// connection is gone, no ring runs, every descriptor is closed and every mbuf is back. While VHOST_F_LOG_ALL is not
// negotiated, bursts write nothing to a dirty log.
#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

#include <rte_mbuf.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <vhostx/backend.hpp>
#include <vhostx/port.hpp>

#include "backend/connection/features.hpp"
#include "backend/connection/unix_socket.hpp"
#include "fuzz/protocol_input.hpp"
#include "fuzz/session_input.hpp"
#include "protocol/codec.hpp"
#include "protocol/features.hpp"
#include "protocol/socket_io.hpp"
#include "tests/support/eal.hpp"
#include "tests/support/slow_releases.hpp"

using namespace vhostx;
using namespace vhostx::fuzz;

namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

int open_fds() {
  int count = 0;
  for (int fd = 0; fd < 512; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

UniqueFd duplicate(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// Made once: what a process has before and after every input.
struct World {
  World() {
    std::string folder = "/tmp/vhostx-fuzz-XXXXXX";
    require(::mkdtemp(folder.data()) != nullptr);
    path = folder + "/port";
    test::start_eal();
    backend = std::move(Backend::create({.control_thread = ControlThread::application})).value();
    PortOptions options;
    options.socket_path = path;
    options.queue_pairs_max = 2;
    options.features_extra = backend::features_on_request().bits();
    options.protocol_features_extra = backend::protocol_features_on_request().bits();
    options.migrate_stats = true;
    options.state_bytes_max = 256;
    options.save_state = [] { return std::vector<std::byte>(200); };
    options.load_state = [](std::span<const std::byte> state) -> Result<void> {
      require(state.size() <= 256);
      return {};
    };
    port = std::move(backend->open_port(options, [this](Port&, const PortEvent& event) {
             require(!describe(event).empty());
             ++events;
           })).value();
    memory = make_memory(memory_bytes, 0);
    sealed = make_memory(memory_bytes, F_SEAL_SHRINK | F_SEAL_GROW);
    small = make_memory(4096, 0);
    log = make_memory(log_bytes, 0);
    kick.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    std::array<int, 2> ends{};
    require(::pipe2(ends.data(), O_CLOEXEC) == 0);
    pipe_in.reset(ends[0]);
    pipe_out.reset(ends[1]);
  }
  ~World() {
    port.reset();
    ::rmdir(path.substr(0, path.rfind('/')).c_str());
  }

  void turn() {
    while (backend->run_control(std::chrono::milliseconds(0)) != 0) {
    }
  }
  static UniqueFd make_memory(std::size_t bytes, int seals) {
    UniqueFd file(::memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    require(::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0);
    require(::fcntl(file.get(), F_ADD_SEALS, seals) == 0);
    return file;
  }
  UniqueFd fd_of(FdKind kind) const {
    switch (kind) {
      case FdKind::event_fd:
        return duplicate(kick.get());
      case FdKind::event_fd_blocking:
        return UniqueFd(::eventfd(0, EFD_CLOEXEC));
      case FdKind::memory:
        return duplicate(memory.get());
      case FdKind::memory_sealed:
        return duplicate(sealed.get());
      case FdKind::memory_small:
        return duplicate(small.get());
      case FdKind::memory_read_only:
        return UniqueFd(::open(("/proc/self/fd/" + std::to_string(memory.get())).c_str(), O_RDONLY | O_CLOEXEC));
      case FdKind::directory:
        return UniqueFd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      case FdKind::device:
        return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
      case FdKind::epoll:
        return UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
      case FdKind::pipe:
        return duplicate(pipe_out.get());
      case FdKind::socket:
        return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      case FdKind::log:
        return duplicate(log.get());
      case FdKind::none:
        break;
    }
    return UniqueFd();
  }

  std::string path;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Port> port;
  UniqueFd memory;
  UniqueFd sealed;
  UniqueFd small;
  UniqueFd log;
  UniqueFd kick;
  UniqueFd pipe_in;
  UniqueFd pipe_out;
  std::uint64_t events = 0;
};

/// The answers' side of a connection: what came with answers to SET_DEVICE_STATE_FD.
class Answers {
 public:
  /// Answers are read and dropped: a back-end whose answers wait does not read on.
  void drop(int socket) {
    std::array<std::byte, 4096> answers;
    while (true) {
      protocol::FdList fds;
      const auto got = protocol::receive(socket, answers, fds, protocol::Blocking::no);
      if (got.error != 0 || got.bytes == 0) return;
      for (std::size_t i = 0; i < fds.size(); ++i) take(fds.take(i));
    }
  }
  void write_state(Input record) const {
    if (!loading_) return;
    const std::size_t offset = record.two_bytes();
    const auto bytes = record.rest();
    [[maybe_unused]] auto written = ::pwrite(loading_.get(), saved_.data(), saved_.size(), 0);
    written = ::pwrite(loading_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
  }

 private:
  /// One that holds something is a state that was saved; another one is where a state is wanted.
  void take(UniqueFd fd) {
    std::vector<std::byte> bytes(65536);
    const ssize_t got = ::pread(fd.get(), bytes.data(), bytes.size(), 0);
    if (got == 0) loading_ = std::move(fd);
    if (got <= 0) return;
    bytes.resize(static_cast<std::size_t>(got));
    saved_ = std::move(bytes);
  }

  std::vector<std::byte> saved_;
  UniqueFd loading_;
};

void write_memory(const World& world, Input record) {
  const std::size_t offset = record.two_bytes();
  const auto bytes = record.rest();
  const std::size_t room = memory_bytes - offset;
  [[maybe_unused]] const auto written =
      ::pwrite(world.memory.get(), bytes.data(), std::min(bytes.size(), room), static_cast<off_t>(offset));
}

rte_mempool* pool() { return test::test_pool(2048, 255); }

void take_packets(Vring& ring) {
  std::array<rte_mbuf*, 32> packets;
  rte_pktmbuf_free_bulk(packets.data(), ring.dequeue_burst(pool(), packets.data(), packets.size()));
}

void give_packets(Vring& ring) {
  std::array<rte_mbuf*, 4> packets;
  require(rte_pktmbuf_alloc_bulk(pool(), packets.data(), packets.size()) == 0);
  std::uint16_t length = 14;
  for (rte_mbuf* packet : packets) {
    std::memset(rte_pktmbuf_append(packet, length), 0x5a, length);
    length = static_cast<std::uint16_t>(length * 5);
  }
  require(ring.enqueue_burst(packets.data(), packets.size()) <= packets.size());
  rte_pktmbuf_free_bulk(packets.data(), packets.size());
}

std::vector<std::byte> bytes_of(const UniqueFd& file) {
  std::vector<std::byte> bytes(log_bytes);
  const ssize_t got = ::pread(file.get(), bytes.data(), bytes.size(), 0);
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return bytes;
}

/// Virtio-net numbers queues from the guest's side: it receives from the even ones (VIRTIO 1.2, 5.1.2).
void have_bursts(World& world) {
  const bool logs = protocol::FeatureSet(world.port->info().features).has(protocol::VirtioFeature::vhost_log_all);
  const auto log = bytes_of(world.log);
  for (std::uint16_t i = 0; i < world.port->vring_count(); ++i) {
    Vring& ring = world.port->vring(i);
    ring.set_notifications(true);
    i % 2 == 0 ? give_packets(ring) : take_packets(ring);
    ring.set_notifications(false);
  }
  require(rte_mempool_in_use_count(pool()) == 0);
  require(logs || bytes_of(world.log) == log);
}

void send_message(const World& world, int socket, std::uint8_t request, std::uint8_t how_bits,
                  std::span<const std::byte> payload) {
  using protocol::Header;
  const std::uint32_t flags = Header::version_1 | ((how_bits & how_need_reply) != 0 ? Header::need_reply : 0);
  const auto size = static_cast<std::uint32_t>(payload.size());
  const auto header = protocol::encode_header({request, flags, size});
  std::vector<std::byte> bytes(header.begin(), header.end());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  protocol::FdList fds;
  auto kind = static_cast<FdKind>((how_bits >> how_kind_shift) & 15);
  // What is memory of the guest, too, changes without a mark.
  if (kind == FdKind::log && request != static_cast<std::uint8_t>(protocol::FrontEndRequest::set_log_base))
    kind = FdKind::memory;
  for (unsigned i = 0; i < unsigned{how_bits} >> how_count_shift; ++i)
    if (UniqueFd fd = world.fd_of(kind)) fds.add(std::move(fd));
  static_cast<void>(protocol::transmit(socket, bytes, fds, protocol::Blocking::no));
}

void set_log_size(const World& world, Input record) { require(::ftruncate(world.log.get(), record.two_bytes()) == 0); }

void run(World& world, int socket, Input& input) {
  Answers answers;
  while (!input.empty()) {
    const std::uint8_t what = input.byte();
    const std::uint8_t how_bits = input.byte();
    const std::size_t length = input.two_bytes() % (protocol::payload_bytes_max + 2);
    const auto bytes = input.bytes(length);
    const Input content(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    if (what == record_kick) [[maybe_unused]]
      const auto written = ::eventfd_write(world.kick.get(), 1);
    else if (what == record_data)
      have_bursts(world);
    else if (what == record_memory)
      write_memory(world, content);
    else if (what == record_log_size)
      set_log_size(world, content);
    else if (what == record_state)
      answers.write_state(content);
    else
      send_message(world, socket, what, how_bits, bytes);
    world.turn();
    answers.drop(socket);
  }
}

void reset_memory(const World& world) {
  require(::ftruncate(world.memory.get(), 0) == 0 && ::ftruncate(world.memory.get(), memory_bytes) == 0);
  require(::ftruncate(world.log.get(), 0) == 0 && ::ftruncate(world.log.get(), log_bytes) == 0);
  // What is sealed cannot be emptied: the holes are made by hand.
  const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  require(::fallocate(world.sealed.get(), punch, 0, memory_bytes) == 0);
  require(::fallocate(world.small.get(), punch, 0, 4096) == 0);
  eventfd_t ignored = 0;
  ::eventfd_read(world.kick.get(), &ignored);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  if (size > 16384) return 0;
  test::wait_for_releases();
  reset_memory(world);
  const int before = open_fds();
  {
    const UniqueFd socket = std::move(backend::make_unix_socket()).value();
    require(backend::connect_unix(socket.get(), world.path) == 0);
    world.turn();
    require(world.port->info().connected);
    Input input(data, size);
    run(world, socket.get(), input);
  }
  for (int i = 0; i < 1000 && world.port->info().connected; ++i)
    world.backend->run_control(std::chrono::milliseconds(5));
  world.turn();
  require(!world.port->info().connected);
  for (std::uint16_t i = 0; i < world.port->vring_count(); ++i) require(!world.port->vring(i).state().started);
  test::wait_for_releases();
  require(open_fds() == before);
  return 0;
}
