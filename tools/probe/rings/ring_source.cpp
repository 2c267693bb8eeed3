// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/ring_source.hpp"

#include <charconv>
#include <chrono>
#include <functional>

#include "base/error.hpp"
#include "tools/probe/processes.hpp"
#include "tools/probe/rings/published.hpp"
#include "tools/probe/rings/qmp_client.hpp"
#include "tools/probe/rings/qmp_rings.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr std::chrono::milliseconds qmp_timeout{5000};

std::string text_of_process(int pid) {
  const std::string program = program_of(pid);
  return program.empty() ? fmt::format("process {}", pid) : fmt::format("{} ({})", program, pid);
}

void set_all(RingWatch& watch, std::vector<ConnectionFacts> connections,
             const std::function<std::shared_ptr<const GuestMemory>(const ConnectionFacts&)>& memory) {
  std::vector<std::uint32_t> numbers;
  for (ConnectionFacts& facts : connections) {
    numbers.push_back(facts.connection);
    auto its_memory = memory(facts);
    watch.set(std::move(facts), std::move(its_memory));
  }
  watch.keep_only(numbers);
}

class RelaySource final : public RingSource {
 public:
  explicit RelaySource(int pid) : pid_(pid), name_(text_of_process(pid)) {}

  Result<void> refresh(RingWatch& watch, const Look&) override {
    auto connections = read_published(pid_);
    if (!connections) return explain(connections.error());
    set_all(watch, *std::move(connections),
            [this](const ConnectionFacts& facts) { return std::make_shared<PublishedMemory>(pid_, facts); });
    return {};
  }
  std::string name() const override { return name_; }

 private:
  Error explain(Error error) const {
    if (error.code == ErrorCode::unsupported)
      error.message = fmt::format(
          "{} {}: put `vhostx-probe trace --listen SOCK --connect BACKEND` between front-end and back-end, or watch a "
          "QEMU >= 7.2 with --qmp",
          name_, error.message);
    else
      error.message = fmt::format("{}: {}", name_, error.message);
    return error;
  }

  int pid_;
  std::string name_;
};

class Qemu final : public RingSource {
 public:
  Qemu(QmpClient qmp, ProcessMemory memory, int pid)
      : qmp_(std::move(qmp)),
        memory_(std::make_shared<const ProcessMemory>(std::move(memory))),
        name_(text_of_process(pid)) {}

  Result<void> refresh(RingWatch& watch, const Look& look) override {
    qmp_.while_waiting(look);
    auto connections = ask_rings(qmp_);
    if (!connections) return connections.error();
    set_all(watch, *std::move(connections), [this](const ConnectionFacts&) { return memory_; });
    return {};
  }
  std::string name() const override { return name_; }

 private:
  QmpClient qmp_;
  std::shared_ptr<const ProcessMemory> memory_;
  std::string name_;
};

std::optional<int> process_number(const std::string& text) {
  int pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc() && end == text.data() + text.size() && pid > 0 ? std::optional(pid) : std::nullopt;
}

}  // namespace

Result<std::unique_ptr<RingSource>> open_relay(const std::string& pid_or_socket) {
  auto pid = process_number(pid_or_socket);
  if (!pid) {
    const auto listener = find_listener(pid_or_socket);
    if (!listener) return listener.error();
    pid = *listener;
  }
  return std::unique_ptr<RingSource>(std::make_unique<RelaySource>(*pid));
}

Result<std::unique_ptr<RingSource>> open_qemu(const std::string& qmp_socket, std::optional<int> pid) {
  auto qmp = QmpClient::connect(qmp_socket, qmp_timeout);
  if (!qmp) return qmp.error();
  if (!pid) {
    const auto owner = qmp->socket_owner();
    if (!owner) return owner.error();
    pid = *owner;
  }
  auto memory = ProcessMemory::open(*pid);
  if (!memory) return memory.error();
  return std::unique_ptr<RingSource>(std::make_unique<Qemu>(*std::move(qmp), *std::move(memory), *pid));
}

}  // namespace vhostx::tools::probe
