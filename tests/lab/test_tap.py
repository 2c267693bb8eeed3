#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A guest and the host meet through vhostx-switch --tap: ping both ways, and files both ways over TCP.

vhostx-switch runs in a network namespace of the test's own, so that its TAP interface disturbs nobody.
"""

import argparse
import hashlib
import os
import subprocess

from guest import Guest
from processes import check, check_equal, need_program, need_to_make_taps, run_test, wait_until
from traffic import MIB, fetch, make_payload, ping, serve_drive, sha256
from vhostx_switch import VhostSwitch, describe

TAP = "vhostx-tap0"
HOST_ADDRESS = "10.0.0.254"
FILE_MIB = 16
PINGS = 5


class Host:
    """Commands in the network namespace that vhostx-switch runs in."""

    def __init__(self, bench, switch):
        self.bench = bench
        self.prefix = [need_program("nsenter", "util-linux"), "--net", "--target", str(switch.pid)]

    def run(self, *command, **options):
        done = subprocess.run([*self.prefix, *command], capture_output=True, timeout=120, check=True, **options)
        return done.stdout

    def set_up(self):
        wait_until(lambda: TAP.encode() in self.run("ip", "-brief", "link"), "the TAP interface")
        self.run("ip", "addr", "add", f"{HOST_ADDRESS}/24", "dev", TAP)
        self.run("ip", "link", "set", TAP, "up")

    def serve(self, directory):
        self.bench.start("httpd", [*self.prefix, "busybox", "httpd", "-f", "-p", "80", "-h", directory])


def meet_the_host(bench, binary):
    need_to_make_taps()
    switch = VhostSwitch(
        bench, binary, [bench.path("guest")], extra=["--tap", TAP], prefix=[need_program("unshare", "util-linux"), "--net"]
    )
    host = Host(bench, switch)
    host.set_up()
    payload = make_payload(bench, FILE_MIB)
    guest = Guest(bench, 1, bench.path("guest"), "packed=on", drive=payload).booted()

    print(f"guest to host: {ping(guest, HOST_ADDRESS, PINGS)} ms")
    for _ in range(PINGS):
        output = host.run("busybox", "ping", "-c", "1", "-W", "60", guest.address).decode()
        check("1 packets received" in output, f"a ping of the guest: {output}")

    serve_drive(guest, FILE_MIB * MIB)
    received = host.run("busybox", "wget", "-q", "-O", "-", f"http://{guest.address}/part0")
    check_equal(hashlib.sha256(received).hexdigest(), sha256(payload), "checksum of what the host received")
    os.mkdir(bench.path("www"))
    os.link(payload, bench.path("www/part0"))
    host.serve(bench.path("www"))
    transfer = fetch(guest, HOST_ADDRESS, payload)
    print(f"{FILE_MIB} MiB either way, checksums equal; {transfer.mebibytes / transfer.seconds:.0f} MiB/s into the guest")
    print(describe(switch.stats()))
    guest.power_off()
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    run_test(meet_the_host, parser.parse_args().vhostx_switch)
