#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tools/numa-model from outside: numbers that must hold whatever was counted, and what it says of bad input."""
import json
import subprocess
import tempfile
import unittest
from pathlib import Path

MODEL = Path(__file__).resolve().parents[2] / "tools/numa-model"
REMOTE = "lcore remote, state and mbufs with the guest"


def run(*arguments):
    return subprocess.run([MODEL, *arguments], capture_output=True, text=True, check=False)


def rates(*arguments):
    """{case: {placement: million packets a second}}"""
    done = run("--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {
        case["case"]: {name: row["mpps"] for name, row in case["placements"].items()}
        for case in json.loads(done.stdout)["cases"]
    }


class Numbers(unittest.TestCase):
    def test_all_local_is_the_fastest_and_all_remote_the_slowest(self):
        cases = rates()
        self.assertIn("dequeue_64", cases)
        for case, placements in cases.items():
            with self.subTest(case):
                self.assertEqual(max(placements.values()), placements["all local"])
                self.assertEqual(min(placements.values()), placements[REMOTE])
                self.assertLess(placements[REMOTE], placements["all local"])

    def test_equal_latencies_give_equal_rates(self):
        for case, placements in rates("--local", "100", "--remote", "100").items():
            self.assertEqual(len(set(placements.values())), 1, f"{case}: {placements}")

    def test_what_does_not_miss_may_lie_anywhere(self):
        for placements in rates("--miss", "state=0").values():
            self.assertEqual(placements["ring state remote"], placements["all local"])

    def test_a_packet_without_waiting_costs_its_instructions(self):
        nothing = [word for kind in ("guest", "state", "mbufs") for word in ("--miss", f"{kind}=0")]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("vhostx dequeue_64 100 # a comment\n")
            file.flush()
            found = rates(*nothing, "--ipc", "2", "--ghz", "2", "--instructions", file.name)
        self.assertEqual(found["dequeue_64"]["all local"], 40.0)

    def test_it_says_that_it_is_a_model(self):
        self.assertIn("A model", run().stdout)
        self.assertIn("A MODEL", run("--help").stdout)


class BadInput(unittest.TestCase):
    def expect(self, message, *arguments):
        done = run(*arguments)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn(message, done.stderr)

    def test_each_ends_with_2_and_a_line_that_says_what_was_expected(self):
        self.expect("expected a number above 0", "--local", "-3")
        self.expect("expected a number above 0", "--overlap", "many")
        self.expect("expected KIND=SHARE", "--miss", "state=2")
        self.expect("expected KIND=SHARE", "--miss", "stack=0")
        self.expect("--case none: expected one of", "--case", "none")
        self.expect("/missing: ", "--lines", "/missing")
        self.expect("count-lines --json writes", "--lines", "/dev/null")
        self.expect("expected lines `vhostx CASE INSTRUCTIONS`", "--instructions", "/missing")


if __name__ == "__main__":
    unittest.main()
