// SPDX-License-Identifier: BSD-3-Clause
#include <csignal>

#include "tests/hostile/options.hpp"
#include "tests/hostile/runner.hpp"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a back-end that closes the connection is one of the answers
  return vhostx::tools::run_program("hostile", argc, argv, vhostx::hostile::parse_options, vhostx::hostile::run);
}
