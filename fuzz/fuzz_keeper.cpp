// SPDX-License-Identifier: BSD-3-Clause
// The keeper's trust boundaries, by the first byte of the input: packets of either direction as bytes, clients that ask
// a keeper for anything, and a keeper that sends a client anything.
#include <algorithm>
#include <array>
#include <fcntl.h>
#include <map>
#include <set>
#include <string>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>

#include "continuity/bundles.hpp"
#include "continuity/keeper_client.hpp"
#include "continuity/packet_socket.hpp"
#include "continuity/session_record.hpp"
#include "fuzz/choices.hpp"

using namespace vhostx;
using namespace vhostx::continuity;
using namespace std::chrono_literals;

namespace {

// Not an assert: it must hold in every build.
void require(bool holds) {
  if (!holds) __builtin_trap();
}

UniqueFd some_fd() {
  static const UniqueFd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return UniqueFd(::fcntl(one.get(), F_DUPFD_CLOEXEC, 0));
}

// What may be shown. Its bytes claim to be a record.
UniqueFd sealed_file(fuzz::Choices& choices) {
  constexpr RecordLimits limits{.rings = 2, .regions = 2};
  auto record = SessionRecord::create(limits);
  require(record.ok());
  for (std::uint32_t i = choices.below(4); i != 0; --i) {
    const std::uint8_t byte = choices.byte();
    require(::pwrite(record->fd(), &byte, 1, choices.byte()) == 1);
  }
  return UniqueFd(::fcntl(record->fd(), F_DUPFD_CLOEXEC, 0));
}

// The lowest number that is free.
int free_descriptor() { return some_fd().get(); }

template <typename Message>
void require_same(const Result<Message>& message, std::span<const std::byte> packet) {
  require(message.ok() || !message.error().message.empty());
  if (message) require(std::ranges::equal(encode(*message), packet));
}

void decode_both(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return;
  const std::span packet(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  require_same(decode_request(packet, data[0]), packet);
  require_same(decode_reply(packet, data[0]), packet);
}

std::string name(fuzz::Choices& choices) { return std::string(1, static_cast<char>('a' + choices.below(4))); }

/// Several clients of one keeper. Who owns what is what was granted.
class Clients : private Bundles::Host {
 public:
  explicit Clients(fuzz::Choices choices) : choices_(choices) {}

  void run() {
    for (int i = 0; i < 400 && !choices_.empty(); ++i) {
      step();
      check();
    }
    for (ClientId client = 1; client <= clients; ++client) bundles_.client_gone(client, now_);
    check();
    require(bundles_.waiting() == 0 && owners_.empty());
    bundles_.expire(now_ + 1h);
    require(bundles_.size() == 0 && bundles_.descriptors() == 0 && watches_.empty());
  }

 private:
  static constexpr ClientId clients = 3;

  void send(ClientId to, Tagged<Reply> reply, std::vector<SharedFd> fds) override {
    require(fds.size() == fds_of(reply.body) && to >= 1 && to <= clients);
    require(decode_reply(encode(reply), fds.size()).ok());
    require(std::ranges::all_of(fds, [](const SharedFd& fd) { return ::fcntl(fd->get(), F_GETFD) >= 0; }));
    if (const auto* const grant = std::get_if<Granted>(&reply.body)) granted(grant->name, to);
    if (const auto* const grant = std::get_if<GrantedPrepared>(&reply.body)) {
      granted(grant->name, to);
      require(prepared_.erase({grant->name, to}) == 1);
    }
    if (const auto* const prepared = std::get_if<Prepared>(&reply.body)) {
      require(owners_.at(prepared->name) != to);
      prepared_.emplace(prepared->name, to);
    }
    if (const auto* const changed = std::get_if<Changed>(&reply.body))
      require(prepared_.erase({changed->name, to}) == 1);
    if (const auto* const shown = std::get_if<Shown>(&reply.body)) {
      const auto seen = SessionRecord::read_copy(shown->bytes);
      require(seen.ok() ? seen->state.rings.size() <= 2 : !seen.error().message.empty());
    }
    if (const auto* const yield = std::get_if<YieldAsked>(&reply.body)) require(owners_.at(yield->name) == to);
    if (const auto* const settled = std::get_if<Settled>(&reply.body)) require(owners_.at(settled->name) != to);
  }
  void granted(const std::string& bundle, ClientId to) { require(owners_.emplace(bundle, to).first->second == to); }
  bool watch(WatchId watch, int socket) override {
    require(::fcntl(socket, F_GETFD) >= 0);
    return !choices_.one_in(4) && watches_.emplace(watch, socket).second;
  }
  void unwatch(WatchId watch, int socket) override {
    require(watches_.at(watch) == socket);
    watches_.erase(watch);
  }
  bool is_leaving(ClientId) override { return choices_.one_in(8); }
  void report(const KeeperEvent& event) override {
    if (event.kind == KeeperEvent::Kind::released) require(owners_.erase(event.name) == 1);
    if (event.kind == KeeperEvent::Kind::dropped) require(!owners_.contains(event.name));
  }

  Request request() {
    switch (choices_.below(12)) {
      case 11:
        return Prepare{name(choices_)};
      case 10:
        return Look{name(choices_), choices_.below(24), choices_.one_in(4) ? choices_.number() : 0};
      case 0:
        return Cancel{name(choices_)};
      case 1:
        return Drop{name(choices_), choices_.below(24)};
      case 2:
        return Forget{name(choices_)};
      case 3:
        return Release{name(choices_)};
      case 4:
        return Park{name(choices_), choices_.below(200)};
      case 5:
        return Claim{name(choices_), static_cast<ClaimHow>(choices_.below(3))};
      case 6:
        return Settle{name(choices_)};
      case 7:
        return Ask{name(choices_)};
      default:
        return Hold{name(choices_), choices_.below(24)};
    }
  }
  void step() {
    const ClientId client = 1 + choices_.below(clients);
    switch (choices_.below(16)) {
      case 0:
        return bundles_.client_gone(client, now_);
      case 1:
        return hang_up();
      case 2:
        now_ += std::chrono::milliseconds(choices_.byte());
        return bundles_.expire(now_);
      default: {
        const Tagged<Request> asked{choices_.byte(), request()};
        UniqueFd fd;
        if (fds_of(asked.body) == 1) fd = choices_.one_in(2) ? sealed_file(choices_) : some_fd();
        bundles_.handle({client, static_cast<std::uint32_t>(client)}, asked, std::move(fd), now_);
      }
    }
  }
  // Also of a watch that has ended.
  void hang_up() {
    const WatchId watch = 1 + choices_.below(64);
    bundles_.hung_up(watch);
  }
  void check() {
    std::string last;
    std::size_t all = 0;
    std::size_t slots = 0;
    for (auto facts = bundles_.next_after(last, now_); facts; facts = bundles_.next_after(last, now_)) {
      require(facts->owned == owners_.contains(facts->name));
      require(facts->owned || !facts->slots.empty());
      last = facts->name;
      slots += facts->slots.size();
      ++all;
    }
    require(all == bundles_.size() && slots == bundles_.descriptors());
    require(bundles_.waiting() <= 3 && bundles_.descriptors() <= 60 && bundles_.size() <= 3);
    require(watches_.size() <= bundles_.size() - owners_.size());
  }

  fuzz::Choices choices_;
  Bundles::Time now_{};
  std::map<std::string, ClientId> owners_;
  std::set<std::pair<std::string, ClientId>> prepared_;  // or were, and wait no more
  std::map<WatchId, int> watches_;
  Bundles bundles_{*this, {clients, 3, 3, 60}, 100ms};
};

/// What a keeper says, before the client asks.
Reply reply(fuzz::Choices& choices) {
  switch (choices.below(10)) {
    case 9:
      return Shown{std::vector<std::byte>(choices.byte(), std::byte{1})};
    case 0:
      return YieldAsked{name(choices), choices.byte()};
    case 1:
      return Refused{name(choices), choices.byte()};
    case 2:
      return Cancelled{name(choices)};
    case 3:
      return Listed{{name(choices), {1}, true, 1, 0, 0, 0, 0}};
    case 4:
      return ListEnd{choices.byte()};
    case 5:
      return Failed{static_cast<PacketType>(choices.below(13)), ErrorCode::busy, name(choices), "why"};
    case 6:
      return Settled{name(choices), choices.byte()};
    default: {
      Granted grant{name(choices), choices.below(6), choices.below(6), {}};
      for (std::uint32_t i = choices.below(4), slot = choices.below(3); i != 0; --i) grant.slots.push_back(slot++);
      return grant;
    }
  }
}

void say(int socket, fuzz::Choices& choices) {
  const Tagged<Reply> message{choices.below(8), reply(choices)};
  auto packet = encode(message);
  if (choices.one_in(16))
    packet[choices.below(static_cast<std::uint32_t>(std::min<std::size_t>(packet.size(), 256)))] ^=
        std::byte{choices.byte()};
  const std::size_t count = choices.one_in(16) ? choices.below(5) : fds_of(message.body);
  std::vector<UniqueFd> owned;
  std::vector<int> fds;
  for (std::size_t i = 0; i < count; ++i) fds.push_back(owned.emplace_back(some_fd()).get());
  send_packet(socket, packet, fds);
}

void ask(KeeperClient& client, fuzz::Choices& choices) {
  switch (choices.below(7)) {
    case 6: {
      const auto seen = client.look(name(choices), choices.below(24), choices.byte(), 300);
      require(!seen.ok() || seen->size() <= 300);
      return;
    }
    case 0:
      static_cast<void>(client.claim(name(choices), static_cast<ClaimHow>(choices.below(3)), 0ms));
      return;
    case 1:
      static_cast<void>(client.stand_by(name(choices), ClaimHow::stand_by));
      return;
    case 2:
      static_cast<void>(client.cancel(name(choices)));
      return;
    case 3:
      static_cast<void>(client.list());
      return;
    case 4:
      static_cast<void>(client.release(name(choices)));
      return;
    default:
      static_cast<void>(client.next_event());
  }
}

// All that the keeper says is there before the client asks, and then it has ended: no call waits.
void keeper_says(fuzz::Choices choices) {
  int ends[2];
  require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  const UniqueFd keeper(ends[0]);
  UniqueFd socket(ends[1]);
  send_packet(keeper.get(), encode(Tagged<Reply>{1, Welcome{}}), {});
  const std::uint32_t asked = choices.below(8);
  std::array<std::uint8_t, 32> asks{};
  for (auto& byte : asks) byte = choices.byte();
  for (int i = 0; i < 40 && !choices.empty(); ++i) say(keeper.get(), choices);
  ::shutdown(keeper.get(), SHUT_WR);
  auto client = KeeperClient::greet(std::move(socket), 1h);
  require(client.ok());
  fuzz::Choices questions(asks.data(), asks.size());
  for (std::uint32_t i = 0; i < asked; ++i) ask(*client, questions);
  bool gone = false;
  for (auto event = client->next_event(); event.ok(); event = client->next_event()) {
    require(event->has_value() && !gone);  // not "nothing yet": the keeper has ended
    gone = std::holds_alternative<KeeperGoneEvent>(**event);
  }
  require(!client->list().ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const int free = free_descriptor();
  switch (data[0] % 3) {
    case 0:
      decode_both(data + 1, size - 1);
      break;
    case 1:
      Clients(fuzz::Choices(data + 1, size - 1)).run();
      break;
    default:
      keeper_says(fuzz::Choices(data + 1, size - 1));
  }
  require(free_descriptor() == free);
  return 0;
}
