// SPDX-License-Identifier: BSD-3-Clause
// numbered-flow PEER PORT INTERVAL_US IN OUT: sends numbered UDP datagrams to PEER and receives PEER's, both on PORT.
//
// Commands come as lines from the FIFO at IN; each is answered by a line to the FIFO at OUT:
//   start, stop   send a datagram every INTERVAL_US microseconds, or send nothing (as at first)
//   hold, go      leave what arrives in the socket's queue, or receive (as at first)
//   report        what was sent and received so far, see report()
//
// A datagram is its number and a pattern that follows from the number, 8000 bytes. Those that wait in the socket's
// queue are still where the back-end wrote them: nothing in the guest has touched these pages. So a guest that holds,
// moves to another machine and then finds every datagram whole has taken all that the back-end wrote with it.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include <sys/socket.h>

namespace {

constexpr std::size_t datagram_words = 1000;
constexpr std::size_t datagram_bytes = datagram_words * sizeof(std::uint64_t);
constexpr std::size_t numbers_max = std::size_t{1} << 20;
constexpr std::size_t kept = 1024;
constexpr int queue_bytes = 64 << 20;
constexpr std::int64_t late_max_ns = 50'000'000;  // a sender that got no CPU for longer does not make up for it
constexpr std::int64_t second_ns = 1'000'000'000;

using Datagram = std::array<std::uint64_t, datagram_words>;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "numbered-flow: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * second_ns + now.tv_nsec;
}

Datagram datagram_of(std::uint64_t number) {
  Datagram datagram{number};
  for (std::size_t i = 1; i < datagram_words; ++i)
    datagram[i] = (number + 1) * 0x9e3779b97f4a7c15u + i * 0xd1b54a32d192ed03u;
  return datagram;
}

/// Both ends of the flow on one socket.
class Flow {
 public:
  Flow(const char* peer, const char* port, std::int64_t interval_ns) : interval_ns_(interval_ns) {
    peer_.sin_family = AF_INET;
    peer_.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    if (::inet_pton(AF_INET, peer, &peer_.sin_addr) != 1) fail("the peer's address");
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_port = peer_.sin_port;
    if (socket_ < 0 || ::bind(socket_, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0) fail("binding the socket");
    if (::setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &queue_bytes, sizeof queue_bytes) != 0)
      fail("SO_RCVBUFFORCE");
  }

  int socket() const { return socket_; }
  bool holds() const { return holds_; }
  bool sends() const { return sends_; }
  std::int64_t next_ns() const { return next_ns_; }

  void start() {
    sends_ = true;
    next_ns_ = now_ns();
  }
  void stop() { sends_ = false; }
  void hold(bool holds) { holds_ = holds; }

  /// Sends what is due.
  void send() {
    const auto now = now_ns();
    next_ns_ = std::max(next_ns_, now - late_max_ns);
    for (; sends_ && next_ns_ <= now; next_ns_ += interval_ns_) {
      const auto datagram = datagram_of(sent_);
      const auto bytes =
          ::sendto(socket_, datagram.data(), datagram_bytes, 0, reinterpret_cast<sockaddr*>(&peer_), sizeof peer_);
      if (bytes == static_cast<ssize_t>(datagram_bytes)) ++sent_;
    }
  }

  /// Takes what has arrived.
  void receive() {
    for (;;) {
      Datagram& slot = kept_[received_ % kept];
      const auto bytes = ::recv(socket_, slot.data(), datagram_bytes, MSG_DONTWAIT | MSG_TRUNC);
      if (bytes < 0) return;
      const auto number = slot[0];
      if (bytes != static_cast<ssize_t>(datagram_bytes) || number >= numbers_max || slot != datagram_of(number)) {
        ++damaged_;
        continue;
      }
      count(number);
      numbers_[received_++ % kept] = number;
    }
  }

  /// "sent N next N received N duplicated N reordered N damaged N lost N in A-B,A-B...", where next is one more than
  /// the greatest number received, and lost are the numbers below it that did not come, with the first of their runs.
  std::string report() const {
    std::string runs;
    std::size_t lost = 0;
    int runs_shown = 0;
    for (std::uint64_t first = 0; first < next_; ++first) {
      if (seen_[first] != 0) continue;
      auto last = first;
      while (seen_[last + 1] == 0) ++last;
      lost += last - first + 1;
      if (runs_shown++ < runs_shown_max)
        runs.append(runs.empty() ? "" : ",").append(std::to_string(first)).append("-").append(std::to_string(last));
      first = last;
    }
    std::array<char, 256> text{};
    std::snprintf(text.data(), text.size(),
                  "sent %llu next %llu received %llu duplicated %llu reordered %llu damaged %llu lost %llu in ",
                  number(sent_), number(next_), number(received_), number(duplicated_), number(reordered_),
                  number(damaged_ + spoiled()), number(lost));
    return text.data() + (runs.empty() ? "-" : runs);
  }

 private:
  static constexpr int runs_shown_max = 32;

  static unsigned long long number(std::uint64_t value) { return value; }

  void count(std::uint64_t number) {
    if (seen_[number] != 0)
      ++duplicated_;
    else if (number < next_)
      ++reordered_;
    seen_[number] = 1;
    next_ = std::max(next_, number + 1);
  }

  /// How many of the datagrams in memory are not any more what they were when they came.
  std::uint64_t spoiled() const {
    std::uint64_t count = 0;
    for (std::size_t slot = 0; slot < std::min<std::uint64_t>(received_, kept); ++slot)
      if (slot != received_ % kept && kept_[slot] != datagram_of(numbers_[slot])) ++count;
    return count;
  }

  sockaddr_in peer_{};
  int socket_ = ::socket(AF_INET, SOCK_DGRAM, 0);
  std::int64_t interval_ns_;
  std::int64_t next_ns_ = 0;  // when the next datagram is due
  bool sends_ = false;
  bool holds_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t reordered_ = 0;
  std::uint64_t damaged_ = 0;
  std::vector<std::uint8_t> seen_ = std::vector<std::uint8_t>(numbers_max + 1);
  std::vector<Datagram> kept_ = std::vector<Datagram>(kept);
  std::vector<std::uint64_t> numbers_ = std::vector<std::uint64_t>(kept);
};

std::string answer_to(Flow& flow, std::string_view command) {
  if (command == "start")
    flow.start();
  else if (command == "stop")
    flow.stop();
  else if (command == "hold" || command == "go")
    flow.hold(command == "hold");
  else if (command == "report")
    return flow.report();
  else
    return "no such command";
  return "done";
}

/// Opening it waits for the one who reads the answer.
void write_answer(const char* path, const std::string& answer) {
  const int out = ::open(path, O_WRONLY);
  if (out < 0) fail(path);
  if (::dprintf(out, "%s\n", answer.c_str()) < 0) fail("answering");
  ::close(out);
}

void take_command(Flow& flow, int in, const char* out_path) {
  std::array<char, 256> text{};
  const auto bytes = ::read(in, text.data(), text.size());
  if (bytes <= 0) fail("reading a command");
  std::string_view line{text.data(), static_cast<std::size_t>(bytes)};
  write_answer(out_path, answer_to(flow, line.substr(0, line.find('\n'))));
}

[[noreturn]] void run(Flow& flow, int in, const char* out_path) {
  for (;;) {
    std::array<pollfd, 2> waits{{{in, POLLIN, 0}, {flow.holds() ? -1 : flow.socket(), POLLIN, 0}}};
    const auto wait_ns = std::clamp<std::int64_t>(flow.next_ns() - now_ns(), 0, second_ns - 1);
    const timespec wait{0, wait_ns};
    if (::ppoll(waits.data(), waits.size(), flow.sends() ? &wait : nullptr, nullptr) < 0) fail("waiting");
    flow.send();
    if (waits[1].revents != 0) flow.receive();
    if (waits[0].revents != 0) take_command(flow, in, out_path);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: numbered-flow PEER PORT INTERVAL_US IN OUT\n");
    return 2;
  }
  Flow flow(argv[1], argv[2], std::atoll(argv[3]) * 1000);
  const int in = ::open(argv[4], O_RDWR);  // not only to read: else it would be at its end between two commands
  if (in < 0) fail(argv[4]);
  run(flow, in, argv[5]);
}
