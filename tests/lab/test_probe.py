#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-probe between QEMU and vhostx-switch, and as QEMU's back-end.

One Linux guest with two network devices: eth0 goes through `vhostx-probe trace` to vhostx-switch and carries packets, before
and after the switch is killed and started again; eth1 leads to `vhostx-probe listen`, which shows what QEMU wants.
"""

import argparse
import json

from guest import Machine, device_arguments, vhost_user_arguments
import interop_path  # noqa: F401
from probe import Observer, names, report_page, run_probe
from processes import check, check_equal, run_test
from vhostx_switch import VhostSwitch


def two_devices(traced, listened):
    second = device_arguments(listened, "52:54:00:00:00:02", "mq=on", queues=2, number=1)
    return vhost_user_arguments(traced, "52:54:00:00:00:01") + second


def running(count):
    return lambda state: sum(not ring["stopped"] and ring["enabled"] for ring in state["vrings"]) >= count


def what_qemu_wants(listener):
    state = listener.wait_state(running(2), "the rings of eth1", 120)
    wanted = state["features"]["text"].split()
    for name in ("VIRTIO_F_VERSION_1", "VIRTIO_NET_F_MRG_RXBUF", "VIRTIO_F_EVENT_IDX"):
        check(name in wanted, f"QEMU chose {wanted}, expected {name}")
    check(state["regions"] and all("memfd" in region["file"] for region in state["regions"]), state["regions"])
    check(all(ring["addresses"] for ring in state["vrings"] if not ring["stopped"]), state["vrings"])
    print(f"listen: QEMU shares {len(state['regions'])} regions and wants {len(wanted)} features", flush=True)


def send_packets(guest, switch, port):
    before = switch.stats()["ports"][0]["from_guest"]["packets"]
    guest.try_run("ping -c 3 -W 1 10.9.0.2")  # nobody answers: what counts is that it asks
    switch.wait_stats(lambda now: now["ports"][0]["from_guest"]["packets"] > before, f"packets of {port}")


def restart(bench, switch, switch_binary, port):
    switch.kill()
    return VhostSwitch(bench, switch_binary, [port], mode="io", extra=["--topology", "loop"])


def observe_qemu(bench, switch_binary, probe):
    port, traced, listened, record = (bench.path(name) for name in ("vm0", "traced", "listened", "record.jsonl"))
    switch = VhostSwitch(bench, switch_binary, [port], mode="io", extra=["--topology", "loop"])
    observer = Observer(bench, probe, "trace", traced, "--connect", port, "--write", record)
    listener = Observer(bench, probe, "listen", listened, "--queues", "2", name="listen")
    guest = Machine(bench, "guest", two_devices(traced, listened))
    guest.booted()
    guest.run("ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up")
    send_packets(guest, switch, port)
    switch = restart(bench, switch, switch_binary, port)
    switch.wait_started([port])
    send_packets(guest, switch, port)
    check_equal(observer.events("closed")[0]["text"], "the back-end left", "how the first connection ended")
    guest.run("ip link set eth1 up")
    what_qemu_wants(listener)
    state = observer.wait_state(running(2), "the rings of eth0")
    check_equal(len(started := [r for r in state["vrings"] if not r["stopped"]]), 2, f"rings that run: {started}")
    check_equal(observer.events("opened")[0]["front_end"]["program"][:11], "qemu-system", "the front-end")
    guest.power_off()
    observer.wait_closed(len(observer.events("opened")))
    listener.wait_closed()
    check_equal(observer.violations(), [], "violations between QEMU and vhostx-switch")
    # QEMU does not say goodbye to every ring of a device that it removes with itself: what listen saw may end open.
    check("GET_VRING_BASE" in names(observer.messages()), "QEMU stops the rings")
    shown = [json.loads(line) for line in run_probe(probe, "show", record, "--json")[0].splitlines()]
    check_equal(len(shown), len([e for e in observer.events() if e.get("event") not in (None, "state")]), "events shown")
    page = report_page(probe, record, bench.path("report.html"))
    check("qemu-system" in page and page.count("<h2") >= 4, "a page with both connections")
    observer.end()
    listener.end()
    switch.finish()
    print(f"trace: {len(observer.messages())} messages of a QEMU guest", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("switch")
    parser.add_argument("probe")
    arguments = parser.parse_args()
    run_test(observe_qemu, arguments.switch, arguments.probe)
