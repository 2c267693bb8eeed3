// SPDX-License-Identifier: BSD-3-Clause
#include "continuity/state_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <new>
#include <type_traits>
#include <unistd.h>

#include <sys/mman.h>

#include "base/error.hpp"
#include "base/sealed_file.hpp"

namespace vhostx::continuity {
namespace {

constexpr std::uint64_t state_magic = 0x32747374'78736876;  // "vhsxtst2": the last character is the version
constexpr std::size_t page = 4096;
constexpr int state_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

/// The first page begins so.
struct StateHeader {
  std::uint64_t magic = 0;
  std::uint32_t in_use = 0;  ///< StateFile::in_use_names
  std::uint32_t padding = 0;
};
static_assert(sizeof(StateHeader) == 16 && std::has_unique_object_representations_v<StateHeader>);

/// A half begins so, and its bytes follow.
using HalfLength = std::uint64_t;

constexpr std::size_t half_bytes(std::size_t bytes_max) noexcept {
  return (sizeof(HalfLength) + bytes_max + page - 1) / page * page;
}

constexpr std::size_t file_bytes(std::size_t bytes_max) noexcept { return page + 2 * half_bytes(bytes_max); }

constexpr std::size_t half_at(std::uint32_t half, std::size_t each) noexcept { return page + (half - 1) * each; }

Result<void> write_all(const UniqueFd& file, const void* bytes, std::size_t count, std::size_t at) {
  const ssize_t written = ::pwrite(file.get(), bytes, count, static_cast<off_t>(at));
  if (written == static_cast<ssize_t>(count)) return {};
  return make_system_error(written < 0 ? errno : ENOSPC, "writing {} bytes of an application's state", count);
}

Result<void> read_all(int fd, void* bytes, std::size_t count, std::size_t at) {
  const ssize_t got = ::pread(fd, bytes, count, static_cast<off_t>(at));
  if (got == static_cast<ssize_t>(count)) return {};
  return make_system_error(got < 0 ? errno : EIO, "reading {} bytes of an application's state", count);
}

/// The file's size. It can be read without a wait, which a pipe, say, could not.
Result<std::size_t> check_file(int fd) {
  const auto size = sealed_bytes(fd, "its file");
  if (!size) return size.error();
  if (*size >= file_bytes(0) && *size % page == 0 && (*size / page) % 2 == 1) return static_cast<std::size_t>(*size);
  return protocol_violation("its file has {} bytes, expected an odd number of pages of {} bytes, 3 or more", *size,
                            page);
}

}  // namespace

Result<StateFile> StateFile::create(std::size_t bytes_max) {
  UniqueFd file(::memfd_create("vhostx-state", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(file_bytes(bytes_max))) != 0 ||
      ::fcntl(file.get(), F_ADD_SEALS, state_seals) != 0)
    return make_system_error(errno, "making a file of {} bytes for an application's state", file_bytes(bytes_max));
  const StateHeader header{.magic = state_magic};
  if (auto written = write_all(file, &header, sizeof header, 0); !written) return written.error();
  return StateFile(std::move(file), bytes_max);
}

Result<void> StateFile::write(std::span<const std::byte> bytes) {
  if (bytes.size() > bytes_max_)
    return make_error(ErrorCode::limit, "an application's state of {} bytes: its file has room for {}", bytes.size(),
                      bytes_max_);
  const std::uint32_t next = in_use_ == 1 ? 2 : 1;
  const std::size_t at = half_at(next, half_bytes(bytes_max_));
  const HalfLength length = bytes.size();
  if (auto written = write_all(file_, &length, sizeof length, at); !written) return written;
  if (auto written = write_all(file_, bytes.data(), bytes.size(), at + sizeof length); !written) return written;
  const std::uint32_t name = in_use_names[next];
  if (auto shown = write_all(file_, &name, sizeof name, offsetof(StateHeader, in_use)); !shown) return shown;
  in_use_ = next;
  return {};
}

Result<StateFile::Bytes> StateFile::read(int fd, std::size_t bytes_max) {
  const auto size = check_file(fd);
  if (!size) return size.error();
  StateHeader header;
  if (auto got = read_all(fd, &header, sizeof header, 0); !got) return got.error();
  const auto in_use = std::find(in_use_names.begin(), in_use_names.end(), header.in_use);
  if (header.magic != state_magic || in_use == in_use_names.end())
    return protocol_violation(
        "its file is of another version: {:#x}, half {:#x}, expected {:#x}, half 0, {:#x} or {:#x}", header.magic,
        header.in_use, state_magic, in_use_names[1], in_use_names[2]);
  const auto half = static_cast<std::uint32_t>(in_use - in_use_names.begin());
  if (half == 0) return Bytes();
  const std::size_t each = (*size - page) / 2;
  const std::size_t at = half_at(half, each);
  HalfLength length = 0;
  if (auto got = read_all(fd, &length, sizeof length, at); !got) return got.error();
  if (length > each - sizeof length)
    return protocol_violation("it has {} bytes, expected at most the {} of its file", length, each - sizeof length);
  if (length > bytes_max)
    return make_error(ErrorCode::limit, "it has {} bytes, expected at most {}", length, bytes_max);
  try {
    Bytes bytes(length);
    if (auto got = read_all(fd, bytes.data(), bytes.size(), at + sizeof length); !got) return got.error();
    return bytes;
  } catch (const std::bad_alloc&) {
    return make_error(ErrorCode::out_of_memory, "no memory for {} bytes", length);
  }
}

}  // namespace vhostx::continuity
