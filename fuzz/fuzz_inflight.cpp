// SPDX-License-Identifier: BSD-3-Clause
// A front-end's record of what is in flight, and a ring that it may fit: what is refused has a reason and is left as it
// was; what is taken is served within the ring's bounds, and nothing is in flight afterwards.
//
// Input: a byte for the ring's size, one for the area's, two for used->idx and two for avail->idx before it, then the
// record. If the first byte is odd, version and desc_num are corrected: no mutation has to find these. If it is 128 or
// more, the ring is a packed one, in which used->idx stands for the next used descriptor, and avail->idx for how many
// descriptors are available.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>
#include <unistd.h>

#include "memory/load_hook.hpp"
#include "tests/support/fake_driver.hpp"
#include "tests/support/inflight_file.hpp"
#include "virtqueue/any_layout.hpp"

using namespace vhostx;
using namespace vhostx::virtqueue;

namespace {

constexpr std::uint16_t size_max = 64;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

std::set<const void*> loaded;  // since watch_loads()

void on_load(const void* shared, std::size_t) { require(loaded.insert(shared).second); }

/// From now on nothing may be read twice.
void watch_loads() {
  loaded.clear();
  memory::load_hook = on_load;
}

struct World {
  World(std::uint16_t size, RingKind kind)
      : guest({{0x10'0000, 1 << 14}}),
        driver(guest, size, {}, kind),
        memory(guest.map()),
        layout(*driver.lay_out_any(*memory)) {}

  test::FakeGuest guest;
  test::FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  AnyLayout layout;
};

World& world(std::uint32_t log_size, RingKind kind) {
  static World split[]{World(1, RingKind::split), World(2, RingKind::split),  World(4, RingKind::split),
                       World(8, RingKind::split), World(16, RingKind::split), World(32, RingKind::split),
                       World(64, RingKind::split)};
  static World packed[]{World(1, RingKind::packed), World(2, RingKind::packed),  World(3, RingKind::packed),
                        World(8, RingKind::packed), World(17, RingKind::packed), World(32, RingKind::packed),
                        World(64, RingKind::packed)};
  return (kind == RingKind::split ? split : packed)[log_size % 7];
}

LogMarks marks_of(InflightRecord& record) { return {.record = &record}; }
LogMarks marks_of(PackedInflightRecord& record) { return {.packed_record = &record}; }

/// All that is available, a part of it kept for a while. Returns how many chains were given back.
template <template <typename> typename Queue, typename Layout, typename Record>
std::size_t serve(const Layout& layout, const RingPosition& position, Record& record, std::uint16_t kept_max) {
  VringCursor cursor{.position = position};
  const LogMarks marks = marks_of(record);
  std::vector<Chain> kept;
  std::size_t given = 0;
  for (int round = 0; round < 2; ++round) {
    Queue<LogMarks> queue(layout, cursor, marks);
    for (Chain chain; queue.take(chain) == Take::chain;) {
      require(given + kept.size() < layout.size);
      if (kept.size() < kept_max) {
        kept.push_back(chain);
        queue.keep(1);
      } else {
        queue.give_back(chain, 0);
        ++given;
      }
    }
    for (; round == 1 && !kept.empty(); kept.pop_back(), ++given) queue.give_back_kept(kept.back(), 0);
    queue.publish();
  }
  return given;
}

void try_split(World& w, const std::shared_ptr<const InflightArea>& area, const test::InflightFile& file,
               std::uint16_t used, std::uint16_t posted) {
  const RingLayout& layout = w.layout.split;
  w.driver.start_at(used);
  for (std::uint16_t i = 0; i < layout.size; ++i) w.driver.set_avail_entry(i, i);
  w.driver.set_avail_index(static_cast<std::uint16_t>(used + posted));
  const auto before = file.copy();
  const RingPosition position = resume(layout);
  watch_loads();
  const auto record = InflightRecord::open(area, 0, layout, position);
  memory::load_hook = nullptr;
  if (!record) {
    require(!record.error().message.empty() && file.copy() == before);
    return;
  }
  const std::uint16_t left = (*record)->left();
  require(left <= layout.size && (left == 0 || left <= posted));
  const auto recovered = file.recover(used);
  require(recovered.again.size() == left);
  const std::size_t given = serve<SplitQueue>(layout, position, **record, area->shape().queue_size % 3);
  require(given == (posted > layout.size ? 0 : posted));
  if (given == posted) require(file.recover(layout.used.index()).again.empty());
}

/// The ring's driver has made `posted` descriptors available, of chains of one, behind what was used up to `place`.
void post_packed(World& w, std::uint16_t place, std::uint16_t posted) {
  const std::uint32_t size = w.layout.size();
  PackedPosition at{static_cast<std::uint16_t>((place & PackedPosition::wrap_bit) | place % size)};
  w.driver.start_at(at.value);
  for (std::uint16_t i = 0; i < std::min<std::uint32_t>(posted, size); ++i, at = at.after(1, size))
    w.driver.packed(at.index()) = {.address = 1, .length = 1, .id = i, .flags = at.available()};
}

void try_packed(World& w, const std::shared_ptr<const InflightArea>& area, const test::InflightFile& file,
                std::uint16_t place, std::uint16_t posted) {
  post_packed(w, place, posted);
  const auto before = file.copy();
  const auto record = PackedInflightRecord::open(area, 0, w.layout.packed);
  if (!record) return require(!record.error().message.empty() && file.copy() == before);
  require((*record)->left() <= w.layout.size());
  if (!(*record)->position()) (*record)->begin(w.driver.start());
  const RingPosition position = *(*record)->position();
  serve<PackedQueue>(w.layout.packed, position, **record, area->shape().queue_size % 3);
  const auto again = PackedInflightRecord::open(area, 0, w.layout.packed);
  require(again.ok() && (*again)->left() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t head = 6;
  if (size < head) return 0;
  const RingKind kind = data[0] < 128 ? RingKind::split : RingKind::packed;
  World& w = world((data[0] & 127) >> 1, kind);
  const auto area_size = static_cast<std::uint16_t>(1 + data[1] % size_max);
  std::uint16_t used = 0, posted = 0;
  std::memcpy(&used, data + 2, sizeof used);
  std::memcpy(&posted, data + 4, sizeof posted);
  const InflightArea::Shape shape{.queue_size = area_size, .kind = kind};
  test::InflightFile file(shape.bytes());
  for (std::size_t i = 0; i < std::min(size - head, file.bytes()); ++i) file.set(i, data[head + i]);
  if ((data[0] & 1) != 0) {
    file.set(inflight::version_at, inflight::version);
    file.set(inflight::desc_num_at, area_size);
  }
  const auto area = InflightArea::map(UniqueFd(::dup(file.fd())), 0, shape);
  require(area.ok());
  if (kind == RingKind::packed)
    try_packed(w, *area, file, used, posted);
  else
    try_split(w, *area, file, used, posted);
  return 0;
}
