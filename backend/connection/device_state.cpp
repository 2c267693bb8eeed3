// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/device_state.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include <sys/mman.h>
#include <sys/stat.h>

#include "backend/connection/application_state.hpp"
#include "base/error.hpp"

namespace vhostx::backend {
namespace {

constexpr std::uint32_t direction_save = 0;
constexpr std::uint32_t direction_load = 1;
constexpr std::uint32_t phase_stopped = 0;

}  // namespace

DeviceState::DeviceState(const PortParts& parts)
    : parts_(parts), outcome_(protocol_violation("no state was transferred, expected SET_DEVICE_STATE_FD first")) {}

Result<UniqueFd> DeviceState::begin(const protocol::DeviceState& what) {
  if (what.direction != direction_save && what.direction != direction_load)
    return protocol_violation("direction {}, expected {} to save or {} to load", what.direction, direction_save,
                              direction_load);
  if (what.phase != phase_stopped) return protocol_violation("phase {}, expected {}", what.phase, phase_stopped);
  return what.direction == direction_save ? begin_saving() : begin_loading();
}

Result<UniqueFd> DeviceState::begin_saving() {
  const auto saved = record();
  if (!saved) return saved.error();
  const Bytes bytes = saved->serialize();
  auto file = new_file();
  if (!file) return file;
  const ssize_t written = ::pwrite(file->get(), bytes.data(), bytes.size(), 0);  // its position stays 0
  if (written != static_cast<ssize_t>(bytes.size()))
    return make_system_error(written < 0 ? errno : ENOSPC, "write of {} bytes", bytes.size());
  if (::fcntl(file->get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return make_system_error(errno, "F_ADD_SEALS");
  loading_.reset();
  outcome_ = {};
  return file;
}

Result<UniqueFd> DeviceState::begin_loading() {
  auto file = new_file();
  if (!file) return file;
  UniqueFd theirs(::fcntl(file->get(), F_DUPFD_CLOEXEC, 0));
  if (!theirs) return make_system_error(errno, "dup");
  loading_ = std::move(file).value();
  return theirs;
}

// The front-end may make it as large as it likes: it is released where that holds up nobody.
Result<UniqueFd> DeviceState::new_file() const {
  UniqueFd file(::memfd_create("vhostx-state", MFD_CLOEXEC | MFD_ALLOW_SEALING), parts_.releases->ticket());
  if (!file) return make_system_error(errno, "memfd_create");
  return file;
}

Result<StateRecord> DeviceState::record() const {
  StateRecord record;
  if (parts_.options.migrate_stats) {
    record.statistics.emplace();
    for (const auto& vring : parts_.vrings) record.statistics->push_back(vring->stats());
  }
  if (parts_.options.save_state) {
    auto saved = save_application(parts_.options.save_state, parts_.options.state_bytes_max);
    if (!saved) return std::move(saved).error();
    record.application = std::move(saved).value();
  }
  return record;
}

Result<void> DeviceState::check() {
  if (loading_) outcome_ = load(std::exchange(loading_, UniqueFd()));
  if (!outcome_) return outcome_.error();
  return {};
}

// fstat() and pread() of a file in memory take no lock that the front-end can hold.
Result<DeviceState::Bytes> DeviceState::read(const UniqueFd& file) const {
  const std::size_t most = StateRecord::overhead_max + parts_.options.state_bytes_max;
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return make_system_error(errno, "fstat");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > most)
    return make_error(ErrorCode::limit, "the record has {} bytes, expected at most {} (state_bytes_max is {})", size,
                      most, parts_.options.state_bytes_max);
  Bytes bytes(size);
  const ssize_t got = bytes.empty() ? 0 : ::pread(file.get(), bytes.data(), bytes.size(), 0);
  if (got < 0) return make_system_error(errno, "read");
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

Result<void> DeviceState::load(const UniqueFd& file) const {
  const auto bytes = read(file);
  if (!bytes) return bytes.error();
  const auto record = StateRecord::parse(*bytes);
  if (!record)
    return make_error(record.error().code, "the record of {} bytes: {}", bytes->size(), record.error().message);
  if (auto loaded = load(*record); !loaded) return loaded;
  parts_.log.info("the guest brought its state, {} bytes", bytes->size());
  return {};
}

Result<void> DeviceState::load(const StateRecord& record) const {
  const auto& vrings = parts_.vrings;
  const bool has_statistics = parts_.options.migrate_stats && record.statistics;
  if (has_statistics && record.statistics->size() > vrings.size())
    return protocol_violation("the record has statistics of {} vrings, expected at most {}", record.statistics->size(),
                              vrings.size());
  const PortOptions& options = parts_.options;
  if (auto loaded = load_application(options.load_state, options.state_bytes_max, record); !loaded) return loaded;
  if (has_statistics)
    for (std::size_t i = 0; i < record.statistics->size(); ++i) vrings[i]->restore_stats((*record.statistics)[i]);
  return {};
}

}  // namespace vhostx::backend
