// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/frame.hpp"

#include <algorithm>
#include <bit>

namespace vhostx::tools::bench {
namespace {

constexpr std::uint32_t ethernet_bytes = 14;
constexpr std::uint32_t ip_bytes = 20;
constexpr std::uint32_t udp_bytes = 8;
constexpr std::uint32_t tcp_bytes = 20;
constexpr std::uint32_t ip_at = ethernet_bytes;
constexpr std::uint32_t transport_at = ethernet_bytes + ip_bytes;
constexpr std::uint8_t protocol_tcp = 6;
constexpr std::uint8_t protocol_udp = 17;
constexpr std::uint16_t our_port = 0x7668;
constexpr std::uint16_t magic = 0x7862;

// Offsets inside the payload.
constexpr std::uint32_t body_sum_at = 2;
constexpr std::uint32_t number_at = 6;
constexpr std::uint32_t time_at = 14;
constexpr std::uint32_t head_sum_at = 20;
constexpr std::uint32_t body_at = 22;
constexpr std::uint64_t time_mask = (std::uint64_t{1} << 48) - 1;
constexpr std::uint32_t mark_stride_bytes = 32 * 8;

template <typename T>
T load(const std::uint8_t* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <typename T>
void store(std::uint8_t* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}
void store_big16(std::uint8_t* to, std::uint32_t value) noexcept {
  to[0] = static_cast<std::uint8_t>(value >> 8);
  to[1] = static_cast<std::uint8_t>(value);
}
std::uint32_t load_big16(const std::uint8_t* from) noexcept {
  return static_cast<std::uint32_t>(from[0] << 8 | from[1]);
}

/// The finaliser of splitmix64.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

std::uint16_t head_sum(std::uint16_t stream, std::uint32_t bytes, std::uint64_t number,
                       std::uint64_t time_ns) noexcept {
  return static_cast<std::uint16_t>(mix(number + time_ns * 0x9e3779b97f4a7c15 + (std::uint64_t{stream} << 32 | bytes)));
}

std::uint32_t body_sum(const BodySums& sums, std::uint64_t number) noexcept {
  const std::uint64_t all =
      sums[0] + std::rotl(sums[1], 17) + std::rotl(sums[2], 31) + std::rotl(sums[3], 47) + number * 0x9e3779b97f4a7c15;
  return static_cast<std::uint32_t>(mix(all) >> 32);
}

constexpr std::uint64_t mark(std::uint64_t number) noexcept { return number ^ 0xa5a5'5a5a'c3c3'3c3c; }

/// RFC 1071, over big-endian words; `bytes` is even.
std::uint32_t add_words(const std::uint8_t* from, std::uint32_t bytes, std::uint32_t sum) noexcept {
  for (std::uint32_t i = 0; i < bytes; i += 2) sum += load_big16(from + i);
  return sum;
}
std::uint32_t fold(std::uint32_t sum) noexcept {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

void write_ip(std::uint8_t* ip, std::uint32_t bytes, std::uint8_t protocol) noexcept {
  ip[0] = 0x45;
  store_big16(ip + 2, bytes);
  ip[6] = 0x40;  // not to be fragmented
  ip[8] = 64;
  ip[9] = protocol;
  const std::array<std::uint8_t, 8> addresses{198, 18, 0, 1, 198, 18, 0, 2};  // RFC 2544
  std::memcpy(ip + 12, addresses.data(), addresses.size());
  store_big16(ip + 10, ~fold(add_words(ip, ip_bytes, 0)) & 0xffff);
}

void write_udp(std::uint8_t* udp, std::uint32_t bytes, std::uint16_t stream) noexcept {
  store_big16(udp, stream);
  store_big16(udp + 2, our_port);
  store_big16(udp + 4, bytes);  // no checksum: 0
}

/// With the pseudo header's sum where the checksum will be (VIRTIO 1.2, 5.1.6.2).
void write_tcp(std::uint8_t* tcp, const std::uint8_t* ip, std::uint32_t bytes, std::uint16_t stream) noexcept {
  store_big16(tcp, stream);
  store_big16(tcp + 2, our_port);
  tcp[12] = 0x50;
  tcp[13] = 0x10;                 // ACK
  store_big16(tcp + 14, 0xffff);  // window
  store_big16(tcp + 16, fold(add_words(ip + 12, 8, protocol_tcp + bytes)));
}

}  // namespace

BodySums sum_body(const std::uint8_t* body, std::size_t bytes) noexcept {
  BodySums sums{};
  std::size_t done = 0;
  for (; done + 32 <= bytes; done += 32)
    for (std::size_t lane = 0; lane < 4; ++lane) sums[lane] += load<std::uint64_t>(body + done + 8 * lane);
  for (std::size_t lane = 0; done < bytes; done += 8, ++lane) {
    std::uint64_t word = 0;
    std::memcpy(&word, body + done, bytes - done < 8 ? bytes - done : 8);
    sums[lane] += word;
  }
  return sums;
}

FrameTemplate::FrameTemplate(const FrameSpec& spec) : spec_(spec), bytes_(std::max(spec.bytes, frame_bytes_min)) {
  const bool tcp = spec.segment_bytes != 0;
  std::uint8_t* const frame = bytes_.data();
  std::memcpy(frame, spec.destination.data(), 6);
  std::memcpy(frame + 6, spec.source.data(), 6);
  store_big16(frame + 12, 0x0800);
  write_ip(frame + ip_at, spec.bytes - ip_at, tcp ? protocol_tcp : protocol_udp);
  if (tcp) {
    write_tcp(frame + transport_at, frame + ip_at, spec.bytes - transport_at, spec.stream);
    header_ = {VirtioNetHeader::needs_checksum_flag,
               VirtioNetHeader::gso_tcp4,
               transport_at + tcp_bytes,
               spec.segment_bytes,
               transport_at,
               16,
               0};
  } else {
    write_udp(frame + transport_at, spec.bytes - transport_at, spec.stream);
  }
  payload_ = transport_at + (tcp ? tcp_bytes : udp_bytes);
  store<std::uint16_t>(frame + payload_, magic);
  std::uint8_t* const body = frame + payload_ + body_at;
  const std::uint32_t body_bytes = spec.bytes - payload_ - body_at;
  for (std::uint32_t i = 0; i < body_bytes; ++i)
    body[i] = static_cast<std::uint8_t>(mix(std::uint64_t{spec.stream} << 32 | i / 8) >> 8 * (i % 8));
  marks_ = (body_bytes + mark_stride_bytes - 8) / mark_stride_bytes;
  for (std::uint32_t i = 0; i < marks_; ++i) store<std::uint64_t>(body + i * mark_stride_bytes, 0);
  sums_ = sum_body(body, body_bytes);
}

void FrameTemplate::stamp(std::uint8_t* frame, std::uint64_t number, std::uint64_t time_ns) const noexcept {
  static_assert(transport_at + udp_bytes + body_at == 64);  // one cache line
  BodySums sums = sums_;
  sums[0] += marks_ * mark(number);
  time_ns &= time_mask;
  std::uint8_t* const payload = frame + payload_;
  store(payload + body_sum_at, body_sum(sums, number));
  store(payload + number_at, number);
  const std::uint64_t sum = head_sum(spec_.stream, spec_.bytes, number, time_ns);
  store(payload + time_at, time_ns | sum << 48);
  for (std::uint32_t i = 0; i < marks_; ++i) store(payload + body_at + i * mark_stride_bytes, mark(number));
}

Inspected inspect(const std::uint8_t* frame, std::uint32_t bytes, Check check) noexcept {
  if (bytes < frame_bytes_min || load_big16(frame + 12) != 0x0800 || frame[ip_at] != 0x45) return {};
  const std::uint8_t protocol = frame[ip_at + 9];
  const std::uint32_t payload_at = transport_at + (protocol == protocol_tcp ? tcp_bytes : udp_bytes);
  if (protocol != protocol_tcp && protocol != protocol_udp) return {};
  if (bytes < payload_at + body_at || load<std::uint16_t>(frame + payload_at) != magic ||
      load_big16(frame + transport_at + 2) != our_port)
    return {};
  const std::uint8_t* const payload = frame + payload_at;
  Inspected seen{Inspected::Kind::damaged, static_cast<std::uint16_t>(load_big16(frame + transport_at)),
                 load<std::uint64_t>(payload + number_at), load<std::uint64_t>(payload + time_at) & time_mask};
  if (load<std::uint16_t>(payload + head_sum_at) != head_sum(seen.stream, bytes, seen.number, seen.time_ns))
    return seen;
  if (check == Check::full) {
    const BodySums sums = sum_body(payload + body_at, bytes - payload_at - body_at);
    if (load<std::uint32_t>(payload + body_sum_at) != body_sum(sums, seen.number)) return seen;
  }
  seen.kind = Inspected::Kind::intact;
  return seen;
}

}  // namespace vhostx::tools::bench
