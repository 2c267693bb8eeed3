// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/trace/pump.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include "protocol/socket_io.hpp"
#include "tools/front_end/front_end.hpp"
#include "tools/probe/session/fd_facts.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr std::size_t piece_bytes_max = 64 * 1024;

}  // namespace

Pump::Pump(protocol::Incoming way, int source, int destination, PumpHooks hooks)
    : way_(way), source_(source), destination_(destination), hooks_(std::move(hooks)) {}

void Pump::read() {
  const bool in_header = payload_left_ == 0;
  std::array<std::byte, piece_bytes_max> piece;
  const std::size_t wanted =
      in_header ? header_.size() - header_have_ : std::min<std::uint64_t>(payload_left_, piece.size());
  std::vector<UniqueFd> fds;
  const auto got = protocol::receive(source_, std::span(piece).first(wanted), fds, protocol::Blocking::no);
  if (got.error == EAGAIN) return;
  if (got.fds_lost) hooks_.on_note("descriptors were lost: this process may not have as many open");
  if (got.error != 0) return end(std::generic_category().message(got.error));
  if (got.bytes == 0) return end({});
  take_fds(fds);
  std::move(fds.begin(), fds.end(), std::back_inserter(output_fds_));
  if (in_header) {
    std::copy_n(piece.begin(), got.bytes, header_.begin() + static_cast<std::ptrdiff_t>(header_have_));
    return take_header(got.bytes);
  }
  output_.assign(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got.bytes));
  take_payload(got.bytes);
}

void Pump::take_fds(const std::vector<UniqueFd>& fds) {
  for (const UniqueFd& fd : fds) {
    event_.fds.push_back(look_at_fd(fd.get()));
    files_.push_back(duplicate(fd.get()));
  }
}

// The header goes on when it is whole: only then is it known whether its descriptors stay as they are.
void Pump::take_header(std::size_t bytes) {
  header_have_ += bytes;
  if (header_have_ < header_.size()) return;
  header_have_ = 0;
  event_.header = protocol::decode_header(header_);
  hooks_.before_forward(event_.header, output_fds_);
  output_.assign(header_.begin(), header_.end());
  payload_left_ = event_.header.size;
  if (payload_left_ == 0) message_is_whole();
  write();
}

void Pump::take_payload(std::size_t bytes) {
  const std::size_t room = protocol::payload_bytes_max - event_.payload.size();
  event_.payload.insert(event_.payload.end(), output_.begin(),
                        output_.begin() + static_cast<std::ptrdiff_t>(std::min(bytes, room)));
  payload_left_ -= bytes;
  if (payload_left_ == 0) message_is_whole();
  write();
}

void Pump::message_is_whole() {
  event_.kind = EventKind::message;
  event_.way = way_;
  hooks_.on_message(std::move(event_), std::move(files_));
  event_ = Event{};
  files_.clear();
}

void Pump::end(const std::string& why) {
  ended_ = true;
  if (!why.empty()) hooks_.on_note(fmt::format("reading ended: {}", why));
  if (payload_left_ != 0) {
    event_.cut_off = true;
    return message_is_whole();
  }
  if (header_have_ == 0) return;
  hooks_.on_note(
      fmt::format("the connection ended within a header: {} of {} bytes came", header_have_, header_.size()));
  output_.assign(header_.begin(), header_.begin() + static_cast<std::ptrdiff_t>(header_have_));
  write();
}

void Pump::write() {
  while (!output_.empty()) {
    const auto sent = protocol::transmit(destination_, output_, output_fds_, protocol::Blocking::no);
    if (sent.error == EAGAIN) return;
    if (sent.error != 0) {  // nobody is there to read it
      ended_ = true;
      output_.clear();
      output_fds_.clear();
      return;
    }
    output_fds_.clear();
    output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(sent.bytes));
  }
}

}  // namespace vhostx::tools::probe
