#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-probe rings --qmp watches a real guest, with nothing between QEMU and the back-end.

It must see every packet that the guest sends, call the ring stuck while the back-end is frozen and no longer than that,
and be noticed by nobody: the back-end's rings run on.
"""

import argparse
import json
import os
import signal
import socket
import subprocess

from guest import Machine, vhost_user_arguments
from processes import check, check_equal, run_test, wait_until
from qemu import qemu_program, ring_size
from vhostx_switch import VhostSwitch, dropped

QUEUE_PAIRS = 2
TIMEOUT_S = 60
SEND = "arping -q -c {} -I eth0 10.0.0.99; true"  # nobody has that address: each is a broadcast


class Probe:
    def __init__(self, binary, monitor):
        self.argv = [binary, "rings", "--qmp", monitor]

    def run(self, *arguments, status=0):
        done = subprocess.run([*self.argv, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S)
        check_equal(done.returncode, status, f"status of rings {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stderr

    def rings(self, *arguments):
        """The rows of the last refresh, by number."""
        lines = self.run("--json", *arguments).splitlines()
        return {row["ring"]: row for row in json.loads(lines[-1])["rings"]}


def transmit(rows):
    return [row for row in rows.values() if row["direction"] == "transmit"]


def sent(rows):
    return sum(row["split"]["used_index"] for row in transmit(rows))


def taken(switch):
    port = switch.stats()["ports"][0]
    return port["from_guest"]["packets"] + sum(dropped(port).values())


def see_all_packets(probe, switch, guest):
    guest.run(SEND.format(3))
    before = taken(switch)
    rows = probe.rings("--once", "--interval", "0.1")
    after = taken(switch)
    check_equal(sorted(rows), list(range(2 * QUEUE_PAIRS)), "rings")
    size = ring_size(qemu_program())
    for number, row in rows.items():
        check_equal(row["problem"], None, f"ring {number}")
        check_equal(row["size"], size, f"size of ring {number}")
        check_equal(row["stuck_s"], None, f"ring {number} stuck")
        check_equal(row["in_flight"], size if row["direction"] == "receive" else 0, f"in flight of ring {number}")
        check(row["split"]["used_event"] is not None, "the guest has EVENT_IDX")
    check(3 <= before <= sent(rows) <= after, f"{before} to {after} packets at the switch, {sent(rows)} in the rings")
    return sent(rows)


def see_it_stuck(probe, switch, guest):
    os.kill(switch.pid, signal.SIGSTOP)
    try:
        guest.begin(SEND.format(6))
        rows = wait_until(
            lambda: (lambda now: now if any(row["stuck_s"] for row in transmit(now)) else None)(
                probe.rings("--count", "3", "--stuck", "0.5", "--interval", "0.5")
            ),
            "a stuck ring",
        )
        stuck = [row for row in transmit(rows) if row["stuck_s"]]
        check(all(row["in_flight"] > 0 and "stuck: avail has moved" in row["notes"][0] for row in stuck), str(stuck))
        check(not any(row["stuck_s"] for row in rows.values() if row["direction"] == "receive"), "a receive ring stuck")
        check("stuck: avail has moved" in probe.run("--once", "--stuck", "0.5"), "the text")
    finally:
        os.kill(switch.pid, signal.SIGCONT)
    guest.answer()
    rows = probe.rings("--once", "--stuck", "0.5")
    check(not any(row["stuck_s"] or row["in_flight"] for row in transmit(rows)), f"still stuck: {transmit(rows)}")


def end_by_signal(bench, probe):
    for number in (signal.SIGINT, signal.SIGTERM):
        process = bench.start(f"probe{number}", [*probe.argv, "--interval", "0.1"])
        process.wait_for(r"connection 1: virtio-net")
        check_equal(process.end(number), 0, f"status after signal {number}")


def find_the_monitor_taken(probe, monitor):
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(monitor)
        other.recv(1)
        check("another client" in probe.run("--once", status=1), "what is said of a monitor that is taken")


def watch_a_guest(bench, binary, probe_binary):
    port, monitor = bench.path("port"), bench.path("qmp")
    switch = VhostSwitch(bench, binary, [f"{port},queues={QUEUE_PAIRS}"])
    arguments = vhost_user_arguments(port, "52:54:00:00:00:01", "mq=on", QUEUE_PAIRS)
    arguments += ["-qmp", f"unix:{monitor},server=on,wait=off"]
    guest = Machine(bench, "guest", arguments, "10.0.0.1", cpus=QUEUE_PAIRS)
    probe = Probe(probe_binary, monitor)
    check_equal(probe.rings("--once", "--interval", "0.1"), {}, "rings before a driver is there")
    guest.booted()
    before = see_all_packets(probe, switch, guest)
    see_it_stuck(probe, switch, guest)
    end_by_signal(bench, probe)
    find_the_monitor_taken(probe, monitor)
    guest.run(SEND.format(1))
    check(sent(probe.rings("--once", "--interval", "0.1")) > before, "packets after all that")
    switch.stats()
    check(not any(event["event"] == "vring_stopped" for event in switch.events), "the probe stopped a ring")
    guest.power_off()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch")
    parser.add_argument("vhostx_probe")
    options = parser.parse_args()
    run_test(watch_a_guest, options.vhostx_switch, options.vhostx_probe)
