// SPDX-License-Identifier: BSD-3-Clause
// Runs the test in C that needs a keeper.
#include <gtest/gtest.h>

#include "tests/c/tests_in_c.h"
#include "tests/continuity/keeper_fixture.hpp"

namespace {

TEST(CState, OfABackendIsKept) {
  const vhostx::continuity::Folder folder;
  const vhostx::continuity::KeeperThread keeper(
      {.path = folder.path("keeper"), .grace = vhostx::continuity::generous, .limits = {}, .on_event = {}});
  a_backends_state_is_kept(folder.path("keeper").c_str());
}

}  // namespace
