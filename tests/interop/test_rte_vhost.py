#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd with net_vhost on our librte_vhost.so.23: a program that was made for DPDK's library, unmodified.

The guest is testpmd's virtio-user. As in test_testpmd_modes.py two bursts circulate, and the counts of both programs must
be equal to the packet and to the byte; here the back-end's come from net_vhost, which counts what the library
handed to it, and from the library's own statistics of each queue.
"""

import argparse
import os

from processes import check, check_equal, open_fds, run_test, wait_until
from test_testpmd_modes import JUMBO_OPTIONS, MODES, PACKED, PACKED_VECTORISED, PACKETS_MIN, SHAPES, SPLIT
from test_testpmd_modes import check_functions, first_bursts, shapes_of
from testpmd import Testpmd, TestpmdVhost
from vhost_user import NetGuest

RESTARTS = 5
PACKETS_MOVED = 200
INTERRUPT_GUESTS = 3
INTERRUPTS = 50
SIZES = ["undersize", "size_64", "size_65_127", "size_128_255", "size_256_511", "size_512_1023", "size_1024_1518",
         "size_1519_max"]  # fmt: skip


def circulate(back_end, guest, bursts):
    """Sends packets round for a while, then gathers the last ones at the guest."""
    before = back_end.port_stats().rx_packets
    guest.start("io", first_bursts=bursts)
    wait_until(lambda: back_end.port_stats().rx_packets >= before + PACKETS_MIN, "packets to go round")
    guest.stop()
    guest.start("rxonly")
    wait_until(lambda: (lambda s: s.rx_packets == s.tx_packets)(guest.port_stats()), "the last packets to come back")
    guest.stop()


def sum_of(xstats, direction, name):
    return sum(value for key, value in xstats.items() if key.startswith(direction + "_q") and key.endswith("_" + name))


def compare(back_end, guest):
    host, seen = back_end.port_stats(), guest.port_stats()
    print(f"  {seen.tx_packets} packets sent, {seen.rx_packets} came back")
    check_equal((host.rx_packets, host.rx_bytes), (seen.tx_packets, seen.tx_bytes), "what testpmd sent and net_vhost took")
    check_equal((host.tx_packets, host.tx_bytes), (seen.rx_packets, seen.rx_bytes), "what net_vhost gave and testpmd took")
    check_equal((host.rx_lost, host.tx_lost, seen.rx_lost, seen.tx_lost), (0, 0, 0, 0), "packets lost at either end")
    xstats = back_end.xstats()
    for direction, packets, size in (("rx", host.rx_packets, host.rx_bytes), ("tx", host.tx_packets, host.tx_bytes)):
        counted = sum_of(xstats, direction, "good_packets"), sum_of(xstats, direction, "good_bytes")
        check_equal(counted, (packets, size), f"the queues' good packets and bytes, {direction}")
        by_size = sum(sum_of(xstats, direction, f"{name}_packets") for name in SIZES)
        check_equal(by_size, packets, f"the queues' packets of all sizes, {direction}")


def one_mode(bench, library, mode, shapes):
    socket = bench.path(f"vhost{len(bench.processes)}")
    queues = MODES[mode].get("queues", 1)
    options = [f"--rxq={queues}", f"--txq={queues}"]
    back_end = TestpmdVhost(bench, socket, library, f"back-end{len(bench.processes)}", options=options, queues=queues).ready()
    jumbo = JUMBO_OPTIONS if "jumbo" in shapes else []
    guest = Testpmd(bench, socket, f"guest{len(bench.processes)}", options=options + jumbo, **MODES[mode]).ready()
    check_functions(guest, mode)
    back_end.start("io")
    for shape in shapes:
        print(f"{mode}, {shape} ({', '.join(guest.datapath())}):", flush=True)
        guest.command(f"set txpkts {SHAPES[shape]}", r"testpmd> ")
        circulate(back_end, guest, first_bursts(mode))
    compare(back_end, guest)
    guest.end()
    back_end.end()


def all_of(modes):
    def run(bench, library):
        for mode in modes:
            one_mode(bench, library, mode, shapes_of(mode))

    return run


def wait_traffic(back_end):
    first = back_end.port_stats()

    def moved():
        now = back_end.port_stats()
        return min(now.rx_packets - first.rx_packets, now.tx_packets - first.tx_packets) >= PACKETS_MOVED

    wait_until(moved, "packets to circulate")


def guest_killed(bench, library):
    """The front-end dies and comes back; the back-end is one process, and leaks nothing."""
    back_end = TestpmdVhost(bench, bench.path("vhost"), library).ready()
    back_end.start("io")
    first = None
    for turn in range(RESTARTS + 1):
        guest = Testpmd(bench, bench.path("vhost"), packed_vq=turn % 2).ready()
        guest.start("io", first_bursts=2)
        wait_traffic(back_end)
        first = first or open_fds(back_end.process.pid)
        wait_until(lambda: open_fds(back_end.process.pid) <= first, f"{first} descriptors or fewer under traffic")
        guest.kill()
        back_end.process.wait_for(r"front-end disconnected")
    back_end.end()
    check(not os.path.exists(bench.path("vhost")), "the socket is still there")


def back_end_killed(bench, library):
    """The back-end dies and comes back in the client role; the front-end is one process."""
    for packed in (0, 1):
        under_one_guest(bench, library, packed, bench.path(f"vhost{packed}"))


def under_one_guest(bench, library, packed, path):
    guest = Testpmd(bench, path, f"guest{packed}", server=1, packed_vq=packed)
    for turn in range(RESTARTS):
        back_end = TestpmdVhost(bench, path, library, client=1).ready()
        back_end.start("io")
        if turn == 0:
            guest.ready()  # its port is configured once there is a back-end
        wait_until(lambda: "link state change event" in back_end.process.log(back_end.process.begin), "the device")
        guest.start("io", first_bursts=2)
        wait_traffic(back_end)
        back_end.kill()
        guest.stop()
    guest.end()


def names(bench, library):
    """The statistics of the queues have the names that DPDK's library gives them."""
    seen = []
    for number, on in enumerate((library, None)):
        back_end = TestpmdVhost(bench, bench.path(f"vhost{number}"), on, f"back-end{number}").ready()
        guest = Testpmd(bench, bench.path(f"vhost{number}"), f"guest{number}").ready()
        seen.append(wait_until(lambda: [name for name in back_end.xstats() if "_q0_" in name], "statistics of queues"))
        guest.end()
        back_end.end()
    check_equal(seen[0], seen[1], "names of our statistics, and of DPDK's")
    print(f"{len(seen[0])} statistics have DPDK's names")


class SleepingEcho:
    """tests/compat/sleeping_echo.cpp: its one thread sleeps on the interrupt of net_vhost's receive queue."""

    def __init__(self, bench, program, socket, library, name):
        environment = {**os.environ, **({"LD_LIBRARY_PATH": library} if library else {})}
        argv = [program, "--lcores", f"0@{min(os.sched_getaffinity(0))}", "--no-pci", "--no-huge", "--no-shconf", "-m", "64",
                "--no-telemetry", "--vdev", f"net_vhost0,iface={socket}"]  # fmt: skip
        self.process = bench.start(name, argv, env=environment)
        self.process.wait_for("^ready$")

    def wait_asleep(self):
        """Its last word is that it goes to sleep; returns where its next words begin."""
        log = self.process.log
        return wait_until(lambda: (lambda said: len(said) if said.endswith("sleeping\n") else 0)(log()), "it to sleep")

    def words(self, since):
        return self.process.log()[since:].splitlines()


def echo_wakes(echo, guest, number):
    """One frame to a program that sleeps: it must be woken, and send it back."""
    begin = echo.wait_asleep()
    check(guest.transmit_ring.notification_wanted(), "a ring whose reader sleeps wants notifications")
    frame = bytes(12) + b"\x88\xb5" + f"frame {number}".encode().ljust(60)
    guest.send(frame)
    back = []
    wait_until(lambda: back.extend(guest.receive()) or back, f"frame {number} to come back")
    check_equal(back, [frame], "what came back")
    words = echo.words(begin)
    check("woken" in words and "echoed 1 of 1" in words, f"what the program said: {words}")


def interrupts(bench, library, program):
    """An application that sleeps on receive interrupts: of net_vhost on our library, and on DPDK's."""
    for number, on in enumerate((library, None)):
        socket = bench.path(f"vhost{number}")
        echo = SleepingEcho(bench, program, socket, on, f"sleeping_echo{number}")
        for connection in range(INTERRUPT_GUESTS):
            before = len(echo.process.log())
            guest = NetGuest(socket)
            wait_until(lambda: "link up" in echo.words(before), "the program to hear of its guest")
            for frame in range(INTERRUPTS):
                echo_wakes(echo, guest, frame)
            guest.close()
            wait_until(lambda: "link down" in echo.words(before), "the program to hear that its guest left")
            print(f"{'vhostx' if on else 'DPDK'}, guest {connection}: {INTERRUPTS} frames woke the program", flush=True)
        check_equal(echo.process.end(), 0, "exit status")


SCENARIOS = {"modes": all_of(SPLIT), "packed": all_of(PACKED), "packed-vectorised": all_of(PACKED_VECTORISED), "guest-killed": guest_killed, "back-end-killed": back_end_killed, "names": names,
             "interrupts": interrupts}  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", help="the folder of our librte_vhost.so.23")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("program", nargs="*", help="sleeping_echo, for the scenario interrupts")
    arguments = parser.parse_args()
    run_test(SCENARIOS[arguments.scenario], arguments.library, *arguments.program)
