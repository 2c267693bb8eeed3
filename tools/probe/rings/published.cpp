// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/published.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

#include <climits>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "tools/probe/processes.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr int all_seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

bool write_document(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// A process may name any file, a pipe too, whose opening would wait or be seen: only regular files are opened.
UniqueFd open_file_of(int pid, int fd, const struct stat* expected) {
  const auto link = fmt::format("/proc/{}/fd/{}", pid, fd);
  struct stat before {};
  if (fd < 0 || ::stat(link.c_str(), &before) != 0 || !S_ISREG(before.st_mode)) return {};
  const struct stat& wanted = expected == nullptr ? before : *expected;
  if (wanted.st_dev != before.st_dev || wanted.st_ino != before.st_ino) return {};
  UniqueFd file(::open(link.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat after {};
  if (!file || ::fstat(file.get(), &after) != 0) return {};
  return after.st_dev == wanted.st_dev && after.st_ino == wanted.st_ino ? std::move(file) : UniqueFd();
}

Result<std::string> read_whole(int fd) {
  std::string text;
  std::array<char, 65536> bytes;
  for (;;) {
    const auto got = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return make_system_error(errno, "reading what it publishes");
    if (got == 0) return text;
    text.append(bytes.data(), static_cast<std::size_t>(got));
    if (text.size() > published_bytes_max)
      return make_error(ErrorCode::invalid_argument, "what it publishes is longer than {} bytes", published_bytes_max);
  }
}

// A guest's memory may have that name too; sealed like this it is of no use as such.
Result<UniqueFd> find_published(int pid) {
  const std::string wanted = fmt::format("/memfd:{} (deleted)", published_name);
  const auto fds = descriptors_of(pid);
  if (!fds) return fds.error();
  for (const Descriptor& each : *fds)
    if (each.target == wanted)
      if (UniqueFd file = open_file_of(pid, each.fd, nullptr);
          file && (::fcntl(file.get(), F_GET_SEALS) & all_seals) == all_seals)
        return file;
  return make_error(ErrorCode::unsupported, "publishes no rings");
}

}  // namespace

Result<void> Publisher::publish(const std::vector<ConnectionFacts>& connections) {
  std::string text = document_of(connections);
  if (file_ && text == text_) return {};
  if (text.size() > published_bytes_max)
    return make_error(ErrorCode::limit, "{} bytes to publish, at most {}", text.size(), published_bytes_max);
  UniqueFd file(::memfd_create(published_name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file || !write_document(file.get(), text) || ::fcntl(file.get(), F_ADD_SEALS, all_seals) != 0)
    return make_system_error(errno, "publishing what rings there are");
  file_ = std::move(file);
  text_ = std::move(text);
  return {};
}

Result<std::vector<ConnectionFacts>> read_published(int pid) {
  auto file = find_published(pid);
  // It may have been replaced between the look and the opening.
  if (!file && file.error().code == ErrorCode::unsupported) file = find_published(pid);
  if (!file) return file.error();
  const auto text = read_whole(file->get());
  if (!text) return text.error();
  return connections_of(*text);
}

PublishedMemory::PublishedMemory(int pid, ConnectionFacts connection) : memory_({}) {
  const auto open = [this, pid](auto& file) {
    struct stat expected {};
    expected.st_dev = file.device;
    expected.st_ino = file.inode;
    files_.push_back(open_file_of(pid, file.fd, &expected));
    file.fd = files_.back().get();
  };
  for (MemoryFacts& memory : connection.regions) open(memory);
  if (connection.log) open(*connection.log);
  memory_ = memory_of(connection);
  log_ = log_memory_of(connection);
}

}  // namespace vhostx::tools::probe
