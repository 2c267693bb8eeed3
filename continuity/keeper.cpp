// SPDX-License-Identifier: BSD-3-Clause
// One thread, one epoll set. A client is read in turns of bounded length, and only while it takes its answers.
#include "continuity/keeper.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <new>
#include <optional>
#include <span>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/error.hpp"
#include "base/file_kind.hpp"
#include "base/peer_process.hpp"
#include "base/release_pool.hpp"
#include "continuity/keeper_connection.hpp"
#include "continuity/keeper_socket.hpp"
#include "continuity/packet_socket.hpp"

namespace vhostx::continuity {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int packets_of_a_turn = 64;
constexpr int clients_of_a_turn = 16;
constexpr int events_of_a_round = 64;
// Descriptors that were let go of and that the kernel has not closed yet. Past this nothing more is taken.
constexpr std::size_t closing_max = 256;
// Of descriptors: what one packet can bring, what is being closed, epoll, the listener, standard streams, a library's.
constexpr std::uint32_t reserved = 253 + closing_max + 64;
constexpr std::chrono::milliseconds accept_pause{100};

// What an epoll entry is about: the kind in the low two bits, a number above.
enum class Watched : std::uint64_t { listener, stop, client, front_end };

std::uint64_t entry_of(Watched kind, std::uint64_t number) noexcept {
  return number << 2 | static_cast<std::uint64_t>(kind);
}

class EpollKeeper final : public Keeper, private Bundles::Host {
 public:
  EpollKeeper(KeeperOptions options, KeeperSocket listener, UniqueFd epoll)
      : options_(std::move(options)),
        pool_(std::make_shared<ReleasePool>()),
        listener_(std::move(listener)),
        epoll_(std::move(epoll)),
        bundles_(*this, options_.limits, options_.grace) {
    pool_->prepare();
  }
  ~EpollKeeper() override { pool_->finish(); }

  Result<void> run(int stop_fd) override;
  std::size_t bundles() const noexcept override { return bundles_.size(); }
  std::uint32_t descriptors_max() const noexcept override { return options_.limits.descriptors; }

  Result<void> watch_listener() { return add(listener_.get(), EPOLLIN, entry_of(Watched::listener, 0)); }

 private:
  // Bundles::Host
  void send(ClientId to, Tagged<Reply> reply, std::vector<SharedFd> fds) override;
  bool watch(WatchId watch, int socket) override;
  void unwatch(WatchId watch, int socket) override;
  bool is_leaving(ClientId client) override;
  void report(const KeeperEvent& event) override {
    if (options_.on_event) options_.on_event(event);
  }

  Result<void> add(int fd, std::uint32_t events, std::uint64_t entry);
  bool attend(const epoll_event& event);
  int time_to_wait() const;
  void accept_clients();
  void accept_one(UniqueFd socket, std::shared_ptr<Releases> releases);
  const char* why_unwelcome(int socket, std::string& text) const;
  void pause_accepting();
  void resume_accepting();

  void serve(ClientId id, std::uint32_t events);
  std::string read_turn(KeeperConnection& client);
  std::string handle_packet(KeeperConnection& client, std::span<const std::byte> packet, std::vector<UniqueFd> fds);
  std::string handle_request(KeeperConnection& client, const Tagged<Request>& request, std::vector<UniqueFd> fds);
  std::string greet(KeeperConnection& client, std::uint32_t tag, const Hello& hello);
  const char* why_not_held(int fd) const noexcept;
  void refuse(KeeperConnection& client, std::uint32_t tag, const Request& request, ErrorCode code, std::string text);
  void update_watch(KeeperConnection& client);
  void end_client(ClientId id, const std::string& reason);

  KeeperOptions options_;
  std::shared_ptr<ReleasePool> pool_;
  KeeperSocket listener_;
  UniqueFd epoll_;
  std::map<ClientId, KeeperConnection> clients_;
  Bundles bundles_;
  ClientId last_client_ = 0;
  std::optional<Clock::time_point> accepts_again_;
};

Result<void> EpollKeeper::add(int fd, std::uint32_t events, std::uint64_t entry) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = entry;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return make_system_error(errno, "watching a descriptor (epoll_ctl)");
}

Result<void> EpollKeeper::run(int stop_fd) {
  if (auto added = add(stop_fd, EPOLLIN, entry_of(Watched::stop, 0)); !added) return added;
  std::array<epoll_event, events_of_a_round> events{};
  for (bool goes_on = true; goes_on;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events_of_a_round, time_to_wait());
    if (count < 0 && errno != EINTR) return make_system_error(errno, "waiting for clients (epoll_wait)");
    for (int i = 0; i < count; ++i) goes_on &= attend(events[static_cast<std::size_t>(i)]);
    bundles_.expire(Clock::now());
    if (accepts_again_ && *accepts_again_ <= Clock::now()) resume_accepting();
  }
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, stop_fd, nullptr);
  return {};
}

// Milliseconds for epoll_wait(), rounded up; -1: for ever.
int EpollKeeper::time_to_wait() const {
  auto deadline = bundles_.next_deadline();
  if (accepts_again_ && (!deadline || *accepts_again_ < *deadline)) deadline = accepts_again_;
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

// False: it is to stop.
bool EpollKeeper::attend(const epoll_event& event) {
  const std::uint64_t number = event.data.u64 >> 2;
  switch (static_cast<Watched>(event.data.u64 & 3)) {
    case Watched::listener:
      accept_clients();
      return true;
    case Watched::stop:
      return false;
    case Watched::client:
      serve(number, event.events);
      return true;
    case Watched::front_end:
      bundles_.hung_up(number);
      return true;
  }
  return true;
}

void EpollKeeper::accept_clients() {
  for (int i = 0; i < clients_of_a_turn; ++i) {
    auto releases = std::make_shared<Releases>(pool_);
    const int number = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (number < 0 && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (number < 0 && errno != EAGAIN) pause_accepting();  // no descriptor, no memory
    if (number < 0) return;
    UniqueFd socket(number, releases->ticket());
    accept_one(std::move(socket), std::move(releases));
  }
}

// Null: it is welcome. Otherwise `text` says more.
const char* EpollKeeper::why_unwelcome(int socket, std::string& text) const {
  ucred peer{};
  socklen_t length = sizeof peer;
  const bool known = ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0;
  if (!known || (peer.uid != 0 && peer.uid != ::geteuid())) {
    text = fmt::format("this keeper serves root and the user {}, and not the user {}", ::geteuid(), peer.uid);
    return "it is another user's";
  }
  if (clients_.size() < options_.limits.clients) return nullptr;
  text = fmt::format("the keeper has {} clients, the most", options_.limits.clients);
  return "there are too many";
}

void EpollKeeper::accept_one(UniqueFd socket, std::shared_ptr<Releases> releases) {
  const auto pid = static_cast<std::uint32_t>(peer_pid(socket.get()));
  std::string text;
  if (const char* const reason = why_unwelcome(socket.get(), text)) {
    const Failed failed{PacketType::hello, ErrorCode::limit, {}, text};
    send_packet(socket.get(), encode(Tagged<Reply>{0, failed}), {});
    return report({KeeperEvent::Kind::ended, {}, pid, reason});
  }
  const ClientId id = ++last_client_;
  KeeperConnection client({id, pid}, std::move(socket), std::move(releases));
  if (!add(client.fd(), EPOLLIN, entry_of(Watched::client, id))) return;
  client.watched = EPOLLIN;
  clients_.emplace(id, std::move(client));
  report({KeeperEvent::Kind::connected, {}, pid, {}});
}

void EpollKeeper::pause_accepting() {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
  accepts_again_ = Clock::now() + accept_pause;
}

void EpollKeeper::resume_accepting() {
  accepts_again_.reset();
  if (!watch_listener()) pause_accepting();
}

void EpollKeeper::serve(ClientId id, std::uint32_t events) {
  const auto at = clients_.find(id);
  if (at == clients_.end()) return;
  KeeperConnection& client = at->second;
  std::string end;
  try {
    if ((events & EPOLLHUP) != 0) client.stop_sending();
    client.flush(bundles_, Clock::now());
    if (!client.owes_answers()) end = read_turn(client);
    if (end.empty()) client.flush(bundles_, Clock::now());
  } catch (const std::bad_alloc&) {
    end = "there is no memory for its requests";
  }
  if (!end.empty()) return end_client(id, end);
  update_watch(client);
}

// Why the connection has to end; empty: it goes on.
std::string EpollKeeper::read_turn(KeeperConnection& client) {
  std::array<std::byte, packet_bytes_max> packet;
  for (int i = 0; i < packets_of_a_turn && !client.owes_answers(); ++i) {
    std::vector<UniqueFd> fds;
    const auto got = client.receive(packet, fds);
    if (got.error == EAGAIN) return {};
    if (got.error != 0) return std::generic_category().message(got.error);
    if (got.bytes == 0) return "it has closed its end";
    if (got.cut_off) return fmt::format("it sent a packet of more than {} bytes", packet_bytes_max);
    if (got.fds_lost) return "the keeper has no room for a descriptor that it sent";
    if (auto fault = handle_packet(client, std::span(packet).first(got.bytes), std::move(fds)); !fault.empty())
      return fault;
  }
  return {};
}

std::string EpollKeeper::handle_packet(KeeperConnection& client, std::span<const std::byte> packet,
                                       std::vector<UniqueFd> fds) {
  const auto request = decode_request(packet, fds.size());
  if (request) return handle_request(client, *request, std::move(fds));
  send(client.who().id, {0, Failed{PacketType::hello, ErrorCode::protocol_violation, {}, request.error().message}}, {});
  return request.error().message;
}

std::string EpollKeeper::handle_request(KeeperConnection& client, const Tagged<Request>& request,
                                        std::vector<UniqueFd> fds) {
  if (const auto* const hello = std::get_if<Hello>(&request.body)) return greet(client, request.tag, *hello);
  if (!client.greeted) return "its first packet is not HELLO";
  if (std::holds_alternative<List>(request.body)) {
    client.begin_list(request.tag);
    return {};
  }
  UniqueFd fd = fds.empty() ? UniqueFd() : std::move(fds.front());
  if (const char* const reason = fd ? why_not_held(fd.get()) : nullptr)
    refuse(client, request.tag, request.body, ErrorCode::limit, reason);
  else
    bundles_.handle(client.who(), request, std::move(fd), Clock::now());
  return {};
}

std::string EpollKeeper::greet(KeeperConnection& client, std::uint32_t tag, const Hello& hello) {
  if (client.greeted) return "it sent HELLO twice";
  client.greeted = hello.version == keeper_version;
  if (client.greeted) {
    send(client.who().id, {tag, Welcome{}}, {});
    return {};
  }
  auto text = fmt::format("the client speaks version {}, the keeper version {}", hello.version, keeper_version);
  refuse(client, tag, hello, ErrorCode::unsupported, text);
  return text;
}

const char* EpollKeeper::why_not_held(int fd) const noexcept {
  // While a client's own end is held here, its connection would never end.
  if (listener_.is_peer_of(fd)) return "the descriptor is a client's end of a connection to this keeper";
  if (ReleasePool::pending_in_process() > closing_max)
    return "hundreds of descriptors that clients sent wait to be closed: the kernel takes long for some of them";
  return nullptr;
}

void EpollKeeper::refuse(KeeperConnection& client, std::uint32_t tag, const Request& request, ErrorCode code,
                         std::string text) {
  send(client.who().id, {tag, Failed{type_of(request), code, name_of(request), std::move(text)}}, {});
}

void EpollKeeper::send(ClientId to, Tagged<Reply> reply, std::vector<SharedFd> fds) {
  const auto at = clients_.find(to);
  if (at == clients_.end()) return;
  at->second.send(reply, std::move(fds));
  update_watch(at->second);
}

void EpollKeeper::update_watch(KeeperConnection& client) {
  const std::uint32_t wanted = client.owes_answers() ? EPOLLOUT : EPOLLIN;
  if (client.watched == wanted) return;
  epoll_event event{};
  event.events = wanted;
  event.data.u64 = entry_of(Watched::client, client.who().id);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.fd(), &event) == 0) client.watched = wanted;
}

void EpollKeeper::end_client(ClientId id, const std::string& reason) {
  const auto at = clients_.find(id);
  const auto pid = at->second.who().pid;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, at->second.fd(), nullptr);
  ::shutdown(at->second.fd(), SHUT_RDWR);  // closed it is later, on another thread
  clients_.erase(at);
  report({KeeperEvent::Kind::ended, {}, pid, reason});
  bundles_.client_gone(id, Clock::now());
}

// Another process may hold the socket too: an entry of the epoll set outlives our descriptor then, so each is removed.
bool EpollKeeper::watch(WatchId watch, int socket) {
  // Not of what a client could make ready as often as it likes: another epoll set, a pipe.
  return file_kind(socket) == FileKind::socket && add(socket, EPOLLRDHUP, entry_of(Watched::front_end, watch)).ok();
}

void EpollKeeper::unwatch(WatchId, int socket) { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket, nullptr); }

bool EpollKeeper::is_leaving(ClientId id) {
  const auto at = clients_.find(id);
  return at == clients_.end() || at->second.is_leaving();
}

Result<std::uint32_t> lower_to_limit(const KeeperLimits& limits) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return make_system_error(errno, "reading the limit of descriptors");
  const std::uint64_t needed = std::uint64_t{reserved} + limits.clients;
  if (files.rlim_cur <= needed)
    return make_error(ErrorCode::limit, "the process may open {} descriptors (ulimit -n), expected more than {}",
                      files.rlim_cur, needed);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(limits.descriptors, files.rlim_cur - needed));
}

}  // namespace

Result<std::unique_ptr<Keeper>> Keeper::create(KeeperOptions options) {
  const auto descriptors = lower_to_limit(options.limits);
  if (!descriptors) return descriptors.error();
  options.limits.descriptors = *descriptors;
  auto listener = KeeperSocket::listen(options.path);
  if (!listener) return std::move(listener).error();
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return make_system_error(errno, "making an epoll set");
  auto keeper = std::make_unique<EpollKeeper>(std::move(options), *std::move(listener), std::move(epoll));
  if (auto watched = keeper->watch_listener(); !watched) return std::move(watched).error();
  return std::unique_ptr<Keeper>(std::move(keeper));
}

Result<void> raise_descriptor_limit() noexcept {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return make_system_error(errno, "reading the limit of descriptors");
  files.rlim_cur = files.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &files) != 0) return make_system_error(errno, "raising the limit of descriptors");
  return {};
}

}  // namespace vhostx::continuity
