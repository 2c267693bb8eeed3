#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The program of docs/restart-and-upgrade.md that unplugs a port while an lcore polls it: two guests, one after the other, have
their packets back from the same path, each until its port is unplugged under its traffic."""

import argparse
import os
import subprocess

from processes import check, check_equal, run_test, wait_until
from testpmd import Testpmd

PACKETS_MIN = 20000


def start_program(bench, program, socket):
    cpu = min(os.sched_getaffinity(0))
    argv = [program, "--lcores", f"0@{cpu},1@{cpu}", "--no-huge", "-m", "64", "--no-pci", "--no-shconf"]
    argv += ["--no-telemetry", "--file-prefix", os.path.basename(bench.directory) + "-unplug", "--", socket]
    return bench.start("hot_unplug", argv, stdin=subprocess.PIPE)


def guest_until_unplugged(bench, process, socket, name):
    process.wait_for(f"^plugged in at {socket}$")
    guest = Testpmd(bench, socket, name=name).ready()
    guest.start("io", first_bursts=1)
    wait_until(lambda: guest.port_stats().rx_packets >= PACKETS_MIN, "packets to go round")
    process.say("unplug")
    packets = int(process.wait_for(r"^unplugged after (\d+) packets$").group(1))
    check(packets >= PACKETS_MIN, f"{packets} packets from the guest, expected {PACKETS_MIN} at least")
    check_equal(os.path.exists(socket), False, "the socket is left behind")
    check(guest.process.alive(), "the guest has died with its port")
    guest.kill()


def a_port_comes_and_goes(bench, program):
    socket = bench.path("unplugged")
    process = start_program(bench, program, socket)
    guest_until_unplugged(bench, process, socket, "first")
    process.say("plug in")
    guest_until_unplugged(bench, process, socket, "second")
    process.say("plug in")
    process.wait_for("^plugged in")
    process.popen.stdin.close()
    check_equal(process.popen.wait(30), 0, "its exit status")
    check_equal(os.path.exists(socket), False, "the socket is left behind")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="built from tools/examples/hot_unplug.cpp")
    run_test(a_port_comes_and_goes, parser.parse_args().program)
