#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-probe rings watches a guest in Python on vhostx-switch: through `vhostx-probe trace`, and the switch itself; and
the same for packed rings, with vhostx-bench as the guest.

Each packet must be seen, a frozen back-end be called stuck, and of a process that shows no rings be said what to do.
"""

import argparse
import json
import os
import signal
import socket
import struct

from probe import TIMEOUT_S, Observer, run_probe
from processes import check, check_equal, run_test, wait_until
from vhost_user import PROTOCOL_WANTED, SET_FEATURES, SET_VRING_ADDR, VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_F_VERSION_1, NetGuest
from vhostx_switch import VhostSwitch

FRAME = b"\xff" * 6 + b"\x52\x54\x00\x00\x00\x01\x88\xb5" + bytes(50)
RECEIVE, TRANSMIT = 0, 1
SET_LOG_BASE = 6
PROTOCOL_LOG_SHMFD = 1 << 1
LOG_ALL = 1 << 26
LOG_BYTES = 65536  # of 2 GiB of guest memory


class Probe:
    def __init__(self, binary):
        self.binary = binary

    def run(self, *arguments, status=0):
        return run_probe(self.binary, "rings", *arguments, status=status)[0 if status == 0 else 1]

    def rows(self, target, *arguments):
        return self.refresh(target, *arguments)["rings"]

    def refresh(self, target, *arguments):
        """The last one."""
        lines = self.run(target, "--json", "--interval", "0.1", *arguments).splitlines()
        return json.loads(lines[-1])


class MigratingGuest(NetGuest):
    protocol_wanted = PROTOCOL_WANTED | PROTOCOL_LOG_SHMFD

    def begin_logging(self):
        """As QEMU does: the log, LOG_ALL, and the addresses of rings once more; here of the transmit ring alone."""
        log = os.memfd_create("log", os.MFD_CLOEXEC)
        os.ftruncate(log, LOG_BYTES)
        self.front_end.tell(SET_LOG_BASE, struct.pack("=QQ", LOG_BYTES, 0), [log])
        self.front_end.tell(SET_FEATURES, struct.pack("=Q", VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES | LOG_ALL))
        ring = self.transmit_ring
        self.front_end.tell(SET_VRING_ADDR, struct.pack("=IIQQQQ", ring.index, 1, *ring.addresses(), self.used_page()))
        os.close(log)

    def used_page(self):
        """The guest address of the transmit ring's used ring."""
        return self.transmit_ring.slot.guest_address + self.transmit_ring.used


def refuse_others(probe, bench):
    """This process listens, and is no back-end."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(bench.path("other"))
    listener.listen()
    for target in (str(os.getpid()), bench.path("other")):
        said = probe.run(target, status=1)
        check("shows no rings" in said and str(os.getpid()) in said, f"what is said of {target}: {said}")
    check("nobody listens" in probe.run(bench.path("nowhere"), status=1), "a socket that is not there")
    listener.close()


def watch_a_port(bench, binary, probe_binary):
    """A running switch, with nothing in between."""
    probe = Probe(probe_binary)
    paths = [bench.path("direct"), bench.path("idle")]
    switch = VhostSwitch(bench, binary, paths, name="direct-switch")
    check("idle: no front-end is connected" in probe.run(paths[1], "--once"), "a port without a front-end")
    guest = MigratingGuest(paths[0])
    switch.wait_started(paths[:1])
    see_packets(probe, guest, paths[0], counted=False)
    see_packets(probe, guest, str(switch.pid), counted=False)
    see_it_stuck(probe, switch, guest, paths[0])
    see_it_migrate(probe, guest, paths[0])
    text = probe.run(str(switch.pid), "--once")
    check(f"{paths[0]}, front-end" in text and f"({os.getpid()})" in text, text)
    check(f"{paths[1]}: no front-end is connected" in text, text)
    guest.close()
    wait_until(lambda: probe.rows(paths[0], "--once") == [], "the rings to go with the front-end")
    watching = bench.start("watching-a-port", [probe_binary, "rings", paths[0], "--interval", "0.1"])
    watching.wait_for("no front-end is connected")
    switch.finish()
    check_equal(watching.popen.wait(TIMEOUT_S), 1, "status once the back-end has ended")
    check_equal(watching.log().count("vhostx-probe: "), 1, "one line says why")


def see_packets(probe, guest, target, counted=True):
    rows = probe.rows(target, "--once")
    check_equal(rows[RECEIVE]["in_flight"], guest.receive_ring.avail_index, "buffers of the receive ring")
    for _ in range(5):
        check(guest.send(FRAME), "room for a frame")
    guest_sent = guest.transmit_ring.avail_index
    wait_until(
        lambda: probe.rows(target, "--once")[TRANSMIT]["split"]["used_index"] == guest_sent, "the packets to be used"
    )
    row = probe.rows(target, "--once")[TRANSMIT]
    check_equal((row["in_flight"], row["size"]), (0, guest.transmit_ring.size), str(row))
    check_equal(row["kicks_per_s"] is not None, counted, f"kicks are counted: {row}")


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


def see_it_migrate(probe, guest, target):
    check_equal(probe.refresh(target, "--once")["logs"], [], "logs of a guest that stays")
    guest.begin_logging()
    log = probe.refresh(target, "--once")["logs"][0]
    check_equal((log["on"], log["size"], log["offset"], log["marked_pages"]), (True, LOG_BYTES, 0, 0), "the log at first")
    check(guest.send(FRAME), "room for a frame")
    wait_until(lambda: probe.refresh(target, "--once")["logs"][0]["marked_pages"] == 1, "the used ring's page to be marked")
    rows = probe.rows(target, "--once")
    check_equal((rows[RECEIVE]["logged_at"], rows[TRANSMIT]["logged_at"]), (None, guest.used_page()), "used rings' logs")
    text = probe.run(target, "--once")
    check("dirty log: on, 64 KiB at offset 0x0, 1 page marked" in text and "runs, logged" in text, text)


def watch_a_relay(bench, binary, probe_binary):
    probe = Probe(probe_binary)
    switch = VhostSwitch(bench, binary, [bench.path("port")])
    refuse_others(probe, bench)
    relay = Observer(bench, probe_binary, "trace", bench.path("relay"), "--connect", bench.path("port"), "--count-notifications")
    check_equal(probe.rows(bench.path("relay"), "--once"), [], "rings of a relay that nobody has connected to")
    guest = MigratingGuest(bench.path("relay"))
    switch.wait_started([bench.path("port")])
    # The relay counts once a second.
    wait_until(lambda: probe.rows(bench.path("relay"), "--once")[TRANSMIT]["kicks_per_s"] is not None, "kicks to be counted")
    see_packets(probe, guest, str(relay.process.pid))
    see_it_stuck(probe, switch, guest, bench.path("relay"))
    see_it_migrate(probe, guest, bench.path("relay"))
    watching = bench.start("watching", [probe_binary, "rings", bench.path("relay"), "--interval", "0.1"])
    watching.wait_for(rf"connection 1: \S+ \({os.getpid()}\)")
    relay.end()
    check_equal(watching.popen.wait(TIMEOUT_S), 1, "status once the relay has ended")
    check_equal(watching.log().count("vhostx-probe: "), 1, "one line says why")
    guest.close()
    switch.finish()


def see_packed(probe, target, *rates_by):
    """The rings of a guest that sends: none of its receive buffers is ever used."""
    wait_until(lambda: (probe.rows(target, "--once")[TRANSMIT]["used_per_s"] or 0) > 0, "packets to be counted")
    receive, transmit = probe.rows(target, "--once")
    check_equal((transmit["layout"], transmit["size"]), ("packed", 100), str(transmit))
    check(transmit["rates_by"] in rates_by, str(transmit))
    check_equal((receive["in_flight"], receive["in_flight_exact"]), (100, True), str(receive))
    check(transmit["in_flight"] <= 100, str(transmit))


def see_packed_stuck(probe, switch, target):
    freeze(switch.pid)
    try:
        wait_until(lambda: probe.rows(target, "--once")[TRANSMIT]["in_flight"] == 100, "the ring to be full")
        rows = probe.rows(target, "--count", "4", "--stuck", "0.2")
        check(rows[TRANSMIT]["stuck_s"] >= 0.2, str(rows[TRANSMIT]))
        check_equal(rows[RECEIVE]["stuck_s"], None, "a receive ring")
    finally:
        os.kill(switch.pid, signal.SIGCONT)
    wait_until(lambda: probe.rows(target, "--count", "2", "--stuck", "0.05")[TRANSMIT]["stuck_s"] is None, "the ring to go on")


def watch_packed_rings(bench, binary, probe_binary, bench_binary):
    """Packets are counted by the port itself, or by what the ring shows, where that goes round slowly enough."""
    probe = Probe(probe_binary)
    port, relay_path = bench.path("packed"), bench.path("packed-relay")
    switch = VhostSwitch(bench, binary, [port], mode="rxonly", name="packed-switch")
    sending = ["--packed", "--ring-size", "100", "--mode", "tx", "--rate", "5000", "--duration", "300", "--rounds", "1"]
    guest = bench.start("packed-guest", [bench_binary, "--connect", port, *sending])
    switch.wait_started([port])
    see_packed(probe, port, "packets")
    see_packed_stuck(probe, switch, port)
    guest.kill()
    relay = Observer(bench, probe_binary, "trace", relay_path, "--connect", port)
    guest = bench.start("traced-guest", [bench_binary, "--connect", relay_path, *sending])
    wait_until(lambda: len(probe.rows(relay_path, "--once")) == 2, "the rings of the guest")
    see_packed(probe, relay_path, "positions", "moments")
    see_packed_stuck(probe, switch, relay_path)
    guest.kill()
    relay.end()
    switch.finish()


def watch_all(bench, binary, probe_binary, bench_binary):
    watch_a_relay(bench, binary, probe_binary)
    watch_a_port(bench, binary, probe_binary)
    watch_packed_rings(bench, binary, probe_binary, bench_binary)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test's peer")
    parser.add_argument("vhostx_probe", help="the program under test")
    parser.add_argument("vhostx_bench", help="a guest with packed rings")
    options = parser.parse_args()
    run_test(watch_all, options.vhostx_switch, options.vhostx_probe, options.vhostx_bench)
