#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The programs that the pages of docs/ explain, each with vhostx-bench as its guests. vhostx-bench checks every packet that comes
back, and none may be lost. Then each program shows what its page promises: it slept, it lent, it counted."""

import argparse
import os
import re
import signal

from processes import Skip, check, check_equal, run_test, wait_until
from telemetry import Telemetry
from test_bench import measure

SIZES = "64,1518"


class Example:
    """The program under test, on sockets in the Bench's folder."""

    def __init__(self, bench, binary, sockets=1, eal=(), telemetry=False):
        self.bench = bench
        self.sockets = [bench.path(f"{i}.sock") for i in range(sockets)]
        self.prefix = os.path.basename(bench.directory)
        argv = [binary, *lcores(), "--no-huge", "-m", "64", "--no-pci", "--no-shconf", "--file-prefix", self.prefix]
        argv += [*eal, *([] if telemetry else ["--no-telemetry"]), "--", *self.sockets]
        self.process = bench.start("example", ["stdbuf", "-oL", *argv])
        ready = lambda: all(map(os.path.exists, self.sockets)) or not self.process.alive()  # noqa: E731
        wait_until(ready, "its sockets to be there")

    def loop(self, bench_binary, *options):
        """One guest, whose packets come back to it. The report of vhostx-bench."""
        return measure(bench_binary, "loop", "--connect", self.sockets[0], "--sizes", SIZES, *options)

    def end(self):
        """What it printed."""
        check_equal(self.process.end(signal.SIGTERM), 0, "its exit status")
        check_equal([path for path in self.sockets if os.path.exists(path)], [], "sockets left behind")
        return self.process.log()


def lcores(count=2):
    """`count` lcores on one CPU: nothing here depends on a rate."""
    cpu = min(os.sched_getaffinity(0))
    return ["--lcores", ",".join(f"{lcore}@{cpu}" for lcore in range(count))]


def taken(report):
    """Packets that the guest had back, of all sizes."""
    return sum(size["counts"]["taken"] for size in report["back_ends"][0]["sizes"])


def number(pattern, text):
    found = re.search(pattern, text)
    check(found, f"no /{pattern}/ in {text!r}")
    return int(found[1])


def state_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def sleeps(process):
    """Whether its main thread does; one that polls is seen running."""
    return all(state_of(process.pid) == "S" for _ in range(100))


def sleeping(bench, binary, bench_binary):
    example = Example(bench, binary)
    wait_until(lambda: sleeps(example.process), "it to sleep before a guest is there")
    example.loop(bench_binary, "--interrupt", "--rate", "20000")
    example.loop(bench_binary)
    wait_until(lambda: sleeps(example.process), "it to sleep again")
    check(number(r"slept (\d+) times", example.end()) > 1, "it slept again and again")


def zero_copy(bench, binary, bench_binary):
    example = Example(bench, binary, eal=["--vdev", "net_ring0"])
    if not example.process.alive() and "net_ring" in example.process.log():
        raise Skip("DPDK's ring driver is not installed (Debian package librte-net-ring23)")
    report = example.loop(bench_binary)
    said = example.end()
    for direction in ("from", "to"):
        packets = number(rf"{direction} the guest: (\d+) packets", said)
        lent = number(rf"{direction} the guest: \d+ packets, (\d+) of them in", said)
        check(packets >= taken(report), f"{direction} the guest: {packets} packets, of {taken(report)} that came back")
        check(0 < lent <= packets, f"{direction} the guest: {lent} of {packets} without a copy")


def guest_to_guest(bench, binary, bench_binary):
    example = Example(bench, binary, sockets=2)
    ends = [word for path in example.sockets for word in ("--connect", path)]
    measure(bench_binary, "pair", *ends, "--bidirectional", "--sizes", SIZES)
    example.end()


def numa(bench, binary, bench_binary):
    example = Example(bench, binary)
    example.loop(bench_binary)
    number(r"served by lcore ([01]), guest's node -?\d", example.end())


def statistics(bench, binary, bench_binary):
    example = Example(bench, binary)
    report = example.loop(bench_binary)
    example.process.wait_for("the guest left: ")
    example.process.popen.send_signal(signal.SIGUSR1)
    counted = int(example.process.wait_for(r"^vring 1: (\d+) packets$")[1])
    check(counted >= taken(report), f"{counted} packets counted, {taken(report)} came back")
    example.process.wait_for(r"^vring 0: \d+ packets$")
    said = example.end()
    check(re.search(r"^vring 1: \d+ size_\w+$", said, re.MULTILINE), f"no sizes in {said!r}")
    for line in ("info: ", "front-end connected", "vring 1 started"):
        check(line in said, f"no {line!r} in {said!r}")
    check_equal(len(re.findall(r"^vring 1: \d+ packets$", said, re.MULTILINE)), 1, "counts that were printed twice")


def telemetry(bench, binary, bench_binary):
    example = Example(bench, binary, telemetry=True)
    client = Telemetry(example.prefix, example.process.pid)
    check_equal(client.ask("/vhostx/list")["ports"], ["vm0"], "ports")
    report = example.loop(bench_binary)
    counted = client.ask("/vhostx/vring,vm0,1")["packets"]
    check(counted >= taken(report), f"{counted} packets counted, {taken(report)} came back")
    example.end()


PARTS = {part.__name__: part for part in (sleeping, zero_copy, guest_to_guest, numa, statistics, telemetry)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="built from tools/examples")
    parser.add_argument("bench")
    parser.add_argument("part", choices=PARTS)
    arguments = parser.parse_args()
    run_test(PARTS[arguments.part], arguments.program, arguments.bench)


if __name__ == "__main__":
    main()
