// SPDX-License-Identifier: BSD-3-Clause
// Loans that are freed on a thread of their own, while a front-end does whatever it may.
#include <atomic>
#include <mutex>
#include <random>

#include <gtest/gtest.h>

#include "tests/backend/loans_fixture.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using Request = FrontEndRequest;

/// Takes packets on one thread, frees them on another one, in any order; each is read before it is freed.
class Application {
 public:
  explicit Application(unsigned seed) : random_(seed), freer_([this] { run_freer(); }) {}
  ~Application() {
    use(nullptr);
    ended_ = true;
    freer_.join();
  }
  /// The port that is polled from now on; null: none. Bursts on the one before are over when this returns.
  void use(Port* port) {
    if (poller_.joinable()) {
      polls_ = false;
      poller_.join();
    }
    if (port == nullptr) return;
    polls_ = true;
    poller_ = std::thread([this, port] { run_poller(*port); });
  }
  std::uint64_t taken() const { return taken_; }

 private:
  void run_poller(Port& port) {
    std::array<rte_mbuf*, 8> packets;
    while (polls_) {
      const std::uint16_t count = port.from_guest().dequeue_burst(test_pool(), packets.data(), packets.size());
      taken_ += count;
      if (count == 0) port.from_guest().poll_completions();
      const std::lock_guard guard(lock_);
      held_.insert(held_.end(), packets.begin(), packets.begin() + count);
    }
  }
  void run_freer() {
    while (!ended_ || holds()) {
      if (rte_mbuf* const packet = pick()) {
        // No more than that it can be read: a guest that has its buffer back may write there.
        volatile std::uint8_t sum = 0;
        for (const rte_mbuf* segment = packet; segment != nullptr; segment = segment->next)
          for (std::uint16_t i = 0; i < segment->data_len; i = static_cast<std::uint16_t>(i + 256))
            sum = sum + rte_pktmbuf_mtod(segment, const std::uint8_t*)[i];
        rte_pktmbuf_free(packet);
      } else {
        std::this_thread::yield();
      }
    }
  }
  rte_mbuf* pick() {
    const std::lock_guard guard(lock_);
    if (held_.empty() || (!ended_ && random_() % 4 == 0)) return nullptr;
    std::swap(held_[random_() % held_.size()], held_.back());
    rte_mbuf* const packet = held_.back();
    held_.pop_back();
    return packet;
  }
  bool holds() {
    const std::lock_guard guard(lock_);
    return !held_.empty();
  }

  std::mt19937 random_;
  std::mutex lock_;
  std::vector<rte_mbuf*> held_;
  std::atomic<bool> polls_{false};
  std::atomic<bool> ended_{false};
  std::atomic<std::uint64_t> taken_{0};
  std::thread poller_;
  std::thread freer_;
};

/// A front-end with one machine at a time.
class Session {
 public:
  explicit Session(PortFixture& fixture) : fixture_(fixture) { connect(); }

  void connect() {
    machine_.reset();
    machine_ = std::make_unique<FakeMachine>(fixture_.options.socket_path);
    machine_->bring_up();
    room_ = machine_->guest().allocate(64 * 4096);
  }
  /// False: the guest has nothing to transmit with.
  bool transmit(std::mt19937& random) {
    auto& driver = machine_->ring(1).driver;
    driver.reap();
    const bool can = driver.free_descriptors() > 2;
    for (int i = 0; i < 4 && driver.free_descriptors() > 2; ++i) {
      const std::uint64_t at = room_ + 4096 * (turn_++ % 64);
      auto chain = driver.chain();
      chain.raw(at, 1000 + static_cast<std::uint32_t>(random() % 1000));
      if (random() % 2 == 0) chain.raw(at + 2048, 1024);
      chain.publish();
    }
    return can;
  }
  void change_memory() { machine_->send_memory(); }
  void stop_and_start() {
    const auto base = must(machine_->front_end().get_vring_base(1));
    EXPECT_TRUE(machine_->ring(1).driver.has_back_up_to(base)) << "every chain is back at the driver";
    machine_->configure_ring(1, base);
    machine_->send_fds(1);
    machine_->kick(1);
  }
  void reset() {
    EXPECT_EQ(machine_->status_of(make_request(Request::reset_device, true)), 0U);
    connect();
  }
  void leave() { machine_.reset(); }

 private:
  PortFixture& fixture_;
  std::unique_ptr<FakeMachine> machine_;
  std::uint64_t room_ = 0;
  std::uint64_t turn_ = 0;
};

TEST(LoansThreads, AThousandRandomStepsWithFreesOnAnotherThread) {
  start_eal();
  const std::size_t mappings = guest_mappings();
  std::mt19937 random(4);
  {
    PortFixture fixture([](PortOptions& options) {
      options.zero_copy = true;
      options.copy_below = 512;
      options.loan_timeout = std::chrono::milliseconds(2);
    });
    Application application(5);
    auto session = std::make_unique<Session>(fixture);
    application.use(fixture.port.get());
    for (int step = 0; step < 1000; ++step) {
      const std::uint64_t before = application.taken();
      // Now and then the application is waited for, so that on a busy machine it has a part in this too.
      if (session->transmit(random) && step % 8 == 0) wait_until([&] { return application.taken() > before; });
      switch (random() % 12) {
        case 0:
          session->change_memory();
          break;
        case 1:
          session->stop_and_start();
          break;
        case 2:
          session->connect();
          break;
        case 3:
          session->reset();
          break;
        case 4:
          if (random() % 4 != 0) break;
          application.use(nullptr);
          fixture.port.reset();
          session->leave();
          fixture.port = must(fixture.backend->open_port(fixture.options));
          session->connect();
          application.use(fixture.port.get());
          break;
        default:
          break;
      }
    }
    EXPECT_GT(application.taken(), 0U);
    session->stop_and_start();
    session.reset();
    application.use(nullptr);
    fixture.port.reset();
  }
  EXPECT_EQ(guest_mappings(), mappings);
  EXPECT_EQ(rte_mempool_in_use_count(test_pool()), 0U);
}

}  // namespace
}  // namespace vhostx::test
