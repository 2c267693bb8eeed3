// SPDX-License-Identifier: BSD-3-Clause
#include "tests/backend/kept_guests.hpp"

#include <array>
#include <cstring>

#include "tests/support/single_step.hpp"

namespace vhostx::test {
namespace {

constexpr std::uint64_t memory_at = 0x4000'0000;
constexpr std::size_t memory_bytes = std::size_t{64} << 10;
constexpr std::uint32_t header_bytes = 12;
constexpr std::array<std::uint16_t, 2> rings{0, 1};
/// Both the index and the ring wrap within a burst.
constexpr std::uint16_t ring_begin = 0xfffe;

int number_of(const Frame& frame) {
  int number = 0;
  std::memcpy(&number, frame.data(), sizeof number);
  return number;
}

}  // namespace

Frame numbered_frame(int number, std::size_t bytes) {
  Frame frame(bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    frame[i] = static_cast<std::uint8_t>(static_cast<std::size_t>(number) * 41 + i * 7 + 1);
  std::memcpy(frame.data(), &number, sizeof number);
  return frame;
}

KeptGuest::KeptGuest(const GuestShape& shape, PortOptions port_options)
    : shape_(shape),
      listener_(must(tools::FrontEnd::listen(folder_.path("port")))),
      options_([&] {
        port_options.listen_fd = listener_.get();
        return port_options;
      }()),
      first_(vault_, options_),
      machine_(folder_.path("port"), 2, {{memory_at, memory_bytes}}) {
  for (const std::uint16_t ring : rings) driver(ring).start_at(ring_begin);
  machine_.negotiate(shape.features);
  machine_.send_memory();
  machine_.start_rings();
  for (int i = 0; i < 2; ++i) first_.events.until<VringStarted>();
  for (const std::uint16_t ring : rings)
    if (shape.kicks) first_.port->vring(ring).set_notifications(true);
}

Port& KeptGuest::adopt() {
  next_ = std::make_unique<Life>(vault_, options_);
  for (int i = 0; i < 2; ++i) next_->events.until<VringStarted>();
  return *next_->port;
}

void KeptGuest::publish(FakeDriver::Chain chain, std::uint16_t ring) {
  if (shape_.indirect) chain.indirect();
  posted_[ring].push_back(chain.publish());
}

void KeptGuest::transmit(int first, int count) {
  for (int number = first; number < first + count; ++number) {
    Frame bytes = numbered_frame(number, shape_.frame_bytes);
    const Frame header(header_bytes);
    auto chain = driver(1).chain();
    if (shape_.header_apart)
      chain.readable(header);
    else
      bytes.insert(bytes.begin(), header.begin(), header.end());
    publish(chain.readable(bytes), 1);
  }
}

void KeptGuest::post_buffers() {
  constexpr std::uint16_t longest_chain = 2;
  while (driver(0).free_descriptors() >= longest_chain) {
    auto chain = driver(0).chain();
    if (shape_.header_apart) chain.writable(header_bytes);
    publish(chain.writable(shape_.buffer_bytes - (shape_.header_apart ? header_bytes : 0)), 0);
  }
}

void KeptGuest::disable(std::uint16_t ring) {
  machine_.enable(ring, false);
  machine_.sync();
}

void KeptGuest::kill_first() {
  first_.die(vault_);
  share_with_children(machine_.guest().file(0).get());
}

// Chains are given back in the order in which they were posted.
std::vector<UsedElement> KeptGuest::reap(std::uint16_t ring) {
  FakeDriver copy = driver(ring);
  auto used = copy.reap();
  EXPECT_LE(used.size(), posted_[ring].size());
  for (std::size_t i = 0; i < used.size() && i < posted_[ring].size(); ++i)
    EXPECT_EQ(used[i].head, posted_[ring][i]) << "chain " << i << " of ring " << ring;
  return used;
}

std::size_t KeptGuest::given_back() {
  const auto used = reap(1);
  for (const UsedElement& one : used) EXPECT_EQ(one.length, 0U) << "nothing was written to it";
  return used.size();
}

std::vector<int> KeptGuest::received() {
  const auto used = reap(0);
  std::vector<int> numbers;
  for (std::size_t i = 0; i < used.size();) {
    Frame bytes = driver(0).bytes_of(used[i++]);
    EXPECT_EQ(bytes.size() > header_bytes, true) << "a used entry before it was written";
    if (bytes.size() <= header_bytes) return numbers;
    for (int more = bytes[10] + 256 * bytes[11]; more > 1 && i < used.size(); --more, ++i) {
      const Frame rest = driver(0).bytes_of(used[i]);
      bytes.insert(bytes.end(), rest.begin(), rest.end());
    }
    const Frame frame(bytes.begin() + header_bytes, bytes.end());
    numbers.push_back(number_of(frame));
    EXPECT_EQ(frame, numbered_frame(numbers.back(), shape_.frame_bytes)) << "damaged, or cut";
  }
  return numbers;
}

bool Instants::record(const std::function<void()>& burst) {
  const auto count = single_step(burst, [this] {
    if (images_.empty() || differs(images_.back())) images_.push_back(copy());
  });
  instructions_ = count.value_or(0);
  return count.has_value();
}

void Instants::each(const std::function<void()>& check) {
  std::size_t number = 0;
  for (const Image& image : images_) {
    SCOPED_TRACE("state " + std::to_string(number++) + " of guests' memory");
    restore(image);
    check();
    if (::testing::Test::HasFailure()) return;
  }
}

bool Instants::differs(const Image& image) const {
  const std::uint8_t* at = image.data();
  for (KeptGuest* guest : guests_) {
    if (std::memcmp(at, guest->memory().at(memory_at), memory_bytes) != 0) return true;
    at += memory_bytes;
  }
  return false;
}

Instants::Image Instants::copy() const {
  Image image;
  for (KeptGuest* guest : guests_) {
    const std::uint8_t* const from = guest->memory().at(memory_at);
    image.insert(image.end(), from, from + memory_bytes);
  }
  return image;
}

void Instants::restore(const Image& image) const {
  const std::uint8_t* at = image.data();
  for (KeptGuest* guest : guests_) {
    std::memcpy(guest->memory().at(memory_at), at, memory_bytes);
    at += memory_bytes;
  }
}

}  // namespace vhostx::test
