# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch as a test drives it: started on ports, listened to through its JSON lines, ended with a summary."""

import json
import signal

from processes import Failure, open_fds, wait_until

STATS_INTERVAL_S = "0.05"
NOT_SHARED = "is the guest's memory shared"


class VhostSwitch:
    """ports is a list of --port arguments: PATH[,role=server|client][,queues=N]; prefix a program that execs it; popen more
    for subprocess.Popen.

    Of several in one Bench each has its own name.
    """

    def __init__(self, bench, binary, ports, mode="switch", extra=(), prefix=(), wait_ready=True,
                 name="vhostx-switch", stats_s=STATS_INTERVAL_S, popen=None):  # fmt: skip
        argv = [*prefix, binary]
        for port in ports:
            argv += ["--port", port]
        argv += ["--mode", mode, "--stats", stats_s, "--json", *extra]
        self.events = []
        self.read_to = 0
        self.errors_path = bench.path(name + ".errors.log")
        errors = open(self.errors_path, "ab")
        bench.keep_log(errors.name)
        with errors:
            self.process = bench.start(name, argv, stderr=errors, **(popen or {}))
        self.read_to = self.process.seen
        if wait_ready:
            self.wait_event("ready")

    @property
    def pid(self):
        return self.process.pid

    def open_fds(self):
        return open_fds(self.pid)

    def wait_fds(self, expected, what):
        """Other threads close what a front-end passed, some of it after its end is told: that is waited for."""
        try:
            wait_until(lambda: self.open_fds() <= expected, what)
        except Failure as failure:
            raise Failure(f"{failure}: {self.open_fds()}, expected {expected} or fewer") from None

    def _read(self):
        """Appends the whole lines that came since the last call."""
        text = self.process.log(self.read_to)
        whole = text[: text.rfind("\n") + 1]
        self.read_to += len(whole.encode())
        for line in whole.splitlines():
            try:
                self.events.append(json.loads(line))
            except json.JSONDecodeError:
                raise Failure(f"vhostx-switch --json printed a line that is not JSON: {line!r}") from None

    def wait_event(self, kind, since=0, port=None, timeout_s=60.0):
        """The first event of this kind (of this port) at or after position `since` of self.events."""

        def look():
            alive = self.process.alive()
            self._read()
            for event in self.events[since:]:
                if event.get("event") == kind and port in (None, event.get("port")):
                    return event
            if not alive:
                raise Failure(f"vhostx-switch ended ({self.process.popen.returncode}) before its event {kind!r}")
            return None

        return wait_until(look, f"vhostx-switch's event {kind!r}", timeout_s)

    def wait_started(self, ports, rings=2, since=0):
        """Waits until the rings of these ports run: what is sent to a ring before that is rightly dropped."""

        def started():
            self._read()
            events = [event for event in self.events[since:] if event.get("event") == "vring_started"]
            return all(sum(event["port"] == port for event in events) >= rings for port in ports)

        wait_until(started, f"{rings} rings of {len(ports)} ports to start")

    def mark(self):
        """A position in the events: wait_event(since=mark) sees only what comes after."""
        self._read()
        return len(self.events)

    def stats(self):
        """Statistics that were taken after this call began."""
        mark = self.mark()
        first = self.wait_event("stats", mark)
        # The first line may have been on its way already when the call began; the second was not.
        return self.wait_event("stats", self.events.index(first, mark) + 1)

    def wait_stats(self, condition, what, timeout_s=60.0):
        return wait_until(lambda: (lambda now: now if condition(now) else None)(self.stats()), what, timeout_s)

    def connected(self, index=0):
        return self.stats()["ports"][index]["connected"]

    def errors(self):
        """What it has written to its standard error."""
        with open(self.errors_path, errors="replace") as file:
            return file.read()

    def finish(self, not_shared=False):
        """Ends it as Ctrl-C does and returns its summary. not_shared: a guest's memory was none that it could see."""
        mark = self.mark()
        status = self.process.end(signal.SIGINT)
        if status != 0:
            raise Failure(f"vhostx-switch ended with status {status} on Ctrl-C")
        if NOT_SHARED in self.errors() and not not_shared:
            raise Failure(f"vhostx-switch found memory that is not shared:\n{self.errors()}")
        return self.wait_event("summary", mark)

    def kill(self):
        self.process.kill()


def dropped(port):
    """{cause: packets} of all that this port lost, in its rings or in the switch."""
    causes = {}
    for table in (port["from_guest"]["drops"], port["to_guest"]["drops"], port.get("switch_drops", {})):
        for cause, packets in table.items():
            if packets:
                causes[cause] = causes.get(cause, 0) + packets
    return causes


def describe(stats):
    """The ports' counters, one line each."""
    lines = []
    for port in stats["ports"]:
        taken, given = port["from_guest"], port["to_guest"]
        lost = ", ".join(f"{packets} {cause}" for cause, packets in dropped(port).items()) or "nothing"
        lines.append(
            f"  {port['name'].rsplit('/', 1)[-1]}: {taken['packets']} packets ({taken['bytes']} bytes) from the guest,"
            f" {given['packets']} ({given['bytes']} bytes) to it, dropped: {lost}"
            + (f"; features {port['features']}" if port["connected"] else "")
        )
    return "\n".join(lines)
