#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch with DPDK, Debian's binaries, on our librte_vhost.so.23: two Linux guests ping, and one fetches 64 MiB.

With a keeper (scenario `kept`), neither is noticed by the guests at all: a port of each kind keeps its connection.

As `dpdkvhostuserclient`, what OVS counts of each port (by way of the library's statistics of each queue; OVS 3.1 asks for
them in this role alone) is compared with what the guests' drivers count; and vswitchd is ended and killed under the guests,
and started again: they go on.

Guests have split or packed rings: one of each as `server` and `kept`, both packed as `client`.
"""

import argparse

import interop_path  # noqa: F401
from guest import Guest
from keeper import Keeper
from open_vswitch import OpenVswitch
from processes import check, check_equal, open_sockets, run_test, wait_until
from qemu import qemu_program, ring_size
from traffic import MIB, PAYLOAD_MIB, FetchAgain, fetch, make_payload, ping, serve_drive, wait_ping

RESTARTS = 3
RING_PACKED = 34
PACKED = "packed=on"
# OVS's names of what the library calls size_64_packets and so on.
SIZES = ["1_to_64", "65_to_127", "128_to_255", "256_to_511", "512_to_1023", "1024_to_1522", "1523_to_max"]


def guests_on(bench, ports, server, devices):
    payload = make_payload(bench)
    guests = [Guest(bench, number, port, device, server=server, drive=payload)
              for number, (port, device) in enumerate(zip(ports, devices), start=1)]  # fmt: skip
    return [guest.booted() for guest in guests], payload


def check_rings(guests, packed):
    """Whether the guests' rings are packed: their drivers have what OVS has. OVS itself shows features only when it next looks."""
    for guest, expected in zip(guests, packed):
        bits = guest.run("cat /sys/class/net/eth0/device/features").strip()
        check_equal(bits[RING_PACKED] == "1", expected, f"whether {guest.address} has RING_PACKED in {bits}")


def driver_counts(guest):
    """{direction: (packets, bytes)} as OVS has to see them: what the guest sends is received there."""
    said = guest.run("cd /sys/class/net/eth0/statistics && cat tx_packets tx_bytes rx_packets rx_bytes").split()
    sent, sent_bytes, received, received_bytes = map(int, said)
    return {"rx": (sent, sent_bytes), "tx": (received, received_bytes)}


def check_statistics(ovs, name, guest):
    """OVS reads the statistics every few seconds, and a guest may say something meanwhile: that they agree is waited for."""

    def agree():
        seen, counts = ovs.statistics(name), driver_counts(guest)
        same = all((seen.get(f"{way}_packets"), seen.get(f"{way}_bytes")) == counts[way] for way in counts)
        return (seen, counts) if same else None

    seen, counts = wait_until(agree, f"{name}'s statistics to be {driver_counts(guest)}, not {ovs.statistics(name)}")
    for way in counts:
        check_equal(seen[f"{way}_q0_good_packets"], seen[f"{way}_packets"], f"{name}: {way} packets of queue 0, and of all")
        check_equal(seen[f"{way}_q0_good_bytes"], seen[f"{way}_bytes"], f"{name}: {way} bytes of queue 0, and of all")
        by_size = sum(seen[f"{way}_{size}_packets"] for size in SIZES)
        check_equal(by_size, seen[f"{way}_packets"], f"{name}: {way} packets of all sizes")
    print(f"{name}: OVS and the guest's driver agree on {counts}")


def exchange(guests, payload):
    first, second = guests
    wait_ping(second, first.address)  # OVS takes a device up when its main thread comes round
    times = ping(second, first.address)
    print(f"{len(times)} pings answered, median {sorted(times)[len(times) // 2]:.1f} ms")
    there = fetch(second, first.address, payload)
    print(f"{PAYLOAD_MIB} MiB: {there.mebibytes / there.seconds:.1f} MiB/s, sha256 {there.sha256}", flush=True)


def server(bench, library):
    """dpdkvhostuser: OVS listens."""
    ovs = OpenVswitch(bench, library)
    ports = [ovs.add_port(name) for name in ("vhu0", "vhu1")]
    guests, payload = guests_on(bench, ports, server=False, devices=["", PACKED])
    serve_drive(guests[0], PAYLOAD_MIB * MIB)
    exchange(guests, payload)
    for name in ("vhu0", "vhu1"):
        status = ovs.status(name)
        check_equal((status["mode"], status["status"], status["num_of_vrings"]), ("server", "connected", "2"), f"{name}'s status")
        check_equal(status["vring_0_size"], str(ring_size(qemu_program())), f"{name}'s ring")
    check_rings(guests, [False, True])
    for guest in guests:
        guest.power_off()
    wait_until(lambda: "disconnected" in ovs.status("vhu0").get("status", ""), "OVS to see that the guest is gone")
    ovs.vsctl("del-port", "br0", "vhu0")
    ovs.end()


def client(bench, library):
    """dpdkvhostuserclient: QEMU listens, vswitchd comes and goes."""
    paths = [bench.path("client0"), bench.path("client1")]
    ovs = OpenVswitch(bench, library)
    for name, path in zip(("vhu0", "vhu1"), paths):
        ovs.add_port(name, client_path=path)
    guests, payload = guests_on(bench, paths, server=True, devices=[PACKED, PACKED])
    serve_drive(guests[0], PAYLOAD_MIB * MIB)
    exchange(guests, payload)
    for name, guest in zip(("vhu0", "vhu1"), guests):
        check_statistics(ovs, name, guest)
    for turn in range(RESTARTS):
        guests[1].begin(f"ping -c 40 -i 0.1 -W 1 {guests[0].address}")  # it goes on meanwhile
        ovs.kill() if turn % 2 else ovs.end()
        ovs.start()
        guests[1].answer()
        wait_ping(guests[1], guests[0].address)
        print(f"vswitchd {'killed' if turn % 2 else 'ended'} and started: the guests meet again", flush=True)
    exchange(guests, payload)
    check("connected" in ovs.status("vhu0")["status"], f"status {ovs.status('vhu0')}")
    check_rings(guests, [True, True])
    for guest in guests:
        guest.power_off()
    ovs.end()


def kept(bench, library, keeper_binary, times):
    """vhostx-keeper holds the connections: a file is fetched while vswitchd ends, is killed, and starts again."""
    keeper = Keeper(bench, keeper_binary)
    ovs = OpenVswitch(bench, library, environment={"VHOSTX_KEEPER": keeper.socket})
    paths = [ovs.add_port("vhu0"), ovs.add_port("vhu1", client_path=bench.path("client1"))]
    payload = make_payload(bench)
    guests = [Guest(bench, 1, paths[0], drive=payload), Guest(bench, 2, paths[1], PACKED, server=True)]
    for guest in guests:
        guest.booted()
    wait_ping(guests[1], guests[0].address)
    serve_drive(guests[0], PAYLOAD_MIB * MIB)
    files = FetchAgain(guests[1], guests[0].address, payload)
    held = keeper.open_fds()
    connections = [open_sockets(guest.process.pid) for guest in guests]
    for turn in range(2 * times):
        files.wait_progress()
        ovs.kill() if turn % 2 else ovs.end()
        ovs.start()
        for _ in paths:
            ovs.process.wait_for("the connection of a process before goes on")
        check_equal(keeper.open_fds(), held, "descriptors of the keeper")
        check_equal([open_sockets(guest.process.pid) for guest in guests], connections, "sockets of the guests' QEMUs")
        print(f"vswitchd {'killed' if turn % 2 else 'ended'} and started: both connections go on", flush=True)
    files.wait_progress()
    print(f"ended {times} times, killed {times} times: {files.finish()} times {PAYLOAD_MIB} MiB with equal sums")
    for guest in guests:
        guest.power_off()
    ovs.end()


SCENARIOS = {"server": server, "client": client, "kept": kept}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", help="the folder of our librte_vhost.so.23; - for DPDK's own")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("keeper", nargs="?", help="kept: vhostx-keeper")
    parser.add_argument("--times", type=int, default=2, help="kept: vswitchd is ended, and killed, as often (2)")
    arguments = parser.parse_args()
    library = None if arguments.library == "-" else arguments.library
    how = [arguments.keeper, arguments.times] if arguments.scenario == "kept" else []
    run_test(SCENARIOS[arguments.scenario], library, *how)
