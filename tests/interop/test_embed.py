#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The C program of docs/getting-started.md against testpmd's virtio-user: what one guest sends comes back to it, on two queue pairs, each
served by an lcore of its own; no packet may be lost.

testpmd sends one burst a queue and from then on forwards what it receives (mode io): never more is under way than the rings
hold. In the end it takes in what is left (mode rxonly), and has received what it sent.
"""

import argparse
import os
import signal

from processes import check_equal, run_test, wait_until
from testpmd import Testpmd

PACKETS_MIN = 20000
QUEUES = 2


def start_program(bench, program, socket):
    cpu = min(os.sched_getaffinity(0))
    argv = [program, "--lcores", f"0@{cpu},1@{cpu}", "--no-huge", "-m", "64", "--no-pci", "--no-shconf"]
    argv += ["--no-telemetry", "--file-prefix", os.path.basename(bench.directory) + "-embed", "--", socket]
    process = bench.start("embed", ["stdbuf", "-oL", *argv])
    wait_until(lambda: os.path.exists(socket) or not process.alive(), "the socket to be there")
    return process


def packets_come_back(bench, program):
    socket = bench.path("embed")
    process = start_program(bench, program, socket)
    guest = Testpmd(bench, socket, queues=QUEUES, options=[f"--rxq={QUEUES}", f"--txq={QUEUES}"]).ready()
    rings = [f"vring {ring} started" for ring in range(2 * QUEUES)]
    wait_until(lambda: all(words in process.log() for words in rings), "all rings to start")
    guest.start("io", first_bursts=1)
    wait_until(lambda: guest.port_stats().rx_packets >= PACKETS_MIN, "packets to go round")
    guest.stop()
    guest.start("rxonly")
    wait_until(lambda: (lambda s: s.rx_packets == s.tx_packets)(guest.port_stats()), "the last packets to come back")
    guest.stop()
    seen = guest.port_stats()
    print(f"{seen.tx_packets} packets sent, {seen.rx_packets} received")
    check_equal((seen.rx_bytes, seen.rx_lost, seen.tx_lost), (seen.tx_bytes, 0, 0), "bytes back, packets lost")
    guest.end()
    process.wait_for("front-end disconnected")
    check_equal(process.end(signal.SIGTERM), 0, "its exit status")
    check_equal(os.path.exists(socket), False, "the socket is left behind")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="built from tools/examples/embed_c.c")
    run_test(packets_come_back, parser.parse_args().program)
