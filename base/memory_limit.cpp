// SPDX-License-Identifier: BSD-3-Clause
#include "base/memory_limit.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <sys/sysinfo.h>

namespace vhostx {
namespace {

constexpr std::uint64_t no_limit = ~std::uint64_t{0};

/// What the two versions of control groups call their files.
struct Names {
  const char* limit;
  const char* usage;
  std::string_view inactive_files;
  std::string_view active_files;
};
constexpr Names names_v2{"/memory.max", "/memory.current", "\ninactive_file ", "\nactive_file "};
constexpr Names names_v1{"/memory.limit_in_bytes", "/memory.usage_in_bytes", "\ntotal_inactive_file ",
                         "\ntotal_active_file "};

/// A hierarchy of groups that is mounted, and where in it the process is.
struct Place {
  std::string mount;
  std::string folder;  // `mount`, or below it
  const Names* names;
};

// "max" has no digits.
std::uint64_t number_at(std::string_view text, std::uint64_t otherwise) noexcept {
  std::uint64_t value = 0;
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc() ? value : otherwise;
}

// Empty: it cannot be read.
template <std::size_t size>
std::string_view read_into(std::array<char, size>& text, int fd) noexcept {
  const ssize_t length = ::pread(fd, text.data(), size, 0);
  return {text.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
}

std::uint64_t read_number(int fd, std::uint64_t otherwise) noexcept {
  std::array<char, 32> text;
  return number_at(read_into(text, fd), otherwise);
}

std::uint64_t value_of(std::string_view stat, std::string_view key) noexcept {
  const auto at = stat.find(key);
  return at == std::string_view::npos ? 0 : number_at(stat.substr(at + key.size()), 0);
}

std::uint64_t droppable(int fd) noexcept {
  std::array<char, 8192> text;
  const std::string_view stat = read_into(text, fd);
  const Names& names = stat.find(names_v1.active_files) == std::string_view::npos ? names_v2 : names_v1;
  return value_of(stat, names.inactive_files) + value_of(stat, names.active_files);
}

// One word among others between commas.
bool names_memory(std::string_view words) noexcept {
  while (!words.empty()) {
    const auto comma = words.find(',');
    if (words.substr(0, comma) == "memory") return true;
    words.remove_prefix(comma == words.npos ? words.size() : comma + 1);
  }
  return false;
}

// cgroups(7), /proc/pid/cgroup: "ID:controllers:path"; no controllers in version 2.
std::optional<std::string> path_of_group(bool version_2) {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (version_2 ? controllers.empty() : names_memory(controllers)) return line.substr(second + 1);
  }
  return std::nullopt;
}

// A mount shows the hierarchy from `root` on. For a group outside it, the mount's own folder is used.
std::string folder_in(const std::string& mount, const std::string& root, const std::string& path) {
  const std::string prefix = root == "/" ? "" : root;
  if (path == "/" || path.find("..") != std::string::npos || path.compare(0, prefix.size(), prefix) != 0) return mount;
  return mount + path.substr(prefix.size());
}

// proc(5), /proc/pid/mountinfo: "ID parent major:minor root point options [fields] - type source options".
std::vector<Place> find_places() {
  std::vector<Place> places;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const auto dash = line.find(" - cgroup");
    if (dash == std::string::npos) continue;
    std::istringstream front(line.substr(0, dash));
    std::istringstream back(line.substr(dash + 3));
    std::string skipped, root, mount, type, options;
    if (!(front >> skipped >> skipped >> skipped >> root >> mount) || !(back >> type >> skipped >> options)) continue;
    const bool version_2 = type == "cgroup2";
    if (!version_2 && !names_memory(options)) continue;
    if (const auto path = path_of_group(version_2))
      places.push_back({mount, folder_in(mount, root, *path), version_2 ? &names_v2 : &names_v1});
  }
  return places;
}

UniqueFd open_in(const std::string& folder, const char* name) {
  return UniqueFd(::open((folder + name).c_str(), O_RDONLY | O_CLOEXEC));
}

/// The tightest so far.
struct Tightest {
  std::uint64_t bytes = no_limit;
  std::string folder;
  const Names* names = nullptr;
};

void look_upwards(const Place& place, Tightest& tightest) {
  for (std::string folder = place.folder; folder.size() >= place.mount.size();
       folder.erase(std::min(folder.rfind('/'), folder.size()))) {
    const UniqueFd limit = open_in(folder, place.names->limit);
    const std::uint64_t bytes = limit ? read_number(limit.get(), no_limit) : no_limit;
    if (bytes < tightest.bytes) tightest = {bytes, folder, place.names};
    if (folder.rfind('/') == std::string::npos) return;
  }
}

}  // namespace

std::uint64_t machine_memory_bytes() noexcept {
  struct sysinfo info {};
  if (::sysinfo(&info) != 0) return std::uint64_t{1} << 40;
  return (std::uint64_t{info.totalram} + info.totalswap) * info.mem_unit;
}

std::unique_ptr<const MemoryLimit> MemoryLimit::find() {
  Tightest tightest;
  for (const Place& place : find_places()) look_upwards(place, tightest);
  if (tightest.names == nullptr || tightest.bytes >= machine_memory_bytes()) return nullptr;
  std::unique_ptr<MemoryLimit> limit(new MemoryLimit);
  limit->bytes_ = tightest.bytes;
  limit->limit_ = open_in(tightest.folder, tightest.names->limit);
  limit->usage_ = open_in(tightest.folder, tightest.names->usage);
  limit->stat_ = open_in(tightest.folder, "/memory.stat");
  limit->group_ = std::move(tightest.folder);
  if (!limit->limit_ || !limit->usage_) return nullptr;
  return limit;
}

std::uint64_t MemoryLimit::room() const noexcept {
  const std::uint64_t bytes = read_number(limit_.get(), no_limit);
  const std::uint64_t used = read_number(usage_.get(), no_limit);
  const std::uint64_t cached = used == no_limit ? 0 : std::min(used, droppable(stat_.get()));
  return used - cached < bytes ? bytes - (used - cached) : 0;
}

}  // namespace vhostx
