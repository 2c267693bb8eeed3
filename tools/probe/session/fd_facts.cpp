// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/session/fd_facts.hpp"

#include <array>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>

#include <climits>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/file_kind.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr std::string_view memfd_prefix = "/memfd:";
constexpr std::string_view deleted_suffix = " (deleted)";

std::string name_of_fd(int fd) {
  std::array<char, PATH_MAX> name{};
  const auto length = ::readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), name.data(), name.size());
  return length < 0 ? std::string() : std::string(name.data(), static_cast<std::size_t>(length));
}

std::vector<std::string> seals_of(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  std::vector<std::string> names;
  if (seals < 0) return names;
  for (const auto& [bit, name] : std::array<std::pair<int, const char*>, 5>{{{F_SEAL_SEAL, "seal"},
                                                                             {F_SEAL_SHRINK, "shrink"},
                                                                             {F_SEAL_GROW, "grow"},
                                                                             {F_SEAL_WRITE, "write"},
                                                                             {0x10, "future-write"}}})
    if ((seals & bit) != 0) names.emplace_back(name);
  return names;
}

// memfds of huge pages lie in hugetlbfs too, all others in tmpfs: the name tells them from files there.
// Only files of these two have seals to ask for; of others no more is asked: their file system may be a process that
// does not answer.
void look_at_file(int fd, FdFacts& facts) {
  struct statfs system {};
  if (::fcntl(fd, F_GET_SEALS) < 0 || ::fstatfs(fd, &system) != 0) return;
  const bool huge = system.f_type == HUGETLBFS_MAGIC;
  facts.kind = facts.name.compare(0, memfd_prefix.size(), memfd_prefix) == 0 ? "memfd"
               : huge                                                        ? "hugetlbfs"
               : system.f_type == TMPFS_MAGIC                                ? "tmpfs"
                                                                             : "file";
  if (facts.kind != "file") facts.page_bytes = static_cast<std::uint64_t>(system.f_bsize);
  facts.seals = seals_of(fd);
}

std::string_view short_name(const FdFacts& facts) {
  std::string_view name = facts.name;
  if (facts.kind == "memfd") name.remove_prefix(std::min(name.size(), memfd_prefix.size()));
  const bool deleted =
      name.size() >= deleted_suffix.size() && name.substr(name.size() - deleted_suffix.size()) == deleted_suffix;
  if (deleted) name.remove_suffix(deleted_suffix.size());
  return name;
}

const char* kind_named_by(FileKind kind) noexcept {
  switch (kind) {
    case FileKind::event_fd:
      return "eventfd";
    case FileKind::socket:
      return "socket";
    case FileKind::pipe:
      return "pipe";
    case FileKind::closed:
      return "closed";
    default:
      return "other";
  }
}

}  // namespace

FdFacts look_at_fd(int fd) {
  FdFacts facts;
  const FileKind kind = file_kind(fd);
  facts.name = name_of_fd(fd);
  facts.kind = kind_named_by(kind);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return facts;
  facts.device = status.st_dev;
  facts.inode = status.st_ino;
  if (kind != FileKind::regular) return facts;
  facts.kind = "file";
  facts.bytes = static_cast<std::uint64_t>(status.st_size);
  look_at_file(fd, facts);
  return facts;
}

std::string text_of_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> units{"bytes", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (unit + 1 < units.size() && bytes != 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{} {}", bytes, units[unit]);
}

std::string text_of(const FdFacts& facts) {
  if (facts.page_bytes == 0 && facts.kind != "file") return facts.kind;
  std::string text = fmt::format("{} {}, {}", facts.kind, short_name(facts), text_of_bytes(facts.bytes));
  if (facts.page_bytes != 0) text += ", pages of " + text_of_bytes(facts.page_bytes);
  if (!facts.seals.empty()) text += fmt::format(", seals {}", fmt::join(facts.seals, " "));
  return text;
}

}  // namespace vhostx::tools::probe
