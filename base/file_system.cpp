// SPDX-License-Identifier: BSD-3-Clause
#include "base/file_system.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include <sys/stat.h>

#include "base/file_kind.hpp"

namespace vhostx {
namespace {

// memfd, tmpfs and hugetlbfs: only files in the kernel's own memory support seals.
bool is_kernel_memory(int fd) noexcept { return ::fcntl(fd, F_GET_SEALS) >= 0; }

std::optional<int> mount_id_of(int fd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
  std::string key;
  for (std::string line; std::getline(info, line);) {
    std::istringstream words(line);
    int id = 0;
    if (words >> key >> id && key == "mnt_id:") return id;
  }
  return std::nullopt;
}

// proc(5), /proc/pid/mountinfo: "ID parent major:minor root point options [fields] - type source options".
std::optional<std::string> type_of_mount(int id) {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    int line_id = 0;
    if (!(words >> line_id) || line_id != id) continue;
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) return std::nullopt;
    std::istringstream rest(line.substr(dash + 3));
    std::string type;
    if (rest >> type) return type;
  }
  return std::nullopt;
}

// For a file of another mount namespace, such as a container's: a file on a block device is local.
bool lies_on_a_block_device(int fd) noexcept {
  struct statx status {};
  return ::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &status) == 0 && status.stx_dev_major != 0;
}

bool is_local(int fd) {
  const auto id = mount_id_of(fd);
  const auto type = id ? type_of_mount(*id) : std::nullopt;
  return type ? is_local_file_system(*type) : lies_on_a_block_device(fd);
}

}  // namespace

bool is_local_file_system(std::string_view type) noexcept {
  constexpr std::array<std::string_view, 13> local{"ext2",  "ext3",     "ext4",     "xfs",     "btrfs",
                                                   "f2fs",  "zfs",      "bcachefs", "overlay", "tmpfs",
                                                   "ramfs", "devtmpfs", "hugetlbfs"};
  return std::find(local.begin(), local.end(), type) != local.end();
}

bool answers_at_once(int fd) noexcept {
  if (file_kind(fd) != FileKind::regular || is_kernel_memory(fd)) return true;
  try {
    return is_local(fd);
  } catch (const std::exception&) {  // out of memory: not known
    return false;
  }
}

}  // namespace vhostx
