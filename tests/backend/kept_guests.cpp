// SPDX-License-Identifier: BSD-3-Clause
#include "tests/backend/kept_guests.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "continuity/session_state.hpp"
#include "tests/support/single_step.hpp"
#include "virtqueue/inflight_record.hpp"
#include "virtqueue/inflight_store.hpp"
#include "virtqueue/split_queue.hpp"

namespace vhostx::test {
namespace {

constexpr std::uint64_t memory_at = 0x4000'0000;
constexpr std::size_t memory_bytes = std::size_t{64} << 10;
constexpr std::uint32_t header_bytes = 12;
constexpr std::array<std::uint16_t, 2> rings{0, 1};
constexpr std::size_t record_region_bytes = virtqueue::InflightStore::bytes_of_a_ring;
/// Both the index and the ring wrap within a burst.
std::uint16_t ring_begin(const FakeDriver& driver) {
  if (driver.kind() == virtqueue::RingKind::split) return 0xfffe;
  return static_cast<std::uint16_t>((driver.size() - 2) | virtqueue::PackedPosition::wrap_bit);
}

virtqueue::InflightArea::Shape record_shape(const FakeDriver& driver) {
  return {.queue_size = driver.size(), .kind = driver.kind()};
}

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

std::vector<int> numbers(int first, int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), first);
  return all;
}

KeptGuest::KeptGuest(const GuestShape& shape, PortOptions port_options)
    : shape_(shape),
      listener_(must(tools::FrontEnd::listen(folder_.path("port")))),
      options_([&] {
        port_options.listen_fd = listener_.get();
        port_options.zero_copy |= shape.recorded;
        if (shape.recorded) port_options.copy_below = 65536;
        return port_options;
      }()),
      lends_(options_.zero_copy && !shape.recorded),
      machine_(folder_.path("port"), 2, {{memory_at, memory_bytes}}) {
  lives_.push_front(std::make_unique<Life>(vault_, options_));
  for (const std::uint16_t ring : rings) driver(ring).start_at(ring_begin(driver(ring)));
  machine_.negotiate(shape.features);
  machine_.send_memory();
  machine_.start_rings();
  until_started(*lives_.front());
  for (const std::uint16_t ring : rings)
    if (shape.kicks) lives_.front()->port->vring(ring).set_notifications(true);
}

KeptGuest::~KeptGuest() {
  while (!lives_.empty()) lives_.pop_front();
}

Port& KeptGuest::adopt() {
  for (const std::uint16_t ring : rings) machine_.ring(ring).call.drain();
  lives_.push_front(std::make_unique<Life>(vault_, options_));
  until_started(*lives_.front());
  for (const std::uint16_t ring : rings) EXPECT_TRUE(signalled(machine_.ring(ring).call)) << "ring " << ring;
  return *lives_.front()->port;
}

void KeptGuest::publish(FakeDriver::Chain chain, std::uint16_t ring) {
  if (shape_.indirect) chain.indirect();
  posted_[ring].push_back(chain.publish());
}

void KeptGuest::transmit(int first, int count) {
  for (int number = first; number < first + count; ++number) {
    Frame bytes = numbered_frame(number, shape_.bytes_of(number));
    const Frame header(header_bytes);
    auto chain = driver(1).chain();
    if (shape_.header_apart)
      chain.readable(header);
    else
      bytes.insert(bytes.begin(), header.begin(), header.end());
    const std::span<const std::uint8_t> all(bytes);
    const std::size_t first_part = shape_.pieces ? all.size() / 2 : 0;
    if (shape_.pieces) chain.readable(all.first(first_part));
    publish(chain.readable(all.subspan(first_part)), 1);
  }
}

void KeptGuest::post_buffers(std::size_t count) {
  constexpr std::uint16_t longest_chain = 3;
  for (; count != 0 && driver(0).free_descriptors() >= longest_chain; --count) {
    auto chain = driver(0).chain();
    if (shape_.header_apart) chain.writable(header_bytes);
    const std::uint32_t bytes = shape_.buffer_bytes - (shape_.header_apart ? header_bytes : 0);
    const std::uint32_t first_part = shape_.pieces ? bytes / 2 : 0;
    if (shape_.pieces) chain.writable(first_part);
    publish(chain.writable(bytes - first_part), 0);
  }
}

void KeptGuest::disable(std::uint16_t ring) {
  machine_.enable(ring, false);
  machine_.sync();
}

void KeptGuest::kill() {
  lives_.front()->die(vault_);
  share_with_children(machine_.guest().file(0).get());
  find_record();
}

void KeptGuest::find_record() {
  if (!vault_.has(continuity::own_inflight_slot)) return;
  if (!record_)
    record_ =
        std::make_unique<InflightFile>(vault_.file(continuity::own_inflight_slot), rings.size() * record_region_bytes);
  share_with_children(record_->fd());
}

std::vector<std::span<std::uint8_t>> KeptGuest::kept_memory() {
  std::vector<std::span<std::uint8_t>> areas{{machine_.guest().at(memory_at), machine_.guest().allocated(0)}};
  for (const std::uint16_t ring : rings)
    if (record_) areas.push_back(record_->part(ring * record_region_bytes, record_shape(driver(ring)).region_bytes()));
  return areas;
}

void KeptGuest::prepare_recovery(std::uint16_t ring) {
  const auto store = must(virtqueue::InflightStore::adopt(tools::duplicate(record_->fd()), rings.size()));
  area_ = must(store->area(ring, driver(ring).size(), driver(ring).kind()));
  mapped_ = machine_.guest().map();
  layout_ = must(driver(ring).lay_out_any(*mapped_));
}

void KeptGuest::recover() {
  if (layout_.kind == virtqueue::RingKind::packed)
    must(virtqueue::PackedInflightRecord::open(area_, 0, layout_.packed));
  else
    must(virtqueue::InflightRecord::open(area_, 0, layout_.split, virtqueue::resume(layout_.split)));
}

// Where nothing is lent, chains are given back in the order in which they were posted.
std::vector<UsedElement> KeptGuest::reap(std::uint16_t ring) {
  FakeDriver copy = driver(ring);
  const auto used = copy.reap();
  auto left = posted_[ring];
  EXPECT_LE(used.size(), left.size());
  for (const UsedElement& one : used) {
    const auto found = lends_ ? std::find(left.begin(), left.end(), one.head) : left.begin();
    const bool is_posted = found != left.end() && *found == one.head;
    EXPECT_TRUE(is_posted) << "head " << one.head << " of ring " << ring;
    if (is_posted) left.erase(found);
  }
  return used;
}

std::vector<int> KeptGuest::given_back_numbers() {
  std::vector<int> numbers;
  for (const UsedElement& one : reap(1)) {
    EXPECT_EQ(one.length, 0U) << "nothing was written to it";
    numbers.push_back(static_cast<int>(std::find(posted_[1].begin(), posted_[1].end(), one.head) - posted_[1].begin()));
  }
  return numbers;
}

std::size_t KeptGuest::empty_buffers() {
  const auto used = reap(0);
  return static_cast<std::size_t>(
      std::count_if(used.begin(), used.end(), [](const UsedElement& one) { return one.length == 0; }));
}

std::vector<int> KeptGuest::received() {
  const auto used = reap(0);
  std::vector<int> numbers;
  for (std::size_t i = 0; i < used.size();) {
    Frame bytes = driver(0).bytes_of(used[i++]);
    if (bytes.empty() && lends_) continue;  // one that was borrowed comes back
    EXPECT_EQ(bytes.size() > header_bytes, true) << "a used entry before it was written";
    if (bytes.size() <= header_bytes) return numbers;
    for (int more = bytes[10] + 256 * bytes[11]; more > 1; --more) {
      const Frame rest = i < used.size() ? driver(0).bytes_of(used[i++]) : Frame();
      EXPECT_FALSE(rest.empty()) << "a part of a packet";
      bytes.insert(bytes.end(), rest.begin(), rest.end());
    }
    const Frame frame(bytes.begin() + header_bytes, bytes.end());
    numbers.push_back(number_of(frame));
    EXPECT_EQ(frame, numbered_frame(numbers.back(), shape_.bytes_of(numbers.back()))) << "damaged, or cut";
  }
  return numbers;
}

Instants::Instants(const std::vector<KeptGuest*>& guests) {
  for (KeptGuest* guest : guests)
    for (const auto& area : guest->kept_memory()) areas_.push_back(area);
}

bool Instants::record(const std::function<void()>& burst, const std::function<void()>& before) {
  const auto look = [this] {
    if (images_.empty() || differs(images_.back())) images_.push_back(copy());
  };
  instructions_ = single_step(burst, look, before).value_or(0);
  return instructions_ != 0;
}

void Instants::each(const std::function<void()>& check) {
  std::size_t number = 0;
  for (const Image& image : images_) {
    SCOPED_TRACE("state " + std::to_string(number++) + " of what is kept");
    restore(image);
    check();
    if (::testing::Test::HasFailure()) return;
  }
}

bool Instants::differs(const Image& image) const {
  const std::uint8_t* at = image.data();
  for (const auto& area : areas_) {
    if (std::memcmp(at, area.data(), area.size()) != 0) return true;
    at += area.size();
  }
  return false;
}

Instants::Image Instants::copy() const {
  Image image;
  for (const auto& area : areas_) image.insert(image.end(), area.begin(), area.end());
  return image;
}

void Instants::restore(const Image& image) const {
  const std::uint8_t* at = image.data();
  for (const auto& area : areas_) {
    std::memcpy(area.data(), at, area.size());
    at += area.size();
  }
}

}  // namespace vhostx::test
