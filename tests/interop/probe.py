# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-probe as a test drives it: commands that end, and observers (trace, listen) that are read while they run."""

import json
import os
import signal
import subprocess

from processes import Failure, check, wait_until

TIMEOUT_S = 60


def run_probe(binary, *arguments, status=0, text_input=None):
    """(what it printed, what it said on standard error); fails unless it ends with `status`."""
    done = subprocess.run(
        [binary, *arguments], capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, input=text_input
    )
    if done.returncode != status:
        raise Failure(
            f"vhostx-probe {' '.join(arguments)}: status {done.returncode}, expected {status}\n"
            f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return done.stdout, done.stderr


class Observer:
    """vhostx-probe trace or listen with --json, waiting at `socket`."""

    def __init__(self, bench, binary, command, socket, *arguments, name="probe"):
        where = ["--listen", socket] if command == "trace" else [socket]
        argv = [binary, command, *where, "--json", *arguments]
        # What it complains of must not stand between JSON lines.
        self.errors_path = bench.path(name + ".errors")
        with open(self.errors_path, "wb") as errors:
            self.process = bench.start(name, argv, stderr=errors)
        bench.keep_log(self.errors_path)
        wait_until(lambda: os.path.exists(socket), f"vhostx-probe to listen at {socket}")

    def events(self, kind=None, connection=None):
        events = []
        for line in self.process.log(self.process.begin).splitlines(keepends=True):
            if not line.endswith("\n"):
                break
            event = json.loads(line)
            if (kind is None or event.get("event") == kind) and connection in (None, event.get("connection")):
                events.append(event)
        return events

    def messages(self, name=None, **where):
        return [event for event in self.events("message", **where) if name in (None, event["name"])]

    def wait_message(self, name, timeout_s=60.0, way=None):
        def look():
            if not self.process.alive():
                raise Failure(f"vhostx-probe ended before it saw {name}")
            return next((m for m in self.messages(name) if way in (None, m["way"])), None)

        return wait_until(look, f"vhostx-probe to see {name}", timeout_s)

    def wait_state(self, condition, what, timeout_s=60.0):
        """The last tables, once they are as `condition` wants them."""

        def look():
            states = self.events("state")
            return states[-1]["state"] if states and condition(states[-1]["state"]) else None

        return wait_until(look, f"vhostx-probe's tables to show {what}", timeout_s)

    def wait_closed(self, count=1, timeout_s=60.0):
        return wait_until(lambda: len(self.events("closed")) >= count, f"{count} connections to be closed", timeout_s)

    def violations(self):
        return [
            f"{event.get('name')}: {finding['text']}"
            for event in self.events()
            for finding in event.get("findings", [])
            if finding["weight"] == "violation"
        ]

    def complaints(self):
        with open(self.errors_path, errors="replace") as errors:
            return errors.read()

    def end(self):
        check(self.process.end(signal.SIGINT) == 0, f"vhostx-probe ended badly: {self.complaints()}")


def report_page(binary, record, page):
    """The page that `report` makes of a record, as text."""
    run_probe(binary, "report", record, "--html", page)
    with open(page, encoding="utf-8") as file:
        return file.read()


def names(events):
    return [event["name"] for event in events]
