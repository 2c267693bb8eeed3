// SPDX-License-Identifier: BSD-3-Clause
// Rings that another process holds: what a relay publishes, whole and damaged.
#include <array>
#include <csignal>
#include <functional>
#include <new>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/port_notice.hpp"
#include "tests/protocol/open_fds.hpp"
#include "tests/tools/probe_ring_file.hpp"
#include "tools/probe/options.hpp"
#include "tools/probe/processes.hpp"
#include "tools/probe/rings/port_notices.hpp"
#include "tools/probe/rings/published.hpp"
#include "tools/probe/rings/ring_source.hpp"

namespace vhostx::test {
namespace {

using namespace tools::probe;
using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

// ---- the command line

const RingsOptions& rings_of(const std::variant<Options, tools::EarlyExit>& parsed) {
  return std::get<RingsOptions>(std::get<Options>(parsed));
}

TEST(RingsOptions, AreRead) {
  const auto parsed =
      parse_options({"rings", "/tmp/a", "--interval", "0.5", "--stuck", "3", "--once", "--json", "--stuck-receive"});
  ASSERT_TRUE(std::holds_alternative<Options>(parsed)) << std::get<tools::EarlyExit>(parsed).text;
  const RingsOptions& options = rings_of(parsed);
  EXPECT_EQ(options.process, "/tmp/a");
  EXPECT_EQ(options.interval, 500ms);
  EXPECT_EQ(options.stuck, 3s);
  EXPECT_EQ(options.count, 1U);
  EXPECT_TRUE(options.json && options.stuck_receive);
  const auto qmp = parse_options({"rings", "--qmp", "/tmp/q", "--pid", "7"});
  EXPECT_EQ(rings_of(qmp).qmp, "/tmp/q");
  EXPECT_EQ(rings_of(qmp).pid, 7);
}

TEST(RingsOptions, AreRefused) {
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"rings"},
                                                {"rings", "a", "--qmp", "b"},
                                                {"rings", "a", "--once", "--count", "2"},
                                                {"rings", "a", "--interval", "0"},
                                                {"rings", "a", "--pid", "3"},
                                                {"rings", "--qmp", "a", "--pid", "0"}})
    EXPECT_TRUE(std::holds_alternative<tools::EarlyExit>(parse_options(wrong))) << wrong.back();
}

// ---- published

ConnectionFacts example(const RingFile& file) {
  struct stat status {};
  ::fstat(file.fd(), &status);
  ConnectionFacts facts;
  facts.connection = 3;
  facts.name = "qemu (1)";
  facts.features = {protocol::VirtioFeature::event_idx};
  facts.regions = {{{0x1000, RingFile::bytes, ring_file_address, 0}, file.fd(), status.st_dev, status.st_ino},
                   {{~std::uint64_t{0}, 1, 2, 3}, -1, 0, 0}};
  facts.rings = {{0, {}, {}, false, false, {}, {}, {}},
                 {1, 256, file.addresses(), true, true, RingCounts{4, 5}, 0x3000, {}}};
  facts.log = {4096, 8192, file.fd(), status.st_dev, status.st_ino};
  return facts;
}

TEST(Published, ComesBackAsItWas) {
  const RingFile file;
  auto other = example(file);
  other.connection = 4;
  other.guest_addresses = true;
  other.network = false;
  const std::vector<ConnectionFacts> all{example(file), other};
  const auto read = connections_of(document_of(all));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, all);
  EXPECT_TRUE(connections_of(document_of({}))->empty());
}

TEST(Published, IsRefusedWhereItIsDamaged) {
  const RingFile file;
  const Json whole = Json::parse(document_of({example(file)}));
  EXPECT_TRUE(connections_of(whole.dump()));
  const auto damaged = [&whole](const char* pointer, const Json& value) {
    Json document = whole;
    document[Json::json_pointer(pointer)] = value;
    return document.dump();
  };
  const auto long_list = [](std::size_t count) { return Json(std::vector<Json>(count, Json::object())); };
  for (const std::string& document : {std::string(),
                                      std::string("[]"),
                                      std::string("null"),
                                      std::string(100000, '['),
                                      document_of({example(file)}).substr(0, 100),
                                      damaged("/format", "else"),
                                      damaged("/version", 2),
                                      damaged("/version", "1"),
                                      damaged("/connections", 1),
                                      damaged("/connections", long_list(1025)),
                                      damaged("/connections/0", 7),
                                      damaged("/connections/0/connection", -1),
                                      damaged("/connections/0/connection", 1ULL << 32),
                                      damaged("/connections/0/name", nullptr),
                                      damaged("/connections/0/features", 1.5),
                                      damaged("/connections/0/guest_addresses", 1),
                                      damaged("/connections/0/regions", long_list(1025)),
                                      damaged("/connections/0/regions/0/fd", -2),
                                      damaged("/connections/0/regions/0/fd", 1ULL << 31),
                                      damaged("/connections/0/regions/0/size", "1"),
                                      damaged("/connections/0/rings", long_list(257)),
                                      damaged("/connections/0/rings/1/size", -1),
                                      damaged("/connections/0/rings/1/addresses", Json::object()),
                                      damaged("/connections/0/rings/1/counts/kicks", {}),
                                      damaged("/connections/0/rings/1/logged_at", "here"),
                                      damaged("/connections/0/log/size", -1),
                                      damaged("/connections/0/log/fd", -2),
                                      damaged("/connections/0/rings/1/enabled", "yes")})
    EXPECT_FALSE(connections_of(document)) << document.substr(0, 200);
}

TEST(Published, IsFoundAndReadThroughProc) {
  RingFile file;
  file.available(9).used(4);
  const auto before = open_fds();
  {
    Publisher publisher;
    EXPECT_EQ(read_published(::getpid()).error().code, ErrorCode::unsupported);
    ASSERT_TRUE(publisher.publish({example(file)}));
    ASSERT_TRUE(publisher.publish({example(file)}));
    EXPECT_EQ(open_fds(), before + 1) << "one memfd, whatever was published before";
    const auto read = read_published(::getpid());
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->size(), 1U);
    const PublishedMemory memory(::getpid(), read->front());
    EXPECT_EQ(sample_ring(memory, *place_of(read->front(), read->front().rings[1])).in_flight, 5U);
    EXPECT_TRUE(sample_log(read->front(), memory.log())->marked_pages);
    ASSERT_TRUE(publisher.publish({}));
    EXPECT_TRUE(read_published(::getpid())->empty());
  }
  EXPECT_EQ(open_fds(), before);
  EXPECT_EQ(read_published(::getpid()).error().code, ErrorCode::unsupported);
  EXPECT_EQ(read_published(INT_MAX).error().system_errno, ESRCH);
}

TEST(Published, IsSealed) {
  Publisher publisher;
  ASSERT_TRUE(publisher.publish({}));
  const auto fds = descriptors_of(::getpid());
  int published = -1;
  for (const auto& each : *fds)
    if (each.target == "/memfd:vhostx-probe-rings (deleted)") published = each.fd;
  ASSERT_GE(published, 0);
  EXPECT_EQ(::write(published, "x", 1), -1);
  EXPECT_EQ(::ftruncate(published, 0), -1);
}

TEST(Published, IsNoGuestMemoryOfThatName) {
  const UniqueFd memory(::memfd_create(published_name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const std::string document = document_of({});
  ASSERT_GT(::write(memory.get(), document.data(), document.size()), 0);
  const auto read = read_published(::getpid());
  ASSERT_FALSE(read) << "not sealed";
  EXPECT_EQ(read.error().code, ErrorCode::unsupported);
}

TEST(Published, MemoryThatIsAnotherFileByNowIsNotRead) {
  RingFile file, other;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  auto facts = example(file);
  for (const int fd : {other.fd(), reader.get(), INT_MAX, -1}) {
    facts.regions[0].fd = fd;
    const PublishedMemory memory(::getpid(), facts);
    EXPECT_FALSE(memory.load<std::uint16_t>(ring_file_address)) << fd;
  }
}

TEST(ProcessSource, SaysWhatToDoWhereNoRingsAreShown) {
  const auto source = open_process(std::to_string(::getpid()));
  ASSERT_FALSE(source);
  for (const std::string& word :
       std::initializer_list<std::string>{"shows no rings", "vhostx-probe trace", "--qmp", std::to_string(::getpid())})
    EXPECT_NE(source.error().message.find(word), std::string::npos) << source.error().message;
  EXPECT_EQ(open_process(std::to_string(INT_MAX)).error().system_errno, ESRCH);
}

// ---- notices of ports

/// A notice as the library keeps it, with one vring, in a mapping that is found by its name.
class Notice {
 public:
  explicit Notice(const char* name = port_notice_name) {
    const UniqueFd file(::memfd_create(name, MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file.get(), bytes), 0);
    pages_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0);
    EXPECT_NE(pages_, MAP_FAILED);
    port = new (pages_) PortNotice;
    vring = new (port + 1) VringNotice;
    port->magic = port_notice_magic;
    port->version = port_notice_version;
    port->vrings = 1;
    std::string_view("/tmp/a").copy(port->socket_path.data(), 6);
  }
  ~Notice() { ::munmap(pages_, bytes); }
  Notice(const Notice&) = delete;
  Notice& operator=(const Notice&) = delete;

  PortNotice* port;
  VringNotice* vring;

 private:
  static constexpr std::size_t bytes = sizeof(PortNotice) + sizeof(VringNotice);
  void* pages_;
};

std::vector<NoticedPort> noticed() {
  const auto memory = ProcessMemory::open(::getpid());
  return *read_port_notices(::getpid(), *memory);
}

TEST(PortNotices, AreRead) {
  EXPECT_TRUE(noticed().empty());
  const Notice notice;
  ASSERT_EQ(noticed().size(), 1U);
  EXPECT_EQ(noticed()[0].socket_path, "/tmp/a");
  EXPECT_FALSE(noticed()[0].connected);
  EXPECT_TRUE(noticed()[0].facts.rings.empty()) << "nobody has configured it";
  notice.port->connected = 1;
  notice.port->front_end_pid = 7;
  *notice.vring = {1, 2, 3, 256, 1, 1, 0, 0, 0, {}, 0x77};
  EXPECT_EQ(noticed()[0].front_end_pid, 7);
  const RingFacts expected{0, 256, RingAddresses{1, 2, 3}, true, true, {}, {}, {}, 0x77};
  EXPECT_EQ(noticed()[0].facts.rings.at(0), expected);
  EXPECT_FALSE(noticed()[0].facts.log);
  notice.vring->logged = 1;
  EXPECT_EQ(noticed()[0].facts.rings.at(0).logged_at, 0U);
  notice.vring->log = 0x3000;
  EXPECT_EQ(noticed()[0].facts.rings.at(0).logged_at, 0x3000U);
  notice.port->log = 0x1234;
  notice.port->log_bytes = 4096;
  notice.port->log_offset = 8192;
  EXPECT_EQ(noticed()[0].facts.log, (LogFacts{4096, 8192}));
  EXPECT_EQ(noticed()[0].log_address, 0x1234U);
}

TEST(PortNotices, SayWhyARingIsNotServed) {
  const Notice notice;
  notice.vring->size = 8;
  notice.vring->waits_for_kick = 1;
  EXPECT_EQ(noticed()[0].facts.rings.at(0).problem, "waits for the driver's first kick");
  notice.vring->fault = {'b', 'a', 'd', '_', 'n', 'e', 'x', 't'};
  EXPECT_NE(noticed()[0].facts.rings.at(0).problem.find("(bad_next)"), std::string::npos);
}

TEST(PortNotices, AreLeftOutWhereTheyAreDamaged) {
  const Notice other_name("vhostx-porter");
  const std::vector<std::function<void(Notice&)>> damages{
      [](Notice& notice) { ++notice.port->magic; }, [](Notice& notice) { ++notice.port->version; },
      [](Notice& notice) { notice.port->vrings = port_notice_vrings_max + 1; },
      [](Notice& notice) { notice.port->sequence = 5; }};
  for (const auto& damage : damages) {
    Notice notice;
    damage(notice);
    EXPECT_TRUE(noticed().empty());
  }
  Notice endless;  // no zero at the end, and more vrings than there are bytes
  endless.port->socket_path.fill('x');
  EXPECT_EQ(noticed().at(0).socket_path.size(), endless.port->socket_path.size());
}

TEST(PortSource, WatchesOnePortOrAll) {
  const Notice first, second;
  second.port->socket_path = {'/', 'b'};
  const std::string pid = std::to_string(::getpid());
  const auto source = open_process(pid);
  ASSERT_TRUE(source) << source.error().message;
  RingWatch watch;
  ASSERT_TRUE((*source)->refresh(watch, [] {}));
  EXPECT_EQ((*source)->remarks().size(), 2U);
  RingFile file;
  file.available(9).used(4);
  first.port->connected = 1;
  first.port->features = std::uint64_t{1} << 29;  // EVENT_IDX
  void* const pages = ::mmap(nullptr, RingFile::bytes, PROT_READ, MAP_SHARED, file.fd(), 0);
  ASSERT_NE(pages, MAP_FAILED);
  const auto here = reinterpret_cast<std::uintptr_t>(pages);
  const auto place = file.addresses();
  const auto address = [&](std::uint64_t of) { return of - ring_file_address + here; };
  *first.vring = {address(place.descriptor), address(place.available), address(place.used), 256, 1, 1, 0, 0, {}};
  ASSERT_TRUE((*source)->refresh(watch, [] {}));
  const auto rows = watch.sample(1s);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].sample.in_flight, 5U) << rows[0].sample.problem;
  EXPECT_EQ(rows[0].name, "/tmp/a");
  EXPECT_EQ((*source)->remarks(), std::vector<std::string>{"/b: no front-end is connected"});
  ::munmap(pages, RingFile::bytes);
}

// ---- sockets

/// A listening socket with a path of its own.
class Listener {
 public:
  Listener() : path_("/tmp/vhostx-probe-" + std::to_string(::getpid()) + ".sock") {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ::unlink(path_.c_str());
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(fd_.get(), 1))
      throw std::runtime_error("bind");
  }
  ~Listener() { ::unlink(path_.c_str()); }
  const std::string& path() const noexcept { return path_; }
  int fd() const noexcept { return fd_.get(); }

 private:
  std::string path_;
  UniqueFd fd_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

/// As with socket activation: systemd has the socket too, and the lower number.
TEST(RelaySource, IsFoundAmongSeveralThatHaveItsSocket) {
  const Listener listener;
  const pid_t parent = ::getpid();
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    RingFile file;
    Publisher publisher;
    const bool published = publisher.publish({example(file)}).ok();
    static_cast<void>(::write(told[1], published ? "y" : "n", 1) == 1 && ::pause());
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(told[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto pids = find_listeners(listener.path());
  const auto source = open_process(listener.path());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int end : told) ::close(end);
  ASSERT_TRUE(pids);
  EXPECT_EQ(*pids, (std::vector<int>{parent, child}));
  EXPECT_TRUE(source) << source.error().message;
}

TEST(RelaySource, IsFoundByItsSocket) {
  const Listener listener;
  const auto pid = find_listener(listener.path());
  ASSERT_TRUE(pid) << pid.error().message;
  EXPECT_EQ(*pid, ::getpid());
  RingFile file;
  Publisher publisher;
  ASSERT_TRUE(publisher.publish({example(file)}));
  const auto source = open_process(listener.path());
  ASSERT_TRUE(source);
  RingWatch watch;
  ASSERT_TRUE((*source)->refresh(watch, [] {}));
  EXPECT_EQ(watch.sample(1s).size(), 2U);
  ASSERT_TRUE(publisher.publish({}));
  ASSERT_TRUE((*source)->refresh(watch, [] {}));
  EXPECT_TRUE(watch.sample(2s).empty());
  EXPECT_EQ(find_listener("/nowhere").error().message, "nobody listens there");
}

}  // namespace
}  // namespace vhostx::test
