#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest fetches a file from another one over TCP while vhostx-switch is killed and started again.

vhostx-keeper holds their connections. Each new vhostx-switch says that it has taken both over, and the file's checksum is right at the
end. Half of the times the switch ends in order instead.
"""

import argparse
import random
import time

import interop_path  # noqa: F401
from guest import Guest
from keeper import Keeper
from processes import check_equal, run_test
from traffic import MIB, FetchAgain, make_payload, ping, serve_drive
from vhostx_switch import VhostSwitch

FILE_MIB = 16
PAUSE_S = 0.5  # at most, from packets to the next end


def start_switch(bench, binary, keeper, number, ports):
    return VhostSwitch(bench, binary, ports, extra=keeper.arguments(), name=f"switch-{number}")


def wait_adopted(switch, ports):
    for port in ports:
        event = switch.wait_event("connected", port=port.split(",")[0])
        check_equal(event.get("adopted", False), True, f"{port} was taken over")


def lives(bench, switch_binary, keeper_binary, times):
    keeper = Keeper(bench, keeper_binary)
    payload = make_payload(bench, FILE_MIB)
    sockets = [bench.path("a"), bench.path("b")]
    ports = [sockets[0], sockets[1] + ",role=client"]
    switch = start_switch(bench, switch_binary, keeper, 1, ports)
    a = Guest(bench, 1, sockets[0], drive=payload)
    b = Guest(bench, 2, sockets[1], server=True)
    a.booted()
    b.booted()
    ping(b, a.address)
    serve_drive(a, FILE_MIB * MIB)
    files = FetchAgain(b, a.address, payload)
    held = None
    for number in range(2, times + 2):
        files.wait_progress()
        time.sleep(random.random() * PAUSE_S)
        if number % 2 == 0:
            switch.kill()
        else:
            switch.finish()
        switch = start_switch(bench, switch_binary, keeper, number, ports)
        wait_adopted(switch, ports)
        held = held or keeper.open_fds()
        check_equal(keeper.open_fds(), held, "descriptors of the keeper")
    files.wait_progress()
    print(f"{times} ends of vhostx-switch, {files.finish()} times {FILE_MIB} MiB with equal sums, the same two connections")
    a.power_off()
    b.power_off()
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("keeper", help="vhostx-keeper")
    parser.add_argument("--times", type=int, default=6)
    arguments = parser.parse_args()
    run_test(lives, arguments.vhostx_switch, arguments.keeper, arguments.times)
