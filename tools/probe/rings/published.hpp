// SPDX-License-Identifier: BSD-3-Clause
// What a relay holds, published for other processes: a memfd named `vhostx-probe-rings` with one JSON document. Who may
// look into the relay's /proc/PID/fd finds it by that name, and opens the memory files that it speaks of there, for
// reading. Nobody else can, and the relay serves no socket for it. README.md of tools/probe/ has the document's keys.
#pragma once

#include <string>
#include <vector>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "tools/probe/rings/ring_facts.hpp"

namespace vhostx::tools::probe {

inline constexpr const char* published_name = "vhostx-probe-rings";
inline constexpr std::size_t published_bytes_max = std::size_t{16} << 20;
inline constexpr std::size_t published_connections_max = 1024;

/// The writing side. Not for several threads.
class Publisher {
 public:
  /// Replaces what was published, as a whole: a new memfd, sealed against any change; the old one is closed. Where
  /// nothing changed since the last call it does nothing, so call it as often as is convenient: after each message, and
  /// each second for the counts. Error: system, limit (longer than published_bytes_max); what was published stays.
  Result<void> publish(const std::vector<ConnectionFacts>& connections);

 private:
  std::string text_;
  UniqueFd file_;
};

std::string document_of(const std::vector<ConnectionFacts>& connections);
/// Of a document from anywhere; it never throws. Error: what is wrong with it.
Result<std::vector<ConnectionFacts>> connections_of(const std::string& document);

/// What process `pid` publishes. Error: unsupported (it publishes nothing), system (it does not exist, or may not be
/// looked into), invalid_argument (a damaged document).
Result<std::vector<ConnectionFacts>> read_published(int pid);

/// The memory of a connection that another process published, with descriptors of our own.
class PublishedMemory final : public GuestMemory {
 public:
  /// Opens for reading what `pid` has; what is not there any more, or is another file by now, cannot be read later.
  PublishedMemory(int pid, ConnectionFacts connection);
  bool read(std::uint64_t address, std::span<std::byte> into) const override { return memory_.read(address, into); }
  /// See log_memory_of(): for as long as this object lives; null: there is none.
  const GuestMemory* log() const noexcept { return log_.get(); }

 private:
  std::vector<UniqueFd> files_;
  RegionMemory memory_;
  std::shared_ptr<const GuestMemory> log_;
};

}  // namespace vhostx::tools::probe
