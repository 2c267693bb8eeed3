#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Wrong command lines of the tools: exit status 2, two lines at most, in words that say what was wrong and expected.

    wrong_command_lines.py SWITCH BENCH PROBE KEEPER
"""

import os
import subprocess
import sys
import tempfile
import unittest

SWITCH, BENCH, PROBE, KEEPER = sys.argv[1:5]
del sys.argv[1:5]

# What libraries say by themselves: CLI11 (2.3 to 2.6), nlohmann's JSON, the C++ library.
FOREIGN = ("not in range", "Could not convert", "is required", "not expected", "required TEXT", "json.exception", "std::", "stoi",
           "basic_string", "TEXT", "INT", "FLOAT", "Value ", "Expected ")

# (the tool, its arguments, what the message names: what was wrong, and what was expected)
LINES = [
    (SWITCH, "", ["no port given", "--port PATH"]),
    (SWITCH, "--port a --stats=abc", ["--stats is 'abc'", "expected seconds, 0.01 to 1000000000"]),
    (SWITCH, "--port a --stats -1", ["--stats is '-1'", "seconds"]),
    (SWITCH, "--port a --stats", ["--stats has no value", "expected --stats S"]),
    (SWITCH, "--port a --stats --json", ["--stats has no value before '--json'"]),
    (SWITCH, "--port --json", ["--port has no value before '--json'", "--port PORT"]),
    (SWITCH, "--port a --stat 1", ["unknown option '--stat'", "did you mean '--stats'?"]),
    (SWITCH, "--port a --colour", ["unknown option '--colour'"]),
    (SWITCH, "--port a b", ["unexpected word 'b'", "options, which begin with '--'"]),
    (SWITCH, "port a", ["unexpected word 'port'", "did you mean '--port'?"]),
    (SWITCH, "--port a --mode swich", ["--mode is 'swich'", "switch, io, mac, rxonly or txonly", "did you mean 'switch'?"]),
    (SWITCH, "--port a --mode io --topology ring", ["--topology is 'ring'", "paired or loop"]),
    (SWITCH, "--port a --workers 1.5", ["--workers is '1.5'", "expected workers, 1 to 64"]),
    (SWITCH, "--port a --workers 99999999999999999999", ["--workers is '9999", "1 to 64"]),
    (SWITCH, "--port a --duration 1 --duration 2", ["--duration is given more than once"]),
    (SWITCH, "--port a --json=yes", ["'--json=yes'", "--json takes no value"]),
    (SWITCH, "--port a --log-level loud", ["--log-level is 'loud'", "debug, info, warning or error"]),
    (SWITCH, "--port a --metrics 0.0.0.0:9109", ["--metrics", "127.0.0.1:PORT"]),
    (SWITCH, "--port a,queue=2", ["unknown key 'queue=2'", "did you mean 'queues'?"]),
    (SWITCH, "--port a,queues=many", ["queues is 'many'", "expected 1 to 128"]),
    (SWITCH, "-l 0-1 --port a", ["unknown option '-l'", "DPDK's EAL", "-- --port"]),
    (SWITCH, "--no-huge --port a", ["unknown option '--no-huge'", "DPDK's EAL", "-- --port"]),
    (SWITCH, "--port a --socket-mem=64", ["unknown option '--socket-mem'", "DPDK's EAL"]),
    (SWITCH, "--port a -- --port b", ["--port stands before '--'", "after '--'"]),
    (SWITCH, "ctl", ["no command", "expected ports,"]),
    (SWITCH, "ctl prots", ["unknown command 'prots'", "did you mean 'ports'?"]),
    (SWITCH, "ctl add-port", ["add-port: SPEC is missing", "PATH[,KEY=VALUE]"]),
    (SWITCH, "ctl ports --jsn", ["ports: unknown option '--jsn'", "did you mean '--json'?"]),
    (BENCH, "", ["no back-end given", "--connect SOCKET"]),
    (BENCH, "--conect a", ["unknown option '--conect'", "did you mean '--connect'?"]),
    (BENCH, "--connect", ["--connect has no value", "expected --connect SOCKET"]),
    (BENCH, "--connect a --size 64x", ["'64x'", "64 to 65549 bytes"]),
    (BENCH, "--connect a --mode duplex", ["--mode is 'duplex'", "loopback, pair or latency"]),
    (BENCH, "--connect a --in-flight few", ["--in-flight is 'few'", "packets, 0 to 1000000"]),
    (BENCH, "--connect a --cpu -1", ["--cpu is '-1'", "a CPU, 0 to 4095"]),
    (BENCH, "--connect a --check heads", ["--check is 'heads'", "full or head", "did you mean 'head'?"]),
    (BENCH, "--connect a --no-mergable", ["unknown option '--no-mergable'", "did you mean '--no-mergeable'?"]),
    (BENCH, "--connect a --log", ["--log has no value", "expected --log SOCKET"]),
    (BENCH, "--connect a --log a", ["--log a", "expected another socket than --connect"]),
    (BENCH, "--connect a --log b,c", ["--log b,c", "expected one socket"]),
    (BENCH, "--connect a --log b --mode tx", ["--log with --mode tx", "expected loopback or pair"]),
    (BENCH, "compair a b", ["unknown command 'compair'", "did you mean 'compare'?"]),
    (BENCH, "compare a b c", ["compare: unexpected word 'c'"]),
    (BENCH, "compare a", ["compare", "expected two back-ends"]),
    (BENCH, "compare a b --pid-a 1", ["compare: --pid-a is '1'", "a process, 2 to"]),
    (PROBE, "", ["no command", "expected query,"]),
    (PROBE, "qurey x", ["unknown command 'qurey'", "did you mean 'query'?"]),
    (PROBE, "ask x", ["unknown command 'ask'", "expected query,"]),
    (PROBE, "--json query x", ["'--json' stands before the command"]),
    (PROBE, "query", ["query: SOCK is missing", "back-end's Unix socket"]),
    (PROBE, "query a b", ["query: unexpected word 'b'", "no more than SOCK"]),
    (PROBE, "query x --timeout soon", ["query: --timeout is 'soon'", "seconds, 0.01 to 3600"]),
    (PROBE, "trace --listen x", ["trace: --connect SOCK is missing"]),
    (PROBE, "trace --lissen x --connect y", ["trace: unknown option '--lissen'", "did you mean '--listen'?"]),
    (PROBE, "listen x --queues 0", ["listen: --queues is '0'", "1 to 128"]),
    (PROBE, "listen x --features mrg_rxbuff", ["listen: --features", "mrg_rxbuff"]),
    (PROBE, "show x --filter a;b", ["show: --filter", "a;b"]),
    (PROBE, "report x", ["report: --html FILE is missing"]),
    (PROBE, "rings", ["rings: expected PID|SOCK or --qmp SOCK"]),
    (PROBE, "rings x --count 1 --once", ["rings: ", "--once", "--count", "expected one of them"]),
    (PROBE, "rings x --pid 7", ["rings: --pid goes with --qmp"]),
    (PROBE, "keeper", ["keeper: SOCK is missing", "keeper's Unix socket"]),
    (PROBE, "keeper x --timeout 0", ["keeper: --timeout is '0'", "seconds, 0.01 to 3600"]),
    (PROBE, "check", ["check: SOCK is missing"]),
    (PROBE, "check x --tap --json", ["check: ", "--tap", "--json", "expected one of them"]),
    (PROBE, "check x --device nett", ["check: --device is 'nett'", "did you mean 'net'?"]),
    (PROBE, "features no_such_feature", ["features", "no_such_feature"]),
    (KEEPER, "", ["SOCKET is missing", "Unix socket to listen at"]),
    (KEEPER, "a b", ["unexpected word 'b'", "no more than SOCKET"]),
    (KEEPER, "a --grace soon", ["--grace is 'soon'", "expected seconds, 0 to 4000000"]),
    (KEEPER, "a --grase 1", ["unknown option '--grase'", "did you mean '--grace'?"]),
    (KEEPER, 108 * "x", ["SOCKET has 108 bytes", "expected 1 to 107"]),
]


# Nothing wrong with the line, but with what it names: exit status 1 and one line.
MISSING = [
    (SWITCH, "--port no/a", ["'no/a'", "its folder does not exist"]),
    (BENCH, "--connect a --plot no/a.svg", ["--plot no/a.svg", "the folder 'no' does not exist"]),
    (PROBE, "listen a --write no/deep/a.jsonl", ["no/deep/a.jsonl", "the folder 'no' does not exist"]),
    (PROBE, "show no.jsonl", ["no.jsonl", "No such file or directory"]),
    (PROBE, "query no.sock", ["no.sock", "no back-end listens there"]),
    (PROBE, "keeper no.sock", ["no.sock", "no keeper listens there: No such file or directory"]),
    (KEEPER, "no/a", ["the folder 'no'", "No such file or directory"]),
]


class WrongCommandLines(unittest.TestCase):
    def test_each_is_answered_in_our_words(self):
        with tempfile.TemporaryDirectory(prefix="vhostx-") as folder:
            for tool, line, expected in LINES:
                with self.subTest(tool=os.path.basename(tool), line=line):
                    self.check(folder, tool, line.split(), expected)
            self.assertEqual(os.listdir(folder), [])

    def test_what_is_missing_is_named(self):
        with tempfile.TemporaryDirectory(prefix="vhostx-") as folder:
            for tool, line, expected in MISSING:
                with self.subTest(tool=os.path.basename(tool), line=line):
                    done = subprocess.run([tool, *line.split()], capture_output=True, text=True, timeout=60, cwd=folder)
                    self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
                    for part in (os.path.basename(tool), *expected):
                        self.assertIn(part, done.stderr)

    def check(self, folder, tool, arguments, expected):
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60, cwd=folder)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        lines = done.stderr.splitlines()
        self.assertLessEqual(len(lines), 2, done.stderr)
        self.assertRegex(lines[0], rf"^{os.path.basename(tool)}( ctl)?: ")
        for part in expected:
            self.assertIn(part, lines[0])
        for part in FOREIGN:
            self.assertNotIn(part, done.stderr)
        if len(lines) == 2:
            self.assertRegex(lines[1], r"^See vhostx-\w+( [\w-]+)* --help\.$")


if __name__ == "__main__":
    unittest.main()
