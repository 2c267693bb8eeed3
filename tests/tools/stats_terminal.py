#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch --stats on a real terminal (a pty): drawn in place, for the size of the window, and given back as it was.

    stats_terminal.py SWITCH
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

SWITCH = sys.argv.pop(1)
DEADLINE_S = 60
ENTER, LEAVE, TOP = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[H"


class Terminal:
    """A process whose standard input, output and error are a terminal of its own session."""

    def __init__(self, *arguments, rows=30, columns=120, kind="xterm"):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.text = b""
        self.process = subprocess.Popen([SWITCH, *arguments], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), env={**os.environ, "TERM": kind})

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, found, what):
        end = time.monotonic() + DEADLINE_S
        while not found(self.text):
            if not select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"not seen: {what}: {self.text[-2000:]!r}")
            try:
                self.text += os.read(self.master, 65536)
            except OSError as error:
                raise AssertionError(f"ended before {what}: {self.text[-2000:]!r}") from error

    def frames(self):
        """Whole ones, each as its lines."""
        return [frame.split(b"\x1b[J")[0].replace(b"\x1b[K", b"").split(b"\r\n")
                for frame in self.text.split(TOP)[1:] if b"\x1b[J" in frame]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)


class StatsOnATerminal(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="vhostx-")
        self.addCleanup(folder.cleanup)
        self.port = os.path.join(folder.name, "a.sock")

    def start(self, *arguments, **options):
        terminal = Terminal("--port", self.port, *arguments, **options)
        self.addCleanup(terminal.close)
        return terminal

    def test_it_is_drawn_in_place_and_the_terminal_is_given_back(self):
        terminal = self.start("--stats", "0.1")
        terminal.read_until(lambda _: len(terminal.frames()) > 2, "three frames")
        self.assertEqual(terminal.text.count(ENTER), 1)
        frame = b"\n".join(terminal.frames()[-1])
        for part in (b"from guest", b"pkt/s", self.port[-20:].encode(), b"waiting", b"Dropped: nothing", b"ready, 1 port"):
            self.assertIn(part, frame)
        terminal.process.send_signal(signal.SIGINT)
        terminal.read_until(lambda text: b"Summary after" in text and b"NUMA" in text.split(LEAVE)[-1], "the summary")
        after = terminal.text.split(LEAVE)
        self.assertEqual(len(after), 2)
        self.assertIn(b"ready, 1 port", after[1])  # what was told is not lost
        self.assertEqual(terminal.process.wait(DEADLINE_S), 0)
        self.assertEqual(terminal.text.count(b"\x1b[?25l"), terminal.text.count(b"\x1b[?25h"))
        self.assertEqual(termios.tcgetattr(terminal.slave), terminal.before)

    def test_another_size_is_drawn_at_once(self):
        terminal = self.start("--stats", "600")
        terminal.read_until(lambda _: terminal.frames(), "the first frame")
        terminal.resize(8, 40)
        terminal.read_until(lambda _: len(terminal.frames()) > 1, "a frame of the new size")
        frame = terminal.frames()[-1]
        self.assertLessEqual(len(frame), 8)
        self.assertLessEqual(max(len(line) for line in frame), 40)

    def test_log_lines_are_in_the_frame(self):
        terminal = self.start("--stats", "0.1", "--mode", "io")
        terminal.read_until(lambda _: terminal.frames(), "a frame")
        terminal.process.send_signal(signal.SIGHUP)
        told = lambda _: any(b"SIGHUP: the switch continues" in line for line in (terminal.frames() or [[]])[-1])
        terminal.read_until(told, "a word about SIGHUP in a frame")

    def test_it_stops_and_goes_on(self):
        terminal = self.start("--stats", "600")
        terminal.read_until(lambda _: terminal.frames(), "a frame")
        terminal.process.send_signal(signal.SIGTSTP)
        self.assertTrue(os.WIFSTOPPED(os.waitpid(terminal.process.pid, os.WUNTRACED)[1]))
        terminal.read_until(lambda text: text.count(LEAVE) == 1, "the terminal left")
        seen = len(terminal.frames())
        terminal.process.send_signal(signal.SIGCONT)
        terminal.read_until(lambda text: text.count(ENTER) == 2 and len(terminal.frames()) > seen, "a frame again")

    def test_a_terminal_that_is_gone_ends_it(self):
        terminal = self.start("--stats", "600")
        terminal.read_until(lambda _: terminal.frames(), "a frame")
        os.close(terminal.slave)
        os.close(terminal.master)
        terminal.slave = terminal.master = -1
        self.assertEqual(terminal.process.wait(DEADLINE_S), 0)
        self.assertFalse(os.path.exists(self.port))

    def test_elsewhere_it_is_line_by_line(self):
        for arguments, options in ((("--stats", "0.1"), {"kind": "dumb"}), (("--stats", "0.1", "--json"), {})):
            terminal = self.start(*arguments, **options)
            terminal.read_until(lambda text: text.count(b"waiting") > 1 or text.count(b'"stats"') > 1, "two reports")
            self.assertNotIn(b"\x1b", terminal.text)
            terminal.process.send_signal(signal.SIGTERM)
            self.assertEqual(terminal.process.wait(DEADLINE_S), 0)


if __name__ == "__main__":
    unittest.main()
