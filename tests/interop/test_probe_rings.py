#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-probe rings watches a process that publishes its rings as a relay does: this one, a guest of vhostx-switch.

The document is made here from its description (tools/probe/README.md). Each packet must be seen, a frozen back-end be called
stuck, and who publishes nothing be told what to do.
"""

import argparse
import fcntl
import json
import os
import signal
import socket
import subprocess

from processes import check, check_equal, run_test, wait_until
from vhost_user import USER_ADDRESS_OFFSET, VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_F_VERSION_1, NetGuest
from vhostx_switch import VhostSwitch

F_ADD_SEALS, ALL_SEALS = 1033, 0xF  # <linux/fcntl.h>: seal, shrink, grow, write
TIMEOUT_S = 60
FRAME = b"\xff" * 6 + b"\x52\x54\x00\x00\x00\x01\x88\xb5" + bytes(50)
RECEIVE, TRANSMIT = 0, 1


class Published:
    def __init__(self, guest, counts):
        self.fd = os.memfd_create("vhostx-probe-rings", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.write(self.fd, json.dumps(self.document(guest, counts)).encode())
        fcntl.fcntl(self.fd, F_ADD_SEALS, ALL_SEALS)

    @staticmethod
    def region(slot):
        status = os.fstat(slot.fd)
        return {
            "guest_address": slot.guest_address,
            "front_end_address": slot.guest_address + USER_ADDRESS_OFFSET,
            "size": slot.size,
            "mmap_offset": 0,
            "fd": slot.fd,
            "device": status.st_dev,
            "inode": status.st_ino,
        }

    @staticmethod
    def ring(ring, counts):
        descriptor, used, available = ring.addresses()
        return {
            "ring": ring.index,
            "enabled": True,
            "started": True,
            "size": ring.size,
            "addresses": {"descriptor": descriptor, "available": available, "used": used},
            "counts": counts,
        }

    def document(self, guest, counts):
        connection = {
            "connection": 1,
            "name": "a guest in Python",
            "features": VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES,
            "guest_addresses": False,
            "network": True,
            "regions": [self.region(slot) for slot in guest.slots],
            "rings": [self.ring(ring, counts) for ring in (guest.receive_ring, guest.transmit_ring)],
        }
        return {"format": "vhostx-probe rings", "version": 1, "connections": [connection]}


class Probe:
    def __init__(self, binary):
        self.binary = binary

    def run(self, *arguments, status=0):
        argv = [self.binary, "rings", *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S)
        check_equal(done.returncode, status, f"status of {' '.join(argv)}\n{done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stderr

    def rows(self, target, *arguments):
        """Of the last refresh."""
        lines = self.run(target, "--json", "--interval", "0.1", *arguments).splitlines()
        return json.loads(lines[-1])["rings"]


def refuse_others(probe, switch, bench):
    for target in (str(switch.pid), bench.path("port")):
        said = probe.run(target, status=1)
        check("vhostx-probe trace" in said and str(switch.pid) in said, f"what is said of {target}: {said}")
    check("nobody listens" in probe.run(bench.path("nowhere"), status=1), "a socket that is not there")


def see_packets(probe, guest, target):
    rows = probe.rows(target, "--once")
    check_equal(rows[RECEIVE]["in_flight"], guest.receive_ring.avail_index, "buffers of the receive ring")
    for _ in range(5):
        check(guest.send(FRAME), "room for a frame")
    guest_sent = guest.transmit_ring.avail_index
    wait_until(
        lambda: probe.rows(target, "--once")[TRANSMIT]["split"]["used_index"] == guest_sent, "the packets to be used"
    )
    row = probe.rows(target, "--once")[TRANSMIT]
    check_equal((row["in_flight"], row["size"], row["kicks_per_s"]), (0, guest.transmit_ring.size, 0), str(row))


def freeze(pid):
    """Returns once all of its threads stand still."""
    os.kill(pid, signal.SIGSTOP)
    for thread in os.listdir(f"/proc/{pid}/task"):
        wait_until(lambda name=thread: thread_state(pid, name) == "T", "the back-end to stop")


def thread_state(pid, thread):
    with open(f"/proc/{pid}/task/{thread}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


def see_it_stuck(probe, switch, guest, target):
    freeze(switch.pid)
    try:
        check(guest.send(FRAME), "room for a frame")
        rows = probe.rows(target, "--count", "4", "--stuck", "0.2")
        check(rows[TRANSMIT]["stuck_s"] >= 0.2, str(rows[TRANSMIT]))
        check_equal(rows[RECEIVE]["stuck_s"], None, "a receive ring")
        check("stuck: avail has moved" in probe.run(target, "--once", "--interval", "0.5", "--stuck", "0.2"), "text")
    finally:
        os.kill(switch.pid, signal.SIGCONT)
    wait_until(lambda: probe.rows(target, "--once")[TRANSMIT]["in_flight"] == 0, "the ring to go on")


def watch_a_relay(bench, binary, probe_binary):
    probe = Probe(probe_binary)
    switch = VhostSwitch(bench, binary, [bench.path("port")])
    refuse_others(probe, switch, bench)
    guest = NetGuest(bench.path("port"))
    switch.wait_started([bench.path("port")])
    published = Published(guest, {"kicks": 3, "calls": 4})
    see_packets(probe, guest, str(os.getpid()))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(bench.path("relay"))
        listener.listen()
        see_it_stuck(probe, switch, guest, bench.path("relay"))
        watching = bench.start("watching", [probe_binary, "rings", bench.path("relay"), "--interval", "0.1"])
        watching.wait_for("a guest in Python")
        os.close(published.fd)
        watching.wait_for("publishes no rings")
        check_equal(watching.popen.wait(TIMEOUT_S), 1, "status once nothing is published any more")
    guest.close()
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test's peer")
    parser.add_argument("vhostx_probe", help="the program under test")
    options = parser.parse_args()
    run_test(watch_a_relay, options.vhostx_switch, options.vhostx_probe)
