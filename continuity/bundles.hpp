// SPDX-License-Identifier: BSD-3-Clause
// Bundles: what a keeper holds, who owns it, and who waits for it. Knows no sockets and no clock: tests and a fuzzer
// are its clients as well as the keeper is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "continuity/keeper_protocol.hpp"

namespace vhostx::continuity {

/// A connection; never used again. 0: nobody.
using ClientId = std::uint64_t;
/// A watch of a front-end's socket; never used again. 0: none.
using WatchId = std::uint64_t;
/// A descriptor that a bundle holds, and answers that have not been sent yet.
using SharedFd = std::shared_ptr<const UniqueFd>;

/// How much a keeper takes. What is beyond is refused, with the bound.
struct KeeperLimits {
  std::uint32_t clients = 320;  ///< Each port of a vhostx-switch is one.
  std::uint32_t bundles = 4096;
  std::uint32_t waiting = 16384;        ///< Claims that wait, of all clients.
  std::uint32_t descriptors = 1 << 20;  ///< That all bundles hold.
};

/// What happened, for the keeper's log.
struct KeeperEvent {
  enum class Kind {
    connected,  ///< A client. `name` is empty.
    ended,      ///< A client's connection. `reason` says why.
    claimed,    ///< `pid` owns the bundle now.
    released,   ///< `pid` does not any more. `reason` says why.
    dropped,    ///< The bundle ended with what it held. `reason` says why.
  };
  Kind kind;
  std::string name;
  std::uint32_t pid = 0;  ///< The client's process; 0: none, or not known here.
  std::string reason;
};

const char* to_string(KeeperEvent::Kind kind) noexcept;

class Bundles {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// What connects it with sockets.
  class Host {
   public:
    virtual ~Host() = default;
    /// `fds` belong to the message. Must not call back.
    virtual void send(ClientId client, Tagged<Reply> reply, std::vector<SharedFd> fds) = 0;
    /// hung_up() is to be called once the other end of this socket is closed. False: it cannot be watched, as it is no
    /// socket.
    virtual bool watch(WatchId watch, int socket) = 0;
    /// Ends a watch. `socket` is still open.
    virtual void unwatch(WatchId watch, int socket) = 0;
    /// Whether the client's other end is closed, though what it sent may not have been handled yet.
    virtual bool is_leaving(ClientId client) = 0;
    virtual void report(const KeeperEvent& event) = 0;
  };

  struct Client {
    ClientId id = 0;
    std::uint32_t pid = 0;
  };

  /// `grace`: how long a bundle without an owner is kept. `host` must live as long as this.
  Bundles(Host& host, const KeeperLimits& limits, std::chrono::milliseconds grace)
      : host_(host), limits_(limits), grace_(grace) {}
  Bundles(const Bundles&) = delete;
  Bundles& operator=(const Bundles&) = delete;

  /// Any request but HELLO and LIST (asserted). `fd` is HOLD's.
  void handle(const Client& client, const Tagged<Request>& request, UniqueFd fd, Time now);
  /// Its claims end, and nobody owns what it owned.
  void client_gone(ClientId client, Time now);
  /// The other end of what slot 0 holds is closed. Drops the bundle, unless the watch has ended since: it is owned.
  void hung_up(WatchId watch);
  /// Drops what has been without an owner for longer than its grace time.
  void expire(Time now);
  /// When expire() has something to do next.
  std::optional<Time> next_deadline() const;

  /// The bundle with the next greater name; none: there is no more.
  std::optional<BundleFacts> next_after(std::string_view name, Time now) const;

  std::size_t size() const noexcept { return bundles_.size(); }
  std::uint32_t descriptors() const noexcept { return descriptors_; }
  std::uint32_t waiting() const noexcept { return waiting_; }

 private:
  struct Held {
    SharedFd fd;
    Time since;
  };
  struct Waiter {
    Client client;
    std::uint32_t tag = 0;
    bool asks = false;               // the owner was asked for it: comes before those that only stand by
    std::uint64_t prepared_for = 0;  // Bundle::serial; 0: for nothing that has not changed since
  };
  struct Bundle {
    std::string name;
    std::map<std::uint32_t, Held> slots;
    std::uint64_t serial = 1;    // of what is in them
    std::deque<Waiter> waiters;  // empty unless it is owned
    Client owner;                // id 0: nobody
    Time owner_since;
    bool settled = false;          // by this owner
    std::optional<Time> deadline;  // set where nobody owns it
    WatchId watch = 0;
  };
  // By name: LIST is in that order.
  using Map = std::map<std::string, Bundle, std::less<>>;

  void take(const Client& client, std::uint32_t tag, const Claim& claim, UniqueFd fd, Time now);
  void take(const Client& client, std::uint32_t tag, const Cancel& cancel, UniqueFd fd, Time now);
  void take(const Client& client, std::uint32_t tag, const Hold& hold, UniqueFd fd, Time now);
  void take(const Client& client, std::uint32_t tag, const Drop& drop, UniqueFd fd, Time now);
  void take(const Client& client, std::uint32_t tag, const Forget& forget, UniqueFd fd, Time now);
  void take(const Client& client, std::uint32_t tag, const Release& release, UniqueFd fd, Time now);
  void take(const Client& client, std::uint32_t tag, const Park& park, UniqueFd fd, Time now);
  void take(const Client& client, std::uint32_t tag, const Settle& settle, UniqueFd fd, Time now);
  void take(const Client& client, std::uint32_t tag, const Ask& ask, UniqueFd fd, Time now);
  void take(const Client& client, std::uint32_t tag, const Look& look, UniqueFd fd, Time now);
  void take(const Client& client, std::uint32_t tag, const Prepare& prepare, UniqueFd fd, Time now);

  Map::iterator make_bundle(const Client& client, std::uint32_t tag, const Claim& claim);
  void wait_for(Bundle& bundle, const Client& client, std::uint32_t tag, const Claim& claim);
  void add_waiter(Bundle& bundle, const Waiter& waiter);
  void grant(Bundle& bundle, const Waiter& to, Time now);
  template <typename Grant>
  void send_slots(const Bundle& bundle, const Client& to, std::uint32_t tag);
  void changed(Bundle& bundle);
  void end_ownership(Map::iterator at, std::chrono::milliseconds grace, const char* reason, Time now);
  void watch_front_end(Bundle& bundle);
  void unwatch_front_end(Bundle& bundle);
  void empty(Bundle& bundle) noexcept;
  Map::iterator end_bundle(Map::iterator at, const char* reason);
  /// end(): the client does not own it, and has been told so.
  template <typename Body>
  Map::iterator owned_by(const Client& client, std::uint32_t tag, const Body& body);
  void refuse(const Client& client, std::uint32_t tag, PacketType request, const std::string& name, ErrorCode code,
              std::string text);
  static BundleFacts facts_of(const Bundle& bundle, Time now);

  Host& host_;
  const KeeperLimits limits_;
  const std::chrono::milliseconds grace_;
  Map bundles_;
  WatchId last_watch_ = 0;
  std::uint32_t descriptors_ = 0;
  std::uint32_t waiting_ = 0;
};

}  // namespace vhostx::continuity
