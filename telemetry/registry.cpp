// SPDX-License-Identifier: BSD-3-Clause
#include "telemetry/registry.hpp"

#include <algorithm>
#include <utility>

namespace vhostx::telemetry {
namespace {

constexpr std::size_t name_length_max = 127;  // DPDK cuts longer names and drops unprintable ones

bool good(const std::string& name) {
  return !name.empty() && name.size() <= name_length_max &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

bool NamedPort::with_port(const std::function<void(Port&)>& use) {
  const std::lock_guard guard(lock_);
  if (port_ == nullptr) return false;
  use(*port_);
  return true;
}

void NamedPort::withdraw() noexcept {
  const std::lock_guard guard(lock_);
  port_ = nullptr;
}

Result<std::shared_ptr<NamedPort>> Registry::add(std::string name, Port& port) {
  if (!good(name))
    return Error{
        ErrorCode::invalid_argument,
        "the name '" + name + "' has " + std::to_string(name.size()) + " bytes: expected 1 to 127, all printable ASCII",
        0};
  auto named = std::make_shared<NamedPort>(name, port);
  const std::lock_guard guard(lock_);
  if (const auto [at, added] = ports_.emplace(name, named); !added)
    return Error{ErrorCode::busy, "another port is named '" + name + "'", 0};
  return named;
}

void Registry::remove(NamedPort& named) noexcept {
  std::shared_ptr<NamedPort> removed;
  {
    const std::lock_guard guard(lock_);
    if (const auto at = ports_.find(named.name()); at != ports_.end() && at->second.get() == &named) {
      removed = std::move(at->second);
      ports_.erase(at);
    }
  }
  named.withdraw();
}

std::shared_ptr<NamedPort> Registry::find(std::string_view name) const {
  const std::lock_guard guard(lock_);
  const auto at = ports_.find(name);
  return at == ports_.end() ? nullptr : at->second;
}

std::vector<std::string> Registry::names() const {
  const std::lock_guard guard(lock_);
  std::vector<std::string> names;
  for (const auto& [name, port] : ports_) names.push_back(name);
  return names;
}

}  // namespace vhostx::telemetry
