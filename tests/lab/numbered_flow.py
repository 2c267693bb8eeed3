# SPDX-License-Identifier: BSD-3-Clause
"""numbered-flow (flow/numbered_flow.cpp) in two guests: paced, numbered datagrams, and what became of them."""

import os
import re
from collections import namedtuple

import interop_path  # noqa: F401
from processes import check, check_equal, wait_until

FIRST_PORT = 5000
ANSWER = r"sent (\d+) next (\d+) received (\d+) duplicated (\d+) reordered (\d+) damaged (\d+) lost (\d+) in (\S+)"

# sent: to the peer. The rest is of what the peer sent. next: one more than the greatest number received. lost: numbers below it.
# runs: of these, (first, last) each; of many the first ones.
Report = namedtuple("Report", "sent next received duplicated reordered damaged lost runs")


class NumberedFlow:
    """One guest's end: its program sends to the peer and receives from it. number: of the flow, and of the CPU on which its program
    stays. A driver has a transmit queue for each CPU: what a program sends from two CPUs may come out of order."""

    def __init__(self, guest, peer_address, program, interval_us, number=0):
        self.guest = guest
        self.to, self.answers = f"/tmp/flow{number}.in", f"/tmp/flow{number}.out"
        guest.run(f"mkfifo {self.to} {self.answers}")
        argv = [os.path.basename(program), peer_address, FIRST_PORT + number, interval_us, self.to, self.answers]
        guest.run(f"taskset {1 << number:x} {' '.join(map(str, argv))} >/tmp/flow{number}.log 2>&1 &")

    def _ask(self, command):
        return self.guest.run(f"echo {command} >{self.to}; cat {self.answers}").strip()

    def order(self, command):
        """start, stop: sending. hold, go: receiving."""
        check_equal(self._ask(command), "done", f"{self.guest.name}'s answer to `{command}`")

    def report(self):
        answer = self._ask("report")
        match = re.fullmatch(ANSWER, answer)
        check(match is not None, f"{self.guest.name}'s report: {answer!r}")
        *counts, runs = match.groups()
        pairs = [] if runs == "-" else [tuple(map(int, run.split("-"))) for run in runs.split(",")]
        return Report(*map(int, counts), pairs)

    def since(self, before):
        """What a report tells of the time since another one."""
        now = self.report()
        counts = [new - old for new, old in zip(now[2:7], before[2:7])]
        return Report(now.sent, now.next, *counts, [run for run in now.runs if run not in before.runs])

    def wait_received(self, number, what):
        """The report once a datagram came that was sent after `number` others."""

        def look():
            report = self.report()
            return report if report.next > number else None

        return wait_until(look, what)
