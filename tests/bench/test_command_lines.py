#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each compare-* and measure-* script of this folder tells how it is called, and ends with 2 when it is not called so: nothing is started."""

import glob
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = sorted(script for kind in ("compare-*", "measure-*") for script in glob.glob(os.path.join(HERE, kind)))
DEADLINE_S = 60


class CommandLines(unittest.TestCase):
    def call(self, script, *arguments):
        return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, timeout=DEADLINE_S)

    def test_help(self):
        for script in SCRIPTS:
            done = self.call(script, "--help")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"usage: {os.path.basename(script)}", done.stdout)

    def test_without_arguments(self):
        for script in SCRIPTS:
            done = self.call(script)
            self.assertEqual(done.returncode, 2, script)
            self.assertIn("arguments are required", done.stderr)

    def test_what_is_no_number(self):
        for script in SCRIPTS:
            done = self.call(script, "no-program", "no-program", "no-program", "--rounds", "some")
            self.assertEqual(done.returncode, 2, script)
            self.assertIn("invalid int value: 'some'", done.stderr)


if __name__ == "__main__":
    unittest.main()
