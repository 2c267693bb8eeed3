# SPDX-License-Identifier: BSD-3-Clause
"""Processes of a test: each has a log, all are ended in every case.

A Bench is the one thing that a test opens. It owns a private temporary directory and every process started in it;
when it closes, the processes are ended, their logs are shown if the test failed, and the directory is removed.
Nothing here sleeps for a fixed time: waits poll for an event, with a generous deadline.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

SKIPPED = 77  # CTest's SKIP_RETURN_CODE, see CMakeLists.txt
POLL_S = 0.01
LOG_SHOWN_BYTES = 5000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failure(Exception):
    """What was expected did not happen."""


class Skip(Exception):
    """The machine cannot run this test; the text says why."""


def wait_until(condition, what, timeout_s=60.0):
    """Returns condition()'s first true value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"waited {timeout_s:.0f} s in vain: {what}")
        time.sleep(POLL_S)


def check(true, what):
    if not true:
        raise Failure(what)


def check_equal(got, expected, what):
    check(got == expected, f"{what}: {got!r}, expected {expected!r}")


def need_program(name, package):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise Skip(f"{name} is not installed (Debian package {package})")
    return path


def need_to_make_taps():
    if os.geteuid() != 0:
        raise Skip("TAP interfaces and network namespaces need root")
    if not os.path.exists("/dev/net/tun"):
        raise Skip("/dev/net/tun is not there (modprobe tun)")
    if subprocess.run(["unshare", "--net", "true"], preexec_fn=die_with_parent).returncode != 0:
        raise Skip("network namespaces cannot be made here")


def open_fds(pid):
    """How many descriptors the process has open, the kernel's word for it."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def open_sockets(pid):
    """Those that the process has open. A socket that was closed and opened again is another one."""
    sockets = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            sockets.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass  # closed meanwhile
    return {socket for socket in sockets if socket.startswith("socket:")}


def threads_of(pid):
    """What each thread of the process does, by the kernel: its name, its state, and where it waits."""
    lines = []
    for task in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        words = []
        for name in ("comm", "stat", "wchan", "syscall"):
            try:
                with open(f"/proc/{pid}/task/{task}/{name}", encoding="utf-8", errors="replace") as file:
                    words.append(file.read().strip())
            except OSError:  # ended meanwhile, or not to be seen
                words.append("?")
        state = words[1].rpartition(")")[2].split()
        lines.append(f"{task} {words[0]}: {state[0] if state else '?'}, waits in {words[2] or '?'}, system call {words[3].split(' ')[0]}")
    return "\n".join(lines)


def go_first(pid):
    """Puts it before the other programs of the machine where the kernel groups them by session: what is measured is to wait
    for its CPU as little as can be."""
    try:
        with open(f"/proc/{pid}/autogroup", "w") as file:
            file.write("-15")
    except OSError:
        pass  # no autogroups here, or no right to: then it competes


def die_with_parent():
    # When CTest kills a test that ran over its time, nothing that it started may live on.
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One started program; what it says goes to a log file, which wait_for reads line by line."""

    def __init__(self, directory, name, argv, **popen):
        self.name = name
        self.log_path = os.path.join(directory, name + ".log")
        with open(self.log_path, "ab") as log:
            # A restarted process adds to the log of the one before: its own lines begin here, and wait_for has
            # looked up to `seen`.
            self.seen = self.begin = os.path.getsize(self.log_path)
            popen.setdefault("stdin", subprocess.DEVNULL)
            popen.setdefault("stderr", subprocess.STDOUT)
            self.popen = subprocess.Popen(argv, stdout=log, preexec_fn=die_with_parent, start_new_session=True, **popen)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def say(self, line):
        """Types a line into a program that was started with stdin=PIPE."""
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def log(self, since=0):
        with open(self.log_path, "rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def find_new(self, pattern):
        """The first match in what the log gained since the last find, or None."""
        match = re.search(pattern, self.log(self.seen), re.MULTILINE)
        if match:
            self.seen += len(match.string[: match.end()].encode())
        return match

    def wait_for(self, pattern, timeout_s=60.0):
        def look():
            match = self.find_new(pattern)
            if match is None and not self.alive():
                match = self.find_new(pattern)
                if match is None:
                    raise Failure(f"{self.name} ended ({self.popen.returncode}) before it said /{pattern}/")
            return match

        return wait_until(look, f"{self.name} to say /{pattern}/", timeout_s)

    def kill(self):
        """SIGKILL: no farewell, as a crash would be."""
        if self.alive():
            self.popen.kill()
        self.popen.wait()
        self._close()

    def end(self, sign=signal.SIGTERM, timeout_s=30.0):
        """Asks it to end and returns its exit status; kills it if it does not."""
        if self.alive():
            self.popen.send_signal(sign)
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            threads = threads_of(self.pid)
            self.kill()
            raise Failure(f"{self.name} did not end within {timeout_s:.0f} s of signal {sign}; its threads:\n{threads}") from None
        finally:
            self._close()

    def _close(self):
        if self.popen.stdin:
            try:
                self.popen.stdin.close()
            except BrokenPipeError:
                pass


class Bench:
    """A private directory and the processes in it."""

    HIDDEN = b'{"event":"stats"'  # many, and said better by the events between them

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="vhostx-")  # short: socket paths end at 107 bytes
        self.processes = []
        self.cleanups = []
        self.farewells = []
        self.extra_logs = []

    def __enter__(self):
        return self

    def path(self, name):
        return os.path.join(self.directory, name)

    def start(self, name, argv, **popen):
        process = Process(self.directory, name, [str(word) for word in argv], **popen)
        self.processes.append(process)
        return process

    def at_end(self, action, running=False):
        """running: while its processes are still there."""
        (self.farewells if running else self.cleanups).append(action)

    def keep_log(self, path):
        """One more file to show on failure, such as a guest's serial console."""
        self.extra_logs.append(path)

    def __exit__(self, kind, error, trace):
        for action in reversed(self.farewells):
            action()
        for process in reversed(self.processes):
            process.kill()
        for action in reversed(self.cleanups):
            action()
        if kind not in (None, Skip, KeyboardInterrupt, SystemExit):
            self._show_logs()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _show_logs(self):
        logs = list(dict.fromkeys([process.log_path for process in self.processes] + self.extra_logs))
        for path in logs:
            if os.path.exists(path):
                with open(path, "rb") as log:
                    lines = [line for line in log if not line.startswith(self.HIDDEN)]
                    text = b"".join(lines)[-LOG_SHOWN_BYTES:].decode(errors="replace")
                print(f"---- the end of {os.path.basename(path)}\n{text}\n----", file=sys.stderr)


def run_test(test, *arguments):
    """Runs test(bench, *arguments) and ends this program with what CTest wants: 0, 1, or 77."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `with` blocks close
    begun = time.monotonic()
    try:
        with Bench() as bench:
            test(bench, *arguments)
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    except Failure as failure:
        traceback.print_exc(limit=-4)
        print(f"failed: {failure}")
        sys.exit(1)
    print(f"passed in {time.monotonic() - begun:.1f} s")
