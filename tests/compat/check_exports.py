#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the library exports, with versions: all that programs and plug-ins of this machine import of librte_vhost.so.N, the
same as DPDK's own where that is installed, and nothing of vhostx."""

import glob
import subprocess
import sys

IMPORTERS = ["/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk", "/usr/bin/dpdk-*", "/usr/lib/*/dpdk/pmds-{n}*/*.so.{n}"]
# Always: what Open vSwitch and DPDK's net_vhost were made with, wherever they are not installed.
ALWAYS = """driver_register driver_unregister driver_start driver_callback_register driver_disable_features
enable_guest_notification enqueue_burst dequeue_burst get_ifname get_mtu get_negotiated_features get_numa_node get_vhost_vring
get_vring_num rx_queue_count vring_stats_get vring_stats_get_names vring_stats_reset""".split()


def always(number):
    monitor = "EXPERIMENTAL" if number < 24 else f"DPDK_{number}"
    return {f"rte_vhost_{name}@DPDK_{number}" for name in ALWAYS} | {f"rte_vhost_get_monitor_addr@{monitor}"}


def symbols(path, *kinds):
    """NAME@VERSION of the dynamic symbols of these kinds (nm's letters)."""
    lines = subprocess.run(["nm", "-D", path], capture_output=True, text=True, check=True).stdout.splitlines()
    words = [line.split() for line in lines]
    return {word[-1].replace("@@", "@") for word in words if word[-2] in kinds}


def dynamic(path, tag):
    lines = subprocess.run(["readelf", "-d", path], capture_output=True, text=True).stdout.splitlines()
    return {line[line.index("[") + 1 : line.index("]")] for line in lines if f"({tag})" in line}


def check(library, number):
    soname = f"librte_vhost.so.{number}"
    faults = []
    exported = {name for name in symbols(library, *"TWVDBRi") if not name.startswith(("DPDK_", "EXPERIMENTAL", "INTERNAL"))}
    if dynamic(library, "SONAME") != {soname}:
        faults.append(f"the SONAME is {dynamic(library, 'SONAME')}")
    faults += [f"needs {name}" for name in dynamic(library, "NEEDED") if name == soname or "vhostx" in name]
    faults += [f"exports {name}" for name in exported if not name.startswith(("rte_vhost_", "rte_vdpa_"))]
    faults += [f"lacks {name}" for name in sorted(always(number) - exported)]
    importers = 0
    for path in [path for pattern in IMPORTERS for path in glob.glob(pattern.format(n=number))]:
        if soname not in dynamic(path, "NEEDED"):
            continue
        importers += 1
        imported = {name for name in symbols(path, "U") if name.startswith(("rte_vhost_", "rte_vdpa_"))}
        faults += [f"lacks {name}, which {path} imports" for name in sorted(imported - exported)]
    for path in glob.glob(f"/usr/lib/*/{soname}"):
        theirs = {name for name in symbols(path, "T")}
        faults += [f"lacks {name}, which {path} exports" for name in sorted(theirs - exported)]
        faults += [f"has {name}, which {path} has not" for name in sorted(exported - theirs)]
    print("\n".join(faults) if faults else f"{len(exported)} symbols; {importers} programs and plug-ins find theirs")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(check(sys.argv[1], int(sys.argv[2])))
