#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-bench from outside, without a back-end: exit codes, and what is found wrong before anything is measured."""

import os
import subprocess
import sys
import tempfile
import unittest

BINARY = sys.argv.pop(1)
DEADLINE_S = 60


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="vhostx-")
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def expect(self, status, message, *arguments):
        done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(message, done.stderr)

    def test_bad_input_ends_with_2_and_says_what_was_expected(self):
        self.expect(2, "expected --connect SOCKET", *[])
        self.expect(2, "expected two different CPUs", "--connect", self.path("a"), "--limit", "--cpu", "0")

    def test_a_plot_that_cannot_be_written_is_found_before_a_back_end_is_looked_for(self):
        plot = self.path("missing/rates.svg")
        message = f"--plot {plot}: the folder '{os.path.dirname(plot)}' does not exist"
        self.expect(1, message, "--connect", self.path("a"), "--plot", plot)

    def test_where_nothing_is_measured_no_plot_is_left(self):
        self.expect(1, self.path("a"), "--connect", self.path("a"), "--timeout", "0.1", "--plot", self.path("b.svg"))
        self.assertEqual(os.listdir(self.folder.name), [])

    def test_a_cpu_that_is_not_there_is_found_before_a_back_end_is_looked_for(self):
        cpus = ("--cpu", "0", "--limit-cpu", "4095")
        self.expect(1, "--limit-cpu 4095: Invalid argument", "--connect", self.path("a"), "--limit", *cpus)


if __name__ == "__main__":
    unittest.main()
