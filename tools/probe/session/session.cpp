// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/session/session.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "protocol/describe.hpp"
#include "tools/probe/session/fd_facts.hpp"
#include "tools/probe/session/ring_kind.hpp"
#include "tools/probe/session/rules.hpp"

namespace vhostx::tools::probe {
namespace {

using namespace protocol;

Incoming request_way(Incoming way) noexcept {
  return is_of_back_end(way) ? Incoming::back_end_requests : Incoming::front_end_requests;
}

std::string text_of_peer(const char* role, const Peer& peer) {
  return peer.pid == 0 ? fmt::format("{} not known", role) : fmt::format("{} {} ({})", role, peer.program, peer.pid);
}

std::string text_of_message(const SessionState& state, const Event& event, const Message& message) {
  std::string text = describe(event.way, message);
  if (is_packed(state)) text += meaning_with_packed_rings(event.way, message);
  for (std::size_t i = 0; i < event.fds.size(); ++i)
    text += fmt::format("{} {}", i == 0 ? ":" : ";", text_of(event.fds[i]));
  return text;
}

}  // namespace

Decoded Session::take(const Event& event) {
  Decoded decoded;
  decoded.number = ++events_;
  switch (event.kind) {
    case EventKind::message:
      take_message(event, decoded);
      break;
    case EventKind::opened:
      state_.front_end = event.front_end;
      state_.back_end = event.back_end;
      decoded.text = text_of_peer("front-end", event.front_end) + ", " + text_of_peer("back-end", event.back_end);
      break;
    case EventKind::closed:
      decoded.text = event.text;
      find_unanswered(decoded.findings);
      break;
    case EventKind::note:
      decoded.text = event.text;
      break;
  }
  return decoded;
}

void Session::take_message(const Event& event, Decoded& decoded) {
  const Message message = message_of(event);
  decoded.name = request_name(event.way, message.request());
  decoded.text = text_of_message(state_, event, message);
  const bool sound = judge_form(event, message, decoded.findings);
  if (is_reply(event.way))
    pair_reply(event, message, sound, decoded);
  else
    take_request_of(event, message, sound, decoded);
}

void Session::take_request_of(const Event& event, const Message& request, bool sound, Decoded& decoded) {
  const bool of_front_end = event.way == Incoming::front_end_requests;
  const RequestRow* const row = find_row(event.way, request.request());
  const bool asked = request.needs_reply() || (row != nullptr && row->reply == ReplyKind::always);
  // In post-copy memory is answered with the back-end's addresses (vhost-user "VHOST_USER_SET_MEM_TABLE").
  const auto id = request.front_end_request();
  const bool may = of_front_end && (id == FrontEndRequest::set_mem_table || id == FrontEndRequest::add_mem_reg) &&
                   state_.protocol_features && state_.protocol_features->has(ProtocolFeature::pagefault);
  if (asked || may) expect_reply(event, decoded.number, asked);
  if (!of_front_end || !sound) return;
  judge_legality(state_, request, decoded.findings);
  take_request(state_, event, request, decoded.number, decoded.findings);
}

void Session::expect_reply(const Event& event, std::uint64_t number, bool asked) {
  auto& waiting = waiting_[is_of_back_end(event.way) ? 1 : 0];
  if (waiting.size() == requests_max) waiting.pop_front();
  waiting.push_back({number, event.time, event.header, event.payload, asked});
}

// Replies come in the order of the requests. One that answers a later request shows that those before it were not.
void Session::pair_reply(const Event& event, const Message& reply, bool sound, Decoded& decoded) {
  auto& waiting = waiting_[is_of_back_end(event.way) ? 1 : 0];
  const auto at = std::find_if(waiting.begin(), waiting.end(),
                               [&reply](const Waiting& request) { return request.header.request == reply.request(); });
  if (at == waiting.end()) {
    violation(decoded.findings, fmt::format("answers nothing: no {} waits for a reply", decoded.name),
              "VHOST_USER_PROTOCOL_F_REPLY_ACK");
    return;
  }
  for (auto before = waiting.begin(); before != at; ++before)
    if (before->asked)
      violation(decoded.findings,
                fmt::format("message {}, {}, was sent before and is not answered", before->number,
                            request_name(request_way(event.way), before->header.request)),
                "Communication");
  decoded.answers = at->number;
  decoded.round_trip = event.time - at->time;
  const Message request =
      make_message(at->header, std::span(at->payload).first(std::min(at->payload.size(), payload_bytes_max)));
  waiting.erase(waiting.begin(), at + 1);
  if (sound && event.way == Incoming::replies_to_front_end) take_reply(state_, request, reply, decoded.findings);
}

void Session::find_unanswered(std::vector<Finding>& findings) {
  for (const auto way : {Incoming::front_end_requests, Incoming::back_end_requests})
    for (const Waiting& request : waiting_[is_of_back_end(way) ? 1 : 0])
      if (request.asked)
        violation(findings,
                  fmt::format("message {}, {}, was never answered", request.number,
                              request_name(way, request.header.request)),
                  "Communication");
}

}  // namespace vhostx::tools::probe
