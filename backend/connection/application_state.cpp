// SPDX-License-Identifier: BSD-3-Clause
#include "backend/connection/application_state.hpp"

#include <exception>

#include "base/error.hpp"

namespace vhostx::backend {
namespace {

using Bytes = StateRecord::Bytes;

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

Result<Bytes> save_application(const SaveState& save, std::uint32_t bytes_max) {
  auto saved = guarded<Bytes>("save_state", [&]() -> Result<Bytes> { return save(); });
  if (saved && saved->size() > bytes_max)
    return make_error(ErrorCode::limit, "save_state returned {} bytes, expected at most {} (state_bytes_max)",
                      saved->size(), bytes_max);
  return saved;
}

Result<void> load_application(const LoadState& load, std::uint32_t bytes_max, const StateRecord& record) {
  if (!record.application) return {};
  const Bytes& state = *record.application;
  if (!load)
    return make_error(ErrorCode::unsupported,
                      "the record has {} bytes of an application's state, but this port has no load_state",
                      state.size());
  if (state.size() > bytes_max)
    return make_error(ErrorCode::limit, "the application's state has {} bytes, expected at most {} (state_bytes_max)",
                      state.size(), bytes_max);
  auto loaded = guarded<void>("load_state", [&] { return load(state); });
  if (loaded) return {};
  return make_error(loaded.error().code, "the application refused its state: {}", loaded.error().message);
}

}  // namespace vhostx::backend
