#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch from outside: exit codes, messages, sockets that come and go, signals, JSON.

No guest is needed: what happens with guests is tests/interop's and tests/lab's.
"""

import json
import os
import signal
import socket
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

    def run_to_end(self, *arguments):
        done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=DEADLINE_S)
        return done.returncode, done.stdout, done.stderr

    def start(self, *arguments):
        process = subprocess.Popen([BINARY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def read_until(self, process, kind):
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == kind:
                return event
        self.fail(f"no {kind!r} before the end: {process.stderr.read()}")

    def test_bad_input_ends_with_2_and_says_what_was_expected(self):
        for arguments, expected in (
            ([], "at least one --port PATH"),
            (["--port", self.path("a"), "--mode", "hub"], "txonly"),
            (["--port", self.path("a") + ",role=x"], "server or client"),
            (["--no-such-eal-option", "--", "--port", self.path("a")], "EAL refused"),
            (["--no-huge", "-m", "128", "--lcores", "0@0", "--no-pci", "--no-shconf", "--", "--port", self.path("a")],
             "worker lcore"),
        ):
            status, _, errors = self.run_to_end(*arguments)
            self.assertEqual(status, 2, errors)
            self.assertIn(expected, errors)
            self.assertFalse(os.path.exists(self.path("a")))

    def test_help_and_version(self):
        status, out, errors = self.run_to_end("--help")
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("--topology", out)
        self.assertEqual(self.run_to_end("--version")[0], 0)

    def test_what_cannot_be_opened_ends_with_1_and_leaves_nothing(self):
        live = socket.socket(socket.AF_UNIX)
        live.bind(self.path("live"))
        live.listen()
        self.addCleanup(live.close)
        status, _, errors = self.run_to_end("--port", self.path("a"), "--port", self.path("live"))
        self.assertEqual(status, 1, errors)
        self.assertIn("live", errors)
        self.assertFalse(os.path.exists(self.path("a")))
        self.assertTrue(os.path.exists(self.path("live")))

    def test_ctl_without_a_switch(self):
        status, _, errors = self.run_to_end("ctl", "--control", self.path("c"), "ports")
        self.assertEqual(status, 1, errors)
        self.assertIn(f"vhostx-switch --control {self.path('c')}", errors)
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(self.path("c"))
        stale.close()
        status, _, errors = self.run_to_end("ctl", "--control", self.path("c"), "ports")
        self.assertEqual(status, 1, errors)
        self.assertIn("nobody listens", errors)
        for arguments in (["ctl"], ["ctl", "port"], ["ctl", "add-port"], ["ctl", "--control", "", "ports"]):
            status, _, errors = self.run_to_end(*arguments)
            self.assertEqual(status, 2, errors)
            self.assertRegex(errors, "See vhostx-switch ctl.* --help")
        status, out, errors = self.run_to_end("ctl", "--help")
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("add-port", out)

    def test_the_control_socket_replaces_a_stale_file_and_no_other(self):
        with open(self.path("c"), "w") as file:
            file.write("precious")
        status, _, errors = self.run_to_end("--control", self.path("c"))
        self.assertEqual(status, 1, errors)
        self.assertIn("is no socket", errors)
        os.unlink(self.path("c"))
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(self.path("c"))
        stale.close()
        process = self.start("--control", self.path("c"), "--json")
        self.assertEqual(self.read_until(process, "ready")["sockets"], [])
        process.send_signal(signal.SIGINT)
        self.read_until(process, "summary")
        self.assertEqual((process.wait(DEADLINE_S), process.stderr.read()), (0, ""))
        self.assertEqual(os.listdir(self.folder.name), [])

    def test_each_signal_ends_it_cleanly(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start("--port", self.path("a"), "--port", self.path("b,queues=2"), "--json")
            ready = self.read_until(process, "ready")
            self.assertEqual(ready["sockets"], [self.path("a"), self.path("b")])
            self.assertTrue(os.path.exists(self.path("a")) and os.path.exists(self.path("b")))
            process.send_signal(number)
            summary = self.read_until(process, "summary")
            self.assertEqual([port["connected"] for port in summary["ports"]], [False, False])
            self.assertGreater(summary["process"]["open_fds"], 2)
            self.assertEqual(process.wait(DEADLINE_S), 0)
            self.assertEqual(process.stderr.read(), "")
            self.assertEqual(os.listdir(self.folder.name), [])

    def test_it_ends_after_its_duration(self):
        status, out, errors = self.run_to_end("--port", self.path("a"), "--duration", "0.5", "--json")
        self.assertEqual((status, errors), (0, ""))
        events = [json.loads(line)["event"] for line in out.splitlines()]
        self.assertEqual((events[0], events[-1]), ("ready", "summary"))

    def test_live_statistics(self):
        process = self.start("--port", self.path("a"), "--stats", "0.1", "--json")
        self.read_until(process, "stats")
        process.send_signal(signal.SIGINT)
        self.read_until(process, "summary")

    def test_text_for_people(self):
        process = self.start("--port", self.path("a"), "--stats", "0.1")
        out = ""
        for line in process.stdout:
            out += line
            if "waiting" in line:  # the first live statistics
                process.send_signal(signal.SIGINT)
        self.assertEqual((process.wait(DEADLINE_S), process.stderr.read()), (0, ""))
        for expected in ("memory:", "ready, 1 port", "waiting", "Summary after", "dropped: nothing", "NUMA"):
            self.assertIn(expected, out)

    def test_it_runs_without_huge_pages_and_on_one_cpu(self):
        cpu = min(os.sched_getaffinity(0))
        own = self.run_to_end("--no-huge", "-m", "256", "--lcores", f"0@{cpu},1@{cpu}", "--no-pci", "--no-shconf",
                              "--no-telemetry", "--", "--port", self.path("a"), "--duration", "0.1", "--workers", "1")
        self.assertEqual(own[0], 0, own[2])

    def test_it_falls_back_by_itself_where_there_are_no_huge_pages(self):
        hide = "mount -t tmpfs none /sys/kernel/mm/hugepages && exec \"$@\""
        if subprocess.run(["unshare", "--mount", "sh", "-c", hide, "sh", "true"], capture_output=True).returncode != 0:
            self.skipTest("needs a mount namespace to hide the huge pages in")
        done = subprocess.run(["unshare", "--mount", "sh", "-c", hide, "sh", BINARY, "--port", self.path("a"), "--port",
                               self.path("b"), "--duration", "0.1", "--json"], capture_output=True, text=True,
                              timeout=DEADLINE_S)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("--no-huge", json.loads(done.stdout.splitlines()[0])["memory"])

    def test_it_says_which_thread_and_pool_is_where(self):
        status, out, errors = self.run_to_end("--port", self.path("a"), "--workers", "2", "--duration", "0.1", "--json",
                                              "--numa-interval", "100")
        self.assertEqual((status, errors), (0, "") if len(os.sched_getaffinity(0)) > 1 else (0, errors))
        summary = json.loads(out.splitlines()[-1])
        self.assertEqual([worker["worker"] for worker in summary["workers"]], [0, 1])
        self.assertEqual(len({worker["tid"] for worker in summary["workers"]}), 2)
        nodes = {worker["node"] for worker in summary["workers"]}
        self.assertEqual({pool["asked_node"] for pool in summary["mempools"]}, nodes)
        for pool in summary["mempools"]:
            self.assertGreater(pool["mbufs"], 0)
            self.assertGreater(sum(area["bytes"] for area in pool["memory"]), pool["mbufs"] * 2176)
        self.assertEqual(summary["ports"][0]["placement"], [])

    def test_a_port_without_a_partner_is_told(self):
        status, _, errors = self.run_to_end("--port", self.path("a"), "--mode", "io", "--duration", "0.1")
        self.assertEqual(status, 0)
        self.assertIn(f"warning: port {self.path('a')} has no partner", errors)
        level = ("--log-level", "error")
        self.assertEqual(self.run_to_end("--port", self.path("a"), "--mode", "io", "--duration", "0.1", *level)[2], "")

    def test_a_hang_up_without_a_terminal_does_not_end_it(self):
        process = self.start("--port", self.path("a"), "--json")
        self.read_until(process, "ready")
        process.send_signal(signal.SIGHUP)
        self.assertIn("SIGHUP: the switch continues", process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        self.read_until(process, "summary")
        self.assertEqual(process.wait(DEADLINE_S), 0)

    def test_several_workers(self):
        status, out, errors = self.run_to_end("--port", self.path("a,queues=8"), "--workers", "3", "--duration", "0.2",
                                              "--json")
        cpus = len(os.sched_getaffinity(0))
        told = f"3 workers share {cpus} CPU" if cpus < 3 else ""
        self.assertEqual((status, errors.count("\n")), (0, 1 if told else 0), errors)
        self.assertIn(told, errors)
        self.assertEqual(json.loads(out.splitlines()[-1])["event"], "summary")

    def test_a_reader_that_goes_away_ends_it(self):
        process = self.start("--port", self.path("a"), "--stats", "0.05", "--json")
        self.read_until(process, "stats")
        process.stdout.close()
        self.assertEqual(process.wait(DEADLINE_S), 0)
        self.assertEqual(os.listdir(self.folder.name), [])
        process.stdout = None

    def test_a_tap_without_permission_or_device_says_so(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to give root up")
        done = subprocess.run(["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", BINARY, "--port",
                               self.path("a"), "--tap", "vhostxtest0"], capture_output=True, text=True,
                              timeout=DEADLINE_S)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("--tap vhostxtest0", done.stderr)
        self.assertEqual(os.listdir(self.folder.name), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
