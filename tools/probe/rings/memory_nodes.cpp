// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/memory_nodes.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <vector>

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/error.hpp"
#include "base/page_memory.hpp"
#include "numa/look.hpp"

namespace vhostx::tools::probe {
namespace {

/// What has to be known of the file.
struct File {
  std::uint64_t bytes = 0;
  std::uint64_t page_bytes = 0;
  numa::Untouched untouched = numa::Untouched::if_there;
};

// Faulting in huge pages would allocate those that nobody has touched, but where none is left to allocate.
Result<File> look_at_file(int fd) {
  struct stat status {};
  struct statfs system {};
  if (::fstat(fd, &status) != 0 || ::fstatfs(fd, &system) != 0) return make_system_error(errno, "looking at the file");
  File file{static_cast<std::uint64_t>(status.st_size), page_bytes(), numa::Untouched::if_there};
  if (system.f_type != HUGETLBFS_MAGIC) return file;
  file.page_bytes = static_cast<std::uint64_t>(system.f_bsize);
  if (status.st_blocks * 512 >= status.st_size) file.untouched = numa::Untouched::fault_in;
  return file;
}

class Mapping {
 public:
  Mapping(int fd, std::uint64_t offset, std::size_t bytes)
      : bytes_(bytes),
        begin_(::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, static_cast<off_t>(offset))) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (ok()) ::munmap(begin_, bytes_);
  }
  bool ok() const noexcept { return begin_ != MAP_FAILED; }
  const std::uint8_t* begin() const noexcept { return static_cast<const std::uint8_t*>(begin_); }

 private:
  std::size_t bytes_;
  void* begin_;
};

}  // namespace

Result<NodeHistogram> memory_nodes(const FileRange& range, const numa::Kernel& kernel) {
  const auto file = look_at_file(range.fd);
  if (!file) return file.error();
  if (range.bytes == 0 || range.offset >= file->bytes)
    return make_error(ErrorCode::invalid_argument, "nothing at offset {:#x} of a file of {} bytes", range.offset,
                      file->bytes);
  const std::uint64_t begin = range.offset / file->page_bytes * file->page_bytes;
  const std::uint64_t end = range.offset + std::min(range.bytes, file->bytes - range.offset);
  const std::uint64_t whole = (end - begin + file->page_bytes - 1) / file->page_bytes * file->page_bytes;
  const Mapping mapping(range.fd, begin, whole);
  if (!mapping.ok()) return make_system_error(errno, "mapping {} bytes at offset {:#x}", whole, begin);
  std::vector<const std::uint8_t*> sample;
  numa::spread_over(mapping.begin() + (range.offset - begin), end - range.offset, sampled_pages_max, sample);
  return numa::look_at(kernel, sample, file->untouched).histogram;
}

std::string text_of_nodes(const NodeHistogram& histogram) {
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const NodePages& each : histogram.nodes) add(fmt::format("node {}: {} pages", each.node, each.pages));
  if (histogram.absent != 0) add(fmt::format("{} absent", histogram.absent));
  if (histogram.unknown != 0) add(fmt::format("{} unknown", histogram.unknown));
  return text.empty() ? "no pages" : text;
}

}  // namespace vhostx::tools::probe
