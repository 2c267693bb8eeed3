// SPDX-License-Identifier: BSD-3-Clause
#include "continuity/keeper_client.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <ctime>
#include <poll.h>
#include <span>
#include <utility>

#include <sys/socket.h>

#include "base/error.hpp"
#include "base/peer_process.hpp"
#include "continuity/packet_socket.hpp"

namespace vhostx::continuity {
namespace {

constexpr std::size_t events_max = 65536;
constexpr std::size_t bundles_max = 65536;
constexpr timespec between_tries{0, 5'000'000};

Error too_late(std::chrono::milliseconds timeout) {
  return make_error(ErrorCode::timed_out, "the keeper has not answered for {} ms", timeout.count());
}

Error unexpected(const Reply& reply) {
  return protocol_violation("the keeper sent {}, which nobody asked for", to_string(type_of(reply)));
}

}  // namespace

Result<KeeperClient> KeeperClient::connect(const std::string& path, std::chrono::milliseconds timeout) {
  if (auto good = check_name(path); !good)
    return invalid_argument("the path of a keeper's socket has {} bytes, expected 1 to {}, none of them zero",
                            path.size(), name_bytes_max);
  auto socket = make_packet_socket();
  if (!socket) return std::move(socket).error();
  const auto deadline = Clock::now() + timeout;
  int error = connect_to_path(socket->get(), path);
  for (; error == EAGAIN && Clock::now() < deadline; error = connect_to_path(socket->get(), path))
    ::nanosleep(&between_tries, nullptr);  // its queue of connections is full
  if (error == EAGAIN) return make_error(ErrorCode::busy, "'{}': the keeper accepts no connection", path);
  if (error == EPROTOTYPE) return invalid_argument("'{}' is the socket of another program, expected a keeper's", path);
  if (error != 0) return make_system_error(error, "connecting to the keeper '{}'", path);
  return greet(*std::move(socket), timeout);
}

Result<KeeperClient> KeeperClient::greet(UniqueFd socket, std::chrono::milliseconds timeout) {
  KeeperClient client(std::move(socket), timeout);
  if (auto greeted = client.say_hello(); !greeted) return std::move(greeted).error();
  return client;
}

// A keeper that turns the client away says why, and has closed the connection before it reads HELLO.
Result<void> KeeperClient::say_hello() {
  const std::uint32_t tag = ++last_tag_;
  const int error = send_packet(socket_.get(), encode(Tagged<Request>{tag, Hello{}}), {});
  if (error != 0 && error != EPIPE) return make_system_error(error, "greeting the keeper");
  auto answer = next_answer(Clock::now() + timeout_);
  if (!answer) return std::move(answer).error();
  if (const auto* const failed = std::get_if<Failed>(&answer->reply.body))
    return Error{failed->code, "the keeper refuses: " + failed->text, 0};
  const auto* const welcome = std::get_if<Welcome>(&answer->reply.body);
  if (welcome == nullptr) return unexpected(answer->reply.body);
  if (welcome->version == keeper_version) return {};
  return make_error(ErrorCode::unsupported, "the keeper speaks version {}, expected {}", welcome->version,
                    keeper_version);
}

Error KeeperClient::lost(Error error) {
  if (!lost_) {
    lost_ = error;
    ::shutdown(socket_.get(), SHUT_RDWR);  // fd() is readable from now on
  }
  return error;
}

Result<void> KeeperClient::wait_ready(short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd one{socket_.get(), events, 0};
    const int ready = ::poll(&one, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return make_system_error(errno, "waiting for the keeper");
    if (ready == 0 && Clock::now() >= deadline) return too_late(timeout_);
  }
}

// While the keeper does not read because it cannot send to us, our answers have to be read.
Result<void> KeeperClient::transmit(const Tagged<Request>& request, std::span<const int> fds) {
  if (lost_) return *lost_;
  const auto packet = encode(request);
  const auto deadline = Clock::now() + timeout_;
  for (;;) {
    const int error = send_packet(socket_.get(), packet, fds);
    if (error == 0) return {};
    if (error == EBADF && !fds.empty())
      return invalid_argument("the descriptor {} is not open, expected one for the keeper", fds.front());
    if (error == EPIPE || error == ECONNRESET || error == ENOTCONN) {
      if (auto read = read_ahead(); !read) return read;
      return lost(make_error(ErrorCode::closed, "the keeper has closed the connection"));
    }
    if (error != EAGAIN) return make_system_error(error, "sending to the keeper");
    if (auto ready = wait_ready(POLLIN | POLLOUT, deadline); !ready) return lost(std::move(ready).error());
    if (auto read = read_ahead(); !read) return read;
    if (Clock::now() >= deadline) return lost(too_late(timeout_));
  }
}

template <typename Body>
Result<std::uint32_t> KeeperClient::send(Body body, std::string_view name, std::span<const int> fds) {
  if constexpr (requires { body.name; }) {
    if (auto good = check_name(name); !good) return std::move(good).error();
    body.name = name;
  }
  last_tag_ = last_tag_ == UINT32_MAX ? 1 : last_tag_ + 1;  // 0 is YIELD's
  if (auto sent = transmit({last_tag_, std::move(body)}, fds); !sent) return std::move(sent).error();
  return last_tag_;
}

template <typename Body>
Result<void> KeeperClient::post(Body body, std::string_view name, std::span<const int> fds) {
  auto sent = send(std::move(body), name, fds);
  if (!sent) return std::move(sent).error();
  return {};
}

Result<void> KeeperClient::hold(std::string_view name, std::uint32_t slot, int fd) {
  return post(Hold{{}, slot}, name, std::span(&fd, 1));
}

Result<void> KeeperClient::drop(std::string_view name, std::uint32_t slot) { return post(Drop{{}, slot}, name); }

Result<void> KeeperClient::forget(std::string_view name) { return post(Forget{}, name); }

Result<void> KeeperClient::release(std::string_view name) { return post(Release{}, name); }

Result<void> KeeperClient::park(std::string_view name, std::chrono::milliseconds grace) {
  if (auto good = in_range("the grace time in ms", static_cast<std::uint64_t>(grace.count()), 0, UINT32_MAX); !good)
    return good;
  return post(Park{{}, static_cast<std::uint32_t>(grace.count())}, name);
}

Result<void> KeeperClient::settle(std::string_view name) { return post(Settle{}, name); }

Result<void> KeeperClient::stand_by(std::string_view name, ClaimHow how) {
  assert(how != ClaimHow::now);
  const auto tag = send(Claim{{}, how}, name);
  if (!tag) return tag.error();
  standing_by_.insert_or_assign(std::string(name), *tag);
  return {};
}

Result<void> KeeperClient::ask_owner(std::string_view name) { return post(Ask{}, name); }

Result<bool> KeeperClient::cancel(std::string_view name) {
  const auto tag = send(Cancel{}, name);
  if (!tag) return tag.error();
  for (const auto deadline = Clock::now() + timeout_;;) {
    auto answer = next_answer(deadline);
    if (!answer) return lost(std::move(answer).error());
    if (answer->reply.tag == *tag && std::holds_alternative<Cancelled>(answer->reply.body)) break;
    if (auto taken = take_event(*std::move(answer)); !taken) return std::move(taken).error();
  }
  const auto at = standing_by_.find(name);
  if (at == standing_by_.end()) return false;
  standing_by_.erase(at);
  return true;
}

Result<Slots> KeeperClient::claim(std::string_view name, ClaimHow how, std::chrono::milliseconds patience) {
  const auto tag = send(Claim{{}, how}, name);
  if (!tag) return tag.error();
  auto answer = answer_to_claim(*tag, Clock::now() + (how == ClaimHow::now ? timeout_ : patience));
  if (answer || answer.error().code != ErrorCode::timed_out || lost_) return answer;
  if (how == ClaimHow::now) return lost(std::move(answer).error());
  return give_claim_up(*tag, name, patience);
}

// Granted or refused; timed_out: neither has come.
Result<Slots> KeeperClient::answer_to_claim(std::uint32_t tag, Clock::time_point deadline) {
  for (;;) {
    auto answer = next_answer(deadline);
    if (!answer) return std::move(answer).error();
    if (answer->reply.tag != tag) {
      if (auto taken = take_event(*std::move(answer)); !taken) return std::move(taken).error();
      continue;
    }
    auto whole = outcome_of_claim(*answer);
    if (!whole) return std::move(whole).error();
    if (*whole) return std::exchange(slots_, {});
  }
}

Result<std::optional<Slots>> KeeperClient::prepare(std::string_view name) {
  if (!standing_by_.contains(name)) return std::optional<Slots>();
  const auto tag = send(Prepare{}, name);
  if (!tag) return tag.error();
  for (const auto deadline = Clock::now() + timeout_;;) {
    auto answer = next_answer(deadline);
    if (!answer) return lost(std::move(answer).error());
    if (answer->reply.tag != *tag) {
      if (auto taken = take_event(*std::move(answer)); !taken) return std::move(taken).error();
      continue;
    }
    if (std::holds_alternative<Failed>(answer->reply.body)) return std::optional<Slots>();
    if (!std::holds_alternative<Prepared>(answer->reply.body)) return lost(unexpected(answer->reply.body));
    const auto whole = collect(*answer);
    if (!whole) return whole.error();
    if (*whole) return std::optional(std::exchange(slots_, {}));
  }
}

// True: all slots have come.
Result<bool> KeeperClient::outcome_of_claim(Answer& answer) {
  if (std::holds_alternative<Granted>(answer.reply.body)) return collect(answer);
  if (const auto* const refused = std::get_if<Refused>(&answer.reply.body))
    return make_error(ErrorCode::busy, "'{}' belongs to {}", refused->name,
                      describe_process(static_cast<int>(refused->owner_pid)));
  if (const auto* const failed = std::get_if<Failed>(&answer.reply.body)) return Error{failed->code, failed->text, 0};
  return lost(unexpected(answer.reply.body));
}

// Between the last look and CANCEL the claim may have been granted: GRANTED comes before CANCELLED then.
Result<Slots> KeeperClient::give_claim_up(std::uint32_t tag, std::string_view name,
                                          std::chrono::milliseconds patience) {
  const auto cancelled = send(Cancel{}, name);
  if (!cancelled) return cancelled.error();
  std::optional<Slots> granted;
  for (const auto deadline = Clock::now() + timeout_;;) {
    auto answer = next_answer(deadline);
    if (!answer) return lost(std::move(answer).error());
    if (answer->reply.tag == *cancelled && std::holds_alternative<Cancelled>(answer->reply.body)) break;
    if (answer->reply.tag != tag) {
      if (auto taken = take_event(*std::move(answer)); !taken) return std::move(taken).error();
      continue;
    }
    auto whole = outcome_of_claim(*answer);
    if (!whole) return std::move(whole).error();
    if (*whole) granted = std::exchange(slots_, {});
  }
  if (granted) return *std::move(granted);
  return make_error(ErrorCode::timed_out, "'{}' was not released within {} ms", name, patience.count());
}

Result<std::vector<BundleFacts>> KeeperClient::list() {
  const auto tag = send(List{}, {});
  if (!tag) return tag.error();
  std::vector<BundleFacts> bundles;
  for (const auto deadline = Clock::now() + timeout_;;) {
    auto answer = next_answer(deadline);
    if (!answer) return lost(std::move(answer).error());
    auto& [number, body] = answer->reply;
    if (number == *tag && std::holds_alternative<ListEnd>(body)) return bundles;
    if (auto* const listed = std::get_if<Listed>(&body); listed != nullptr && number == *tag) {
      if (bundles.size() == bundles_max) return lost(protocol_violation("the keeper lists bundles without end"));
      bundles.push_back(std::move(listed->bundle));
    } else if (auto taken = take_event(*std::move(answer)); !taken) {
      return std::move(taken).error();
    }
  }
}

Result<std::vector<std::byte>> KeeperClient::look(std::string_view name, std::uint32_t slot, std::uint64_t offset,
                                                  std::size_t most) {
  std::vector<std::byte> bytes;
  for (const auto deadline = Clock::now() + timeout_; bytes.size() < most;) {
    const auto tag = send(Look{{}, slot, offset + bytes.size()}, name);
    if (!tag) return tag.error();
    const auto part = answer_to_look(*tag, deadline);
    if (!part) return part.error();
    if (part->empty()) break;
    const std::size_t count = std::min(part->size(), most - bytes.size());
    bytes.insert(bytes.end(), part->begin(), part->begin() + static_cast<std::ptrdiff_t>(count));
  }
  return bytes;
}

Result<std::vector<std::byte>> KeeperClient::answer_to_look(std::uint32_t tag, Clock::time_point deadline) {
  for (;;) {
    auto answer = next_answer(deadline);
    if (!answer) return lost(std::move(answer).error());
    auto& body = answer->reply.body;
    if (answer->reply.tag == tag) {
      if (auto* const shown = std::get_if<Shown>(&body)) return std::move(shown->bytes);
      if (auto* const failed = std::get_if<Failed>(&body)) return Error{failed->code, std::move(failed->text), 0};
      return lost(unexpected(body));
    }
    if (auto taken = take_event(*std::move(answer)); !taken) return std::move(taken).error();
  }
}

Result<std::optional<KeeperEventOfClient>> KeeperClient::next_event() {
  if (!lost_ || !ahead_.empty()) static_cast<void>(read_events());  // what it was is in lost_
  if (!events_.empty()) {
    std::optional<KeeperEventOfClient> event(std::move(events_.front()));
    events_.pop_front();
    return event;
  }
  if (!lost_) return std::optional<KeeperEventOfClient>();
  if (std::exchange(told_lost_, true)) return *lost_;
  return std::optional<KeeperEventOfClient>(KeeperGoneEvent{*lost_});
}

Result<void> KeeperClient::read_events() {
  for (;;) {
    auto answer = receive();
    if (!answer) return std::move(answer).error();
    if (!*answer) return {};
    if (auto taken = take_event(**std::move(answer)); !taken) return taken;
  }
}

// One packet, checked; nothing: none is there.
Result<std::optional<KeeperClient::Answer>> KeeperClient::receive() {
  Result<std::optional<Answer>> answer = std::optional<Answer>();
  if (ahead_.empty()) {
    answer = receive_from_socket();
  } else {
    answer = std::optional<Answer>(std::move(ahead_.front()));
    ahead_.pop_front();
  }
  if (granting_ == 0 || !answer || !*answer) return answer;
  const auto& reply = (*answer)->reply;
  if (reply.tag == granting_ && grant_of(reply.body) != nullptr) return answer;
  return lost(protocol_violation("the keeper sent another packet before the end of GRANTED"));
}

Result<std::optional<KeeperClient::Answer>> KeeperClient::receive_from_socket() {
  if (lost_) return *lost_;
  std::array<std::byte, packet_bytes_max> packet;
  std::vector<UniqueFd> fds;
  const auto got = receive_packet(socket_.get(), packet, fds);
  if (got.error == EAGAIN) return std::optional<Answer>();
  if (got.error != 0) return lost(make_system_error(got.error, "receiving from the keeper"));
  if (got.bytes == 0) return lost(make_error(ErrorCode::closed, "the keeper has closed the connection"));
  if (got.fds_lost) return lost(make_system_error(EMFILE, "receiving descriptors from the keeper"));
  if (got.cut_off) return lost(protocol_violation("the keeper sent a packet of more than {} bytes", packet.size()));
  auto reply = decode_reply(std::span(packet).first(got.bytes), fds.size());
  if (!reply) return lost(std::move(reply).error());
  return std::optional<Answer>(Answer{*std::move(reply), std::move(fds)});
}

// What has come is kept until somebody asks for it.
Result<void> KeeperClient::read_ahead() {
  for (;;) {
    auto answer = receive_from_socket();
    if (!answer) return std::move(answer).error();
    if (!*answer) return {};
    if (ahead_.size() >= events_max) return lost(protocol_violation("the keeper sends packets without end"));
    ahead_.push_back(**std::move(answer));
  }
}

// Error timed_out is no loss of the keeper yet.
Result<KeeperClient::Answer> KeeperClient::next_answer(Clock::time_point deadline) {
  for (;;) {
    auto answer = receive();
    if (!answer) return std::move(answer).error();
    if (*answer) return **std::move(answer);
    if (auto ready = wait_ready(POLLIN, deadline); !ready) return std::move(ready).error();
  }
}

// A part of GRANTED or PREPARED. True: it was the last.
Result<bool> KeeperClient::collect(Answer& answer) {
  const Granted& part = *grant_of(answer.reply.body);
  if (part.first != granted_)
    return lost(protocol_violation("{}: slots are missing", to_string(type_of(answer.reply.body))));
  for (std::size_t i = 0; i < part.slots.size(); ++i)
    if (!slots_.emplace(part.slots[i], std::move(answer.fds[i])).second)
      return lost(protocol_violation("{}: slot {} comes twice", to_string(type_of(answer.reply.body)), part.slots[i]));
  granted_ += static_cast<std::uint32_t>(part.slots.size());
  const bool whole = granted_ >= part.total;
  granting_ = whole ? 0 : answer.reply.tag;
  if (whole) granted_ = 0;
  return whole;
}

Result<void> KeeperClient::take_event(Answer answer) {
  if (events_.size() >= events_max) return lost(protocol_violation("the keeper sends events without end"));
  const std::uint32_t tag = answer.reply.tag;
  if (auto* const yield = std::get_if<YieldAsked>(&answer.reply.body)) {
    events_.push_back(YieldEvent{std::move(yield->name), yield->asker_pid});
  } else if (auto* const settled = std::get_if<Settled>(&answer.reply.body)) {
    events_.push_back(SettledEvent{std::move(settled->name), settled->owner_pid});
  } else if (auto* const failed = std::get_if<Failed>(&answer.reply.body)) {
    const auto at = standing_by_.find(failed->name);
    if (at != standing_by_.end() && at->second == tag) standing_by_.erase(at);
    events_.push_back(
        FailedEvent{failed->request, std::move(failed->name), Error{failed->code, std::move(failed->text), 0}});
  } else if (const auto* const granted = std::get_if<Granted>(&answer.reply.body)) {
    return take_grant(answer, granted->name, false);
  } else if (const auto* const prepared = std::get_if<GrantedPrepared>(&answer.reply.body)) {
    return take_grant(answer, prepared->name, true);
  } else if (auto* const changed = std::get_if<Changed>(&answer.reply.body)) {
    events_.push_back(ChangedEvent{std::move(changed->name)});
  } else {
    return lost(unexpected(answer.reply.body));
  }
  return {};
}

Result<void> KeeperClient::take_grant(Answer& answer, const std::string& name, bool as_prepared) {
  const auto at = standing_by_.find(name);
  if (at == standing_by_.end() || at->second != answer.reply.tag) return lost(unexpected(answer.reply.body));
  const auto whole = as_prepared ? Result<bool>(true) : collect(answer);
  if (!whole) return whole.error();
  if (!*whole) return {};
  standing_by_.erase(at);
  events_.push_back(GrantedEvent{name, std::exchange(slots_, {}), as_prepared});
  return {};
}

}  // namespace vhostx::continuity
