// SPDX-License-Identifier: BSD-3-Clause
// Result: what stands behind -> and *.
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>

#include <vhostx/result.hpp>

namespace vhostx::test {
namespace {

struct Thing {
  int number = 0;
  int get() const { return -1; }  // as a smart pointer has it
  void set(int value) { number = value; }
};

TEST(Result, ArrowReachesWhatASmartPointerPointsTo) {
  Result<std::unique_ptr<Thing>> owned(std::make_unique<Thing>());
  owned->set(7);
  EXPECT_EQ(owned->get(), -1) << "the thing's, not the pointer's";
  EXPECT_EQ((*owned)->number, 7) << "the pointer, as ever";
  EXPECT_EQ((*owned).get(), owned.value().get());
  const std::unique_ptr<Thing> moved = *std::move(owned);
  EXPECT_EQ(moved->number, 7);

  const Result<std::shared_ptr<Thing>> shared(std::make_shared<Thing>());
  shared->set(8);  // the pointer is constant, the thing is not
  EXPECT_EQ(shared->number, 8);
  const Result<std::shared_ptr<const Thing>> only_read(std::make_shared<const Thing>());
  static_assert(std::is_const_v<std::remove_reference_t<decltype((only_read->number))>>);
}

TEST(Result, ArrowReachesWhatAPointerPointsTo) {
  Thing thing;
  const Result<Thing*> pointer(&thing);
  pointer->set(9);
  EXPECT_EQ(thing.number, 9);
  EXPECT_EQ(*pointer, &thing);
  EXPECT_EQ((*pointer)->number, 9);
}

TEST(Result, ArrowReachesAnyOtherValueItself) {
  Result<std::string> text(std::string("text"));
  EXPECT_EQ(text->size(), 4u);
  Result<std::optional<Thing>> perhaps(std::optional<Thing>(Thing{}));
  perhaps->reset();
  EXPECT_FALSE(perhaps->has_value()) << "an optional is no pointer";
  static_assert(PointerLike<std::unique_ptr<Thing>> && PointerLike<std::shared_ptr<const Thing>> &&
                PointerLike<Thing*>);
  static_assert(!PointerLike<std::optional<Thing>> && !PointerLike<Thing> && !PointerLike<std::string>);
}

}  // namespace
}  // namespace vhostx::test
