// SPDX-License-Identifier: BSD-3-Clause
// KeeperClient: a connection to a keeper (vhostx-keeper), for the thread that controls ports.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "continuity/keeper_protocol.hpp"

namespace vhostx::continuity {

/// What a bundle held when it was granted, by slot. The descriptors are close-on-exec. They come from a keeper, and
/// what is in them from whoever had the bundle before: check their kind, and everything that is read from them. They
/// are closed by their owner: give those that a front-end sent a ReleaseTicket (base/releases.hpp).
using Slots = std::map<std::uint32_t, UniqueFd>;

/// Another client asks for a bundle that this one owns: release() it once its rings have stopped.
struct YieldEvent {
  std::string name;
  std::uint32_t asker_pid = 0;  ///< 0: not known here.
};
/// A claim that stood by was granted: this client owns the bundle now.
struct GrantedEvent {
  std::string name;
  Slots slots;
  bool as_prepared = false;  ///< It holds what the last prepare() returned; `slots` is empty.
};
/// A bundle for which this client stands by does not hold any more what the last prepare() returned. Comes once for
/// each of those.
struct ChangedEvent {
  std::string name;
};
/// The owner of a bundle for which this client stands by has said that it serves it for good (settle()).
struct SettledEvent {
  std::string name;
  std::uint32_t owner_pid = 0;  ///< 0: not known here.
};
/// The keeper refused a hold, drop, forget, release, park, settle or stand_by.
struct FailedEvent {
  PacketType request = PacketType::hold;
  std::string name;
  Error error;
};
/// The connection has ended: comes once, as the last event. The keeper holds nothing for this client any more, or will
/// give it to another one. Errors: closed, timed_out, protocol_violation, system.
struct KeeperGoneEvent {
  Error error;
};
using KeeperEventOfClient =
    std::variant<YieldEvent, GrantedEvent, SettledEvent, ChangedEvent, FailedEvent, KeeperGoneEvent>;

/// One connection. One thread at a time. No call waits longer than its time-out, whatever the keeper does. After the
/// keeper has closed the connection, answered too late or not as the protocol says, each call returns that error at
/// once.
///
/// hold(), drop(), forget(), release(), park() and settle() return once the packet is sent, which then reaches the
/// keeper even if this process is killed. If the keeper refuses it, a FailedEvent says so later. All six are refused
/// unless this client owns the bundle.
///
///     auto keeper = KeeperClient::connect("/run/vhostx-keeper/keeper.sock");
///     if (!keeper) return std::move(keeper).error();
///     auto slots = keeper->claim("/run/vhostx/vm0.sock", ClaimHow::now);
///     if (slots && slots->empty()) ...           // nothing was left there: a new session
///     keeper->hold("/run/vhostx/vm0.sock", front_end_slot, connection.get());
class KeeperClient {
 public:
  /// Connects and says HELLO. `path` has at most 107 bytes. `timeout`, above 0, is for this call and for each later
  /// one. Errors: system (nobody listens there, no permission), busy, timed_out, unsupported (another version), limit
  /// (too many clients, or another user's keeper), protocol_violation, invalid_argument.
  static Result<KeeperClient> connect(const std::string& path,
                                      std::chrono::milliseconds timeout = std::chrono::seconds(1));
  /// The same on a SOCK_SEQPACKET socket that is connected to a keeper.
  static Result<KeeperClient> greet(UniqueFd socket, std::chrono::milliseconds timeout = std::chrono::seconds(1));
  KeeperClient(KeeperClient&&) noexcept = default;
  KeeperClient& operator=(KeeperClient&&) noexcept = default;

  /// To be waited for with poll(), epoll or Asio: readable when next_event() may have something. Valid as long as this
  /// object, also after the keeper has gone.
  int fd() const noexcept { return socket_.get(); }

  /// The keeper gets its own copy of `fd`, in place of what the slot held. Errors: invalid_argument (the name, or `fd`
  /// is not open), timed_out (the keeper does not read), closed, system.
  Result<void> hold(std::string_view name, std::uint32_t slot, int fd);
  /// Empties a slot. Errors: as hold().
  Result<void> drop(std::string_view name, std::uint32_t slot);
  /// Empties all slots; this client stays the owner. Errors: as hold().
  Result<void> forget(std::string_view name);
  /// Gives the bundle up. The keeper keeps what it holds for its own grace time. Errors: as hold().
  Result<void> release(std::string_view name);
  /// The same with a grace time, 0 to 2^32 - 1 ms. Errors: as hold().
  Result<void> park(std::string_view name, std::chrono::milliseconds grace);
  /// Tells clients that stand by for the bundle that this one serves it for good. Errors: as hold().
  Result<void> settle(std::string_view name);

  /// Claims a bundle, and makes it if there is none. Its descriptors, none in a new one. A client may claim again what
  /// it owns. `patience` is how long `stand_by` and `hand_over` wait for the owner, 0 or more; then the claim is
  /// cancelled. Errors: busy (another client owns it: which process), timed_out (within `patience`; the connection goes
  /// on), limit, and those of hold().
  Result<Slots> claim(std::string_view name, ClaimHow how, std::chrono::milliseconds patience = {});
  /// Claims without waiting: a GrantedEvent comes once nobody else owns the bundle. `how` is stand_by or hand_over
  /// (asserted). Errors: as hold().
  Result<void> stand_by(std::string_view name, ClaimHow how);
  /// A stand_by() asks the owner from now on, as with hand_over. If there is none (it may have been granted), nothing
  /// happens. Errors: as hold().
  Result<void> ask_owner(std::string_view name);
  /// What a bundle holds for which this client stands by, to get ready with while another client owns it. Nothing: no
  /// claim waits, as it was granted, and its event follows. Errors: as hold().
  Result<std::optional<Slots>> prepare(std::string_view name);
  /// Ends a stand_by(). True: it has ended. False: there was none, or it was granted before; then its event follows.
  Result<bool> cancel(std::string_view name);

  /// The next event; nothing: none has come yet. Never waits. claim(), cancel(), list() and look() may have received
  /// events meanwhile: after them, call this until it returns nothing, without waiting for fd() first.
  Result<std::optional<KeeperEventOfClient>> next_event();

  /// All bundles, in the order of their names. Errors: as hold().
  Result<std::vector<BundleFacts>> list();

  /// A copy of at most `most` bytes from `offset` on of a memory file in a bundle, whoever owns it; fewer where the
  /// file ends. `slot` is record_slot or own_inflight_slot. Its owner may change the bytes meanwhile, and they may be
  /// anything. Errors: invalid_argument (no such bundle, or no sealed memory file in the slot), closed (also if the
  /// keeper is an older one, which knows no LOOK), and those of hold().
  Result<std::vector<std::byte>> look(std::string_view name, std::uint32_t slot, std::uint64_t offset,
                                      std::size_t most);

 private:
  using Clock = std::chrono::steady_clock;
  struct Answer {
    Tagged<Reply> reply;
    std::vector<UniqueFd> fds;
  };

  KeeperClient(UniqueFd socket, std::chrono::milliseconds timeout) : socket_(std::move(socket)), timeout_(timeout) {}

  Result<void> say_hello();
  template <typename Body>
  Result<std::uint32_t> send(Body body, std::string_view name, std::span<const int> fds = {});
  Result<void> transmit(const Tagged<Request>& request, std::span<const int> fds);
  template <typename Body>
  Result<void> post(Body body, std::string_view name, std::span<const int> fds = {});
  Result<void> wait_ready(short events, Clock::time_point deadline);
  Result<std::optional<Answer>> receive();
  Result<std::optional<Answer>> receive_from_socket();
  Result<void> read_ahead();
  Result<Answer> next_answer(Clock::time_point deadline);
  Result<Slots> answer_to_claim(std::uint32_t tag, Clock::time_point deadline);
  Result<bool> outcome_of_claim(Answer& answer);
  Result<Slots> give_claim_up(std::uint32_t tag, std::string_view name, std::chrono::milliseconds patience);
  Result<std::vector<std::byte>> answer_to_look(std::uint32_t tag, Clock::time_point deadline);
  Result<bool> collect(Answer& answer);
  Result<void> take_grant(Answer& answer, const std::string& name, bool as_prepared);
  Result<void> take_event(Answer answer);
  Result<void> read_events();
  Error lost(Error error);

  UniqueFd socket_;
  std::chrono::milliseconds timeout_;
  std::uint32_t last_tag_ = 0;
  std::map<std::string, std::uint32_t, std::less<>> standing_by_;  // tags of claims that wait
  std::uint32_t granting_ = 0;                                     // the tag of a grant of which a part is missing
  std::uint32_t granted_ = 0;                                      // slots of it that have come
  Slots slots_;
  std::deque<Answer> ahead_;  // came while something was sent
  std::deque<KeeperEventOfClient> events_;
  std::optional<Error> lost_;
  bool told_lost_ = false;
};

}  // namespace vhostx::continuity
