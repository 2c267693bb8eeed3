// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/device_state.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include "base/error.hpp"

namespace vhostx::backend {
namespace {

constexpr std::uint32_t direction_save = 0;
constexpr std::uint32_t direction_load = 1;
constexpr std::uint32_t phase_stopped = 0;
constexpr std::size_t piece_bytes = std::size_t{64} * 1024;  // of a transfer; then others on the loop get a turn

/// The application's code: whatever it throws is the reason.
template <typename T, typename Call>
Result<T> guarded(const char* name, Call call) {
  try {
    return call();
  } catch (const std::exception& error) {
    return make_error(ErrorCode::invalid_argument, "{} threw: {}", name, error.what());
  } catch (...) {
    return make_error(ErrorCode::invalid_argument, "{} threw", name);
  }
}

}  // namespace

DeviceState::DeviceState(asio::any_io_executor executor, const PortParts& parts)
    : executor_(executor),
      parts_(parts),
      deadline_(std::move(executor)),
      outcome_(protocol_violation("no state was transferred, expected SET_DEVICE_STATE_FD first")) {}

std::size_t DeviceState::record_bytes_max() const noexcept {
  return StateRecord::overhead_max + parts_.options.state_bytes_max;
}

Result<void> DeviceState::begin(const protocol::DeviceState& what, UniqueFd fd) {
  if (what.direction != direction_save && what.direction != direction_load)
    return protocol_violation("direction {}, expected {} to save or {} to load", what.direction, direction_save,
                              direction_load);
  if (what.phase != phase_stopped) return protocol_violation("phase {}, expected {}", what.phase, phase_stopped);
  if (runs()) return protocol_violation("another transfer has not ended");
  const For use = what.direction == direction_save ? For::writing : For::reading;
  auto channel = StateChannel::adopt(std::move(fd), use);
  if (!channel) return std::move(channel).error();
  Bytes bytes;
  if (use == For::writing) {
    auto saved = record();
    if (!saved) return std::move(saved).error();
    bytes = std::move(saved).value();
  }
  start({.use = use, .channel = std::move(channel).value(), .bytes = std::move(bytes)});
  return {};
}

Result<DeviceState::Bytes> DeviceState::record() const {
  StateRecord record;
  if (parts_.options.migrate_stats) {
    record.statistics.emplace();
    for (const auto& vring : parts_.vrings) record.statistics->push_back(vring->stats());
  }
  if (parts_.options.save_state) {
    auto saved = save_application();
    if (!saved) return std::move(saved).error();
    record.application = std::move(saved).value();
  }
  return record.serialize();
}

Result<DeviceState::Bytes> DeviceState::save_application() const {
  const PortOptions& options = parts_.options;
  auto saved = guarded<Bytes>("save_state", [&]() -> Result<Bytes> { return options.save_state(); });
  if (saved && saved->size() > options.state_bytes_max)
    return make_error(ErrorCode::limit, "save_state returned {} bytes, expected at most {} (state_bytes_max)",
                      saved->size(), options.state_bytes_max);
  return saved;
}

void DeviceState::start(Transfer transfer) {
  auto started = std::make_unique<Transfer>(std::move(transfer));
  const bool is_file = started->channel.is_file();
  if (!is_file)
    started->watch = std::make_unique<FdWatch>(
        executor_, started->channel.fd(), [this] { go_on(); },
        started->use == For::writing ? FdWatch::For::writing : FdWatch::For::reading);
  transfer_ = std::move(started);
  received_.reset();
  if (is_file && transfer_->use == For::writing) return move_file();
  if (is_file) return;  // the front-end writes it now, and says so with CHECK_DEVICE_STATE
  deadline_.start(parts_.options.message_timeout, [this] {
    end(make_error(ErrorCode::timed_out, "{} bytes were {} in {} ms, which is all the time there is", transfer_->done,
                   transfer_->use == For::writing ? "read by the front-end" : "written by the front-end",
                   parts_.options.message_timeout.count()));
  });
  transfer_->watch->arm();
}

void DeviceState::go_on() {
  try {
    if (auto outcome = move_some()) return end(std::move(*outcome));
    transfer_->watch->arm();
  } catch (const std::exception& error) {
    end(make_error(ErrorCode::out_of_memory, "{}", error.what()));
  }
}

/// Nothing: it goes on.
std::optional<Result<void>> DeviceState::move_some() {
  return transfer_->use == For::writing ? write_some() : read_some();
}

std::optional<Result<void>> DeviceState::write_some() {
  Transfer& t = *transfer_;
  const auto left = std::span<const std::byte>(t.bytes).subspan(t.done);
  const auto [bytes, error] = t.channel.write(left.first(std::min(left.size(), piece_bytes)), t.done);
  t.done += bytes;
  if (t.done == t.bytes.size()) return Result<void>();
  if (error == 0 || error == EAGAIN) return std::nullopt;
  return make_system_error(error, "write after {} of {} bytes", t.done, t.bytes.size());
}

std::optional<Result<void>> DeviceState::read_some() {
  Transfer& t = *transfer_;
  std::array<std::byte, piece_bytes> piece;
  const auto [bytes, error] = t.channel.read(piece, t.done);
  if (error == EAGAIN) return std::nullopt;
  if (error != 0) return make_system_error(error, "read after {} bytes", t.done);
  if (bytes == 0) return Result<void>();
  t.done += bytes;
  if (t.done > record_bytes_max())
    return make_error(ErrorCode::limit, "the state has more than {} bytes (state_bytes_max is {})", record_bytes_max(),
                      parts_.options.state_bytes_max);
  t.bytes.insert(t.bytes.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(bytes));
  return std::nullopt;
}

// It is ready at any time, and what it takes is bounded by its size.
void DeviceState::move_file() {
  std::optional<Result<void>> outcome;
  while (!outcome) outcome = move_some();
  end(std::move(*outcome));
}

void DeviceState::end(Result<void> outcome) {
  deadline_.cancel();
  auto ended = std::move(transfer_);
  outcome_ = std::move(outcome);
  if (ended->use == For::reading && outcome_) received_ = std::move(ended->bytes);
  ended.reset();
  if (on_end_) std::exchange(on_end_, nullptr)();  // may destroy this
}

void DeviceState::cancel() noexcept {
  on_end_ = nullptr;
  deadline_.cancel();
  transfer_.reset();
}

Result<void> DeviceState::check() {
  if (transfer_ != nullptr && transfer_->channel.is_file()) move_file();
  if (received_) outcome_ = load(*std::exchange(received_, std::nullopt));
  if (!outcome_) return outcome_.error();
  return {};
}

Result<void> DeviceState::load(const Bytes& bytes) const {
  const auto record = StateRecord::parse(bytes);
  if (!record)
    return make_error(record.error().code, "the record of {} bytes: {}", bytes.size(), record.error().message);
  const auto& vrings = parts_.vrings;
  const bool has_statistics = parts_.options.migrate_stats && record->statistics;
  if (has_statistics && record->statistics->size() > vrings.size())
    return protocol_violation("the record has statistics of {} vrings, expected at most {}", record->statistics->size(),
                              vrings.size());
  if (auto loaded = load_application(*record); !loaded) return loaded;
  if (has_statistics)
    for (std::size_t i = 0; i < record->statistics->size(); ++i) vrings[i]->restore_stats((*record->statistics)[i]);
  parts_.log.info("the guest brought its state, {} bytes", bytes.size());
  return {};
}

Result<void> DeviceState::load_application(const StateRecord& record) const {
  if (!record.application) return {};
  const PortOptions& options = parts_.options;
  const Bytes& state = *record.application;
  if (!options.load_state)
    return make_error(ErrorCode::unsupported,
                      "the record has {} bytes of an application's state, but this port has no load_state",
                      state.size());
  if (state.size() > options.state_bytes_max)
    return make_error(ErrorCode::limit, "the application's state has {} bytes, expected at most {} (state_bytes_max)",
                      state.size(), options.state_bytes_max);
  auto loaded = guarded<void>("load_state", [&] { return options.load_state(state); });
  if (loaded) return {};
  return make_error(loaded.error().code, "the application refused its state: {}", loaded.error().message);
}

}  // namespace vhostx::backend
