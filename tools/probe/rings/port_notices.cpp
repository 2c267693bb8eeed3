// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/port_notices.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <span>

#include "base/error.hpp"
#include "base/port_notice.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr int tries_max = 8;
// Of all rings together that are looked into: what a process shows must not keep us for long.
constexpr std::uint64_t descriptors_max = std::uint64_t{1} << 22;

/// The begins of the mappings that may be notices. A port has one mapping of that name: a private one.
Result<std::vector<std::uint64_t>> find_notices(int pid) {
  std::ifstream maps(fmt::format("/proc/{}/maps", pid));
  if (!maps) return make_system_error(errno == ENOENT ? ESRCH : errno, "process {}", pid);
  const std::string wanted = fmt::format(" /memfd:{} (deleted)", port_notice_name);
  std::vector<std::uint64_t> found;
  std::string line;
  while (std::getline(maps, line) && found.size() < noticed_ports_max) {
    std::uint64_t begin = 0;
    if (line.ends_with(wanted) && std::from_chars(line.data(), line.data() + line.size(), begin, 16).ec == std::errc())
      found.push_back(begin);
  }
  return found;
}

template <std::size_t N>
std::string text_in(const std::array<char, N>& text) {
  return std::string(text.begin(), std::find(text.begin(), text.end(), '\0'));
}

struct Copy {
  PortNotice notice;
  std::vector<VringNotice> vrings;
};

bool is_notice(const PortNotice& notice) {
  return notice.magic == port_notice_magic && notice.version == port_notice_version &&
         notice.vrings <= port_notice_vrings_max;
}

/// One that nobody wrote to meanwhile.
std::optional<Copy> copy_once(const GuestMemory& memory, std::uint64_t address) {
  const auto notice = memory.load<PortNotice>(address);
  if (!notice || !is_notice(*notice) || notice->sequence % 2 != 0) return std::nullopt;
  Copy copy{*notice, std::vector<VringNotice>(notice->vrings)};
  if (!memory.read(address + sizeof(PortNotice), std::as_writable_bytes(std::span(copy.vrings)))) return std::nullopt;
  const auto after = memory.load<PortNotice>(address);
  return after && after->sequence == notice->sequence ? std::optional(std::move(copy)) : std::nullopt;
}

std::optional<Copy> copy_of(const GuestMemory& memory, std::uint64_t address) {
  for (int i = 0; i < tries_max; ++i)
    if (auto copy = copy_once(memory, address)) return copy;
  return std::nullopt;
}

RingFacts facts_of(std::uint32_t index, const VringNotice& vring) {
  RingFacts facts;
  facts.index = index;
  if (vring.size != 0) facts.size = vring.size;
  facts.enabled = vring.enabled != 0;
  facts.started = vring.started != 0;
  facts.packets_at = vring.packets;
  if (vring.logged != 0) facts.logged_at = vring.log;
  if (facts.started) facts.addresses = RingAddresses{vring.descriptors, vring.avail, vring.used};
  const std::string fault = text_in(vring.fault);
  if (!fault.empty())
    facts.problem = "broken: the driver broke the specification (" + fault + "); it is served again after a restart";
  else if (vring.waits_for_kick != 0)
    facts.problem = "waits for the driver's first kick";
  return facts;
}

NoticedPort port_of(std::uint64_t address, const Copy& copy) {
  NoticedPort port{
      address,        text_in(copy.notice.socket_path), copy.notice.connected != 0, copy.notice.front_end_pid, {},
      copy.notice.log};
  // The library translates the addresses that a front-end gives.
  port.facts.features = protocol::FeatureSet(copy.notice.features).clear(protocol::VirtioFeature::iommu_platform);
  if (copy.notice.log_bytes != 0) port.facts.log = LogFacts{copy.notice.log_bytes, copy.notice.log_offset};
  for (std::uint32_t i = 0; i < copy.vrings.size(); ++i)
    if (const VringNotice& vring = copy.vrings[i]; vring.size != 0 || vring.started != 0 || vring.enabled != 0)
      port.facts.rings.push_back(facts_of(i, vring));
  return port;
}

}  // namespace

Result<std::vector<NoticedPort>> read_port_notices(int pid, const GuestMemory& memory) {
  const auto addresses = find_notices(pid);
  if (!addresses) return addresses.error();
  std::vector<NoticedPort> ports;
  std::uint64_t descriptors = 0;
  for (const std::uint64_t address : *addresses) {
    const auto copy = copy_of(memory, address);
    if (!copy) continue;
    ports.push_back(port_of(address, *copy));
    for (RingFacts& ring : ports.back().facts.rings)
      if (ring.addresses && (descriptors += ring.size.value_or(0)) > descriptors_max) ring.addresses.reset();
  }
  return ports;
}

}  // namespace vhostx::tools::probe
