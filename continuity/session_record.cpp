// SPDX-License-Identifier: BSD-3-Clause
#include "continuity/session_record.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include "base/error.hpp"
#include "base/sealed_file.hpp"

namespace vhostx::continuity {
namespace {

constexpr std::uint64_t magic = 0x33647263'78736876;  // "vhsxcrd3": the last character is the version
// By what names the file says which half is in use. The other half is whole, too, and must not be taken for it because
// a byte was damaged.
constexpr std::array<std::uint32_t, 2> half_names{0x7473'7266, 0x6e63'6573};
constexpr std::uint32_t rings_most = 256;
constexpr std::uint32_t regions_most = 4096;
constexpr std::uint32_t additions_most = 128;  // as many as the library's MemoryTable takes
constexpr std::uint32_t message_in_work = 1;
constexpr std::uint32_t answer_in_work = 2;
constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

/// At the file's begin.
struct FileHeader {
  std::uint64_t magic = 0;
  std::uint32_t rings_max = 0;
  std::uint32_t regions_max = 0;
  std::uint32_t half = half_names[0];  ///< The one in use.
  std::uint32_t in_work = 0;           ///< message_in_work, answer_in_work
  std::uint32_t answers_due = 0;
  std::uint32_t padding = 0;
  std::array<std::uint64_t, 4> more_padding{};
};
static_assert(sizeof(FileHeader) == 64 && std::has_unique_object_representations_v<FileHeader>);

/// At a half's begin; regions and rings follow.
struct HalfHeader {
  std::uint64_t sum = 0;  ///< Of all that follows, as far as it is in use.
  std::uint32_t ring_count = 0;
  std::uint32_t region_count = 0;
  std::uint64_t features = 0;
  std::uint64_t protocol_features = 0;
  std::uint32_t features_set = 0;
  std::uint32_t protocol_features_set = 0;
  std::uint32_t status = 0;
  std::uint32_t mtu = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t log_offset = 0;
  Slot log = 0;
  Slot log_signal = 0;
  Slot back_end_socket = 0;
  Slot own_inflight = 0;
  InflightState inflight;
};
static_assert(sizeof(HalfHeader) == 104 && std::has_unique_object_representations_v<HalfHeader>);
static_assert(sizeof(RingState) == 72 && std::has_unique_object_representations_v<RingState>);
static_assert(sizeof(RegionState) == 40 && std::has_unique_object_representations_v<RegionState>);

// FNV-1a over words of 64 bits: all parts are multiples of 8 bytes. Against accidents; a forger can make one.
std::uint64_t sum_of(const std::byte* bytes, std::size_t count, std::uint64_t sum) noexcept {
  for (std::size_t i = 0; i < count; i += sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, bytes + i, sizeof word);
    sum = (sum ^ word) * 0x100000001b3;
    sum ^= sum >> 32;
  }
  return sum;
}

std::uint64_t sum_of(const HalfHeader& header, const std::byte* rest, std::size_t rest_bytes) noexcept {
  HalfHeader without = header;
  without.sum = 0;
  std::array<std::byte, sizeof without> bytes;
  std::memcpy(bytes.data(), &without, sizeof without);
  return sum_of(rest, rest_bytes, sum_of(bytes.data(), bytes.size(), 0xcbf29ce484222325));
}

HalfHeader header_of(const SessionState& state) noexcept {
  return {.ring_count = static_cast<std::uint32_t>(state.rings.size()),
          .region_count = static_cast<std::uint32_t>(state.regions.size()),
          .features = state.features,
          .protocol_features = state.protocol_features,
          .features_set = state.features_set,
          .protocol_features_set = state.protocol_features_set,
          .status = state.status,
          .mtu = state.mtu,
          .log_bytes = state.log_bytes,
          .log_offset = state.log_offset,
          .log = state.log,
          .log_signal = state.log_signal,
          .back_end_socket = state.back_end_socket,
          .own_inflight = state.own_inflight,
          .inflight = state.inflight};
}

SessionState state_of(const HalfHeader& header) noexcept {
  SessionState state;
  state.features = header.features;
  state.protocol_features = header.protocol_features;
  state.features_set = header.features_set;
  state.protocol_features_set = header.protocol_features_set;
  state.status = header.status;
  state.mtu = header.mtu;
  state.log_bytes = header.log_bytes;
  state.log_offset = header.log_offset;
  state.log = header.log;
  state.log_signal = header.log_signal;
  state.back_end_socket = header.back_end_socket;
  state.own_inflight = header.own_inflight;
  state.inflight = header.inflight;
  return state;
}

/// rest: what follows the header, as many regions and rings as it says.
Result<SessionState> whole_state(const HalfHeader& header, std::span<const std::byte> rest) {
  SessionState state = state_of(header);
  state.regions.resize(header.region_count);
  state.rings.resize(header.ring_count);
  const auto take = [&rest](auto& list) {
    const std::size_t bytes = list.size() * sizeof list[0];
    if (bytes != 0) std::memcpy(list.data(), rest.data(), bytes);
    rest = rest.subspan(bytes);
  };
  take(state.regions);
  take(state.rings);
  // Each becomes a message that is repeated.
  for (const RegionState& region : state.regions)
    if (region.additions == 0 || region.additions > additions_most)
      return protocol_violation("a session's record of a region that was added {} times: expected 1 to {}",
                                region.additions, additions_most);
  return state;
}

Error wrong_size(std::size_t found, std::size_t expected, const RecordLimits& limits) {
  return protocol_violation("a session's record has {} bytes, expected {} for {} rings and {} regions", found, expected,
                            limits.rings, limits.regions);
}

/// A word of the file's header.
std::atomic_ref<std::uint32_t> word_at(std::byte* view, std::size_t offset) noexcept {
  return std::atomic_ref<std::uint32_t>(*reinterpret_cast<std::uint32_t*>(view + offset));
}

}  // namespace

std::size_t SessionRecord::half_bytes() const noexcept {
  return sizeof(HalfHeader) + limits_.regions * sizeof(RegionState) + limits_.rings * sizeof(RingState);
}

std::size_t SessionRecord::file_bytes() const noexcept { return sizeof(FileHeader) + 2 * half_bytes(); }

Result<SessionRecord> SessionRecord::create(const RecordLimits& limits) {
  if (limits.rings == 0 || limits.rings > rings_most || limits.regions == 0 || limits.regions > regions_most)
    return invalid_argument("a record of {} rings and {} regions: expected 1 to {} and 1 to {}", limits.rings,
                            limits.regions, rings_most, regions_most);
  SessionRecord sizes({}, nullptr, limits);
  UniqueFd file(::memfd_create("vhostx-session", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(sizes.file_bytes())) != 0 ||
      ::fcntl(file.get(), F_ADD_SEALS, seals) != 0)
    return make_system_error(errno, "making a session's record of {} bytes", sizes.file_bytes());
  auto record = map(std::move(file), limits);
  if (!record) return record;
  const FileHeader header{.magic = magic, .rings_max = limits.rings, .regions_max = limits.regions};
  std::memcpy(record->view_, &header, sizeof header);
  SessionState none;
  none.rings.resize(limits.rings);
  if (auto written = record->write(none); !written) return written.error();
  return record;
}

Result<SessionRecord> SessionRecord::adopt(UniqueFd file, const RecordLimits& limits) {
  const auto bytes = sealed_bytes(file.get(), "a session's record");
  if (!bytes) return bytes.error();
  const SessionRecord sizes({}, nullptr, limits);
  if (*bytes != sizes.file_bytes()) return wrong_size(static_cast<std::size_t>(*bytes), sizes.file_bytes(), limits);
  return map(std::move(file), limits);
}

Result<SessionRecord> SessionRecord::map(UniqueFd file, const RecordLimits& limits) {
  SessionRecord record(std::move(file), nullptr, limits);
  void* const view = ::mmap(nullptr, record.file_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, record.file_.get(), 0);
  if (view == MAP_FAILED)
    return make_system_error(errno, "mapping a session's record of {} bytes", record.file_bytes());
  record.view_ = static_cast<std::byte*>(view);
  return record;
}

SessionRecord::SessionRecord(SessionRecord&& other) noexcept
    : file_(std::move(other.file_)), view_(std::exchange(other.view_, nullptr)), limits_(other.limits_) {}

SessionRecord::~SessionRecord() {
  if (view_ != nullptr) ::munmap(view_, file_bytes());
}

void SessionRecord::begin_message() noexcept {
  word_at(view_, offsetof(FileHeader, in_work)).fetch_or(message_in_work);
}

void SessionRecord::end_message() noexcept {
  word_at(view_, offsetof(FileHeader, in_work)).fetch_and(~message_in_work);
}

void SessionRecord::begin_answer() noexcept { word_at(view_, offsetof(FileHeader, in_work)).fetch_or(answer_in_work); }

void SessionRecord::end_answer() noexcept { word_at(view_, offsetof(FileHeader, in_work)).fetch_and(~answer_in_work); }

std::uint32_t SessionRecord::answers_due() const noexcept {
  return word_at(view_, offsetof(FileHeader, answers_due)).load();
}

void SessionRecord::set_answers_due(std::uint32_t count) noexcept {
  word_at(view_, offsetof(FileHeader, answers_due)).store(count);
}

Result<void> SessionRecord::write(const SessionState& state) {
  if (state.rings.size() > limits_.rings || state.regions.size() > limits_.regions)
    return make_error(ErrorCode::limit, "a session of {} rings and {} regions: its record has room for {} and {}",
                      state.rings.size(), state.regions.size(), limits_.rings, limits_.regions);
  const auto in_use = word_at(view_, offsetof(FileHeader, half));
  const std::uint32_t next = in_use.load(std::memory_order_relaxed) == half_names[0] ? 1 : 0;
  std::byte* const half = view_ + sizeof(FileHeader) + next * half_bytes();
  std::byte* at = half + sizeof(HalfHeader);
  const auto put = [&at](const auto& list) {
    const std::size_t bytes = list.size() * sizeof list[0];
    if (bytes != 0) std::memcpy(at, list.data(), bytes);
    at += bytes;
  };
  put(state.regions);
  put(state.rings);
  HalfHeader header = header_of(state);
  const std::byte* const rest = half + sizeof header;
  header.sum = sum_of(header, rest, static_cast<std::size_t>(at - rest));
  std::memcpy(half, &header, sizeof header);
  in_use.store(half_names[next], std::memory_order_release);
  return {};
}

// Each byte once, as others may write meanwhile: behind the fence the compiler takes nothing from the file again.
Result<SessionState> SessionRecord::read() const {
  const std::span<const std::byte> file(view_, file_bytes());
  auto seen = parse(file.size(), [file](std::size_t offset, void* to, std::size_t bytes) {
    std::memcpy(to, file.subspan(offset, bytes).data(), bytes);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  });
  if (!seen) return std::move(seen).error();
  if (seen->limits != limits_)
    return protocol_violation("a session's record for {} rings and {} regions: expected {} and {}", seen->limits.rings,
                              seen->limits.regions, limits_.rings, limits_.regions);
  if (seen->has_message) return protocol_violation("the process before ended in the midst of a message");
  return std::move(seen->state);
}

std::size_t SessionRecord::bytes_most() noexcept {
  return SessionRecord({}, nullptr, {rings_most, regions_most}).file_bytes();
}

Result<SessionRecord::Seen> SessionRecord::read_copy(std::span<const std::byte> copy) {
  return parse(copy.size(), [copy](std::size_t offset, void* to, std::size_t bytes) {
    std::memcpy(to, copy.subspan(offset, bytes).data(), bytes);
  });
}

/// fetch(offset, to, bytes): called once for each part that is used.
template <typename Fetch>
Result<SessionRecord::Seen> SessionRecord::parse(std::size_t bytes, Fetch fetch) {
  FileHeader file;
  if (bytes < sizeof file) return protocol_violation("{} bytes are no session's record", bytes);
  fetch(0, &file, sizeof file);
  if (file.magic != magic)
    return protocol_violation("a session's record of another version: {:#x}, expected {:#x}", file.magic, magic);
  const RecordLimits limits{file.rings_max, file.regions_max};
  const auto in_use = std::find(half_names.begin(), half_names.end(), file.half);
  if (limits.rings > rings_most || limits.regions > regions_most || in_use == half_names.end())
    return protocol_violation(
        "a session's record for {} rings and {} regions, half {:#x}: expected at most {}, {} and {:#x} or {:#x}",
        limits.rings, limits.regions, file.half, rings_most, regions_most, half_names[0], half_names[1]);
  const SessionRecord sizes({}, nullptr, limits);
  if (bytes != sizes.file_bytes()) return wrong_size(bytes, sizes.file_bytes(), limits);
  const auto number = static_cast<std::size_t>(in_use - half_names.begin());
  const std::size_t half = sizeof file + number * sizes.half_bytes();
  HalfHeader header;
  fetch(half, &header, sizeof header);
  if (header.ring_count > limits.rings || header.region_count > limits.regions)
    return protocol_violation("a session's record of {} rings and {} regions: expected at most {} and {}",
                              header.ring_count, header.region_count, limits.rings, limits.regions);
  const std::size_t region_bytes = header.region_count * sizeof(RegionState);
  std::vector<std::byte> rest(region_bytes + header.ring_count * sizeof(RingState));
  if (!rest.empty()) fetch(half + sizeof header, rest.data(), rest.size());
  if (const std::uint64_t sum = sum_of(header, rest.data(), rest.size()); sum != header.sum)
    return protocol_violation("a session's record with the sum {:#x}, expected {:#x}", header.sum, sum);
  auto state = whole_state(header, rest);
  if (!state) return std::move(state).error();
  return Seen{limits, std::move(state).value(), file.in_work != 0};
}

}  // namespace vhostx::continuity
