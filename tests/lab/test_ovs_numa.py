#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch with DPDK on our librte_vhost.so.23, in a machine with two NUMA nodes.

OVS asks the library in its callback on which node a new device is, and takes the port's mbufs and the thread that polls it
there. The answer has to be the guest's node, also for one that comes back on the other. Where things are in the end is
OVS's word for its threads and pools, and the library's for its own state (which test_numa.py compares with the kernel's).
"""

import argparse
import shlex

from host_root import ROOT
from numa_machine import NumaMachine
from numa_programs import NumaGuests
from open_vswitch import PMD_SLEEP, SCHEMA, VSWITCHD, need_open_vswitch
from processes import go_first, run_test, wait_until

FOLDER = "/tmp/ovs"
PORTS = ("vhu0", "vhu1")
CPUS_OF_PMDS = 0b110  # one of node 0, that of node 1
MEMORY_MIB = 128  # each node's
MOVED = 200


class NumaOvs:
    """Database, vswitchd and a bridge inside the machine."""

    def __init__(self, machine, library):
        self.machine = machine
        self.environment = [f"OVS_{kind}DIR={FOLDER}" for kind in ("RUN", "LOG", "DB", "SYSCONF")]
        self.environment += ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        machine.run(f"mkdir -p {ROOT}{FOLDER} && ip link set lo up")
        self.call("ovsdb-tool", "create", f"{FOLDER}/conf.db", SCHEMA)
        self.begin("ovsdb-server", "ovsdb-server", f"{FOLDER}/conf.db", f"--remote=punix:{FOLDER}/db.sock", f"--unixctl={FOLDER}/db.ctl",
                   "-vconsole:info")  # fmt: skip
        machine.wait_line("ovsdb-server", "ovsdb-server \\(Open vSwitch\\)")
        config = {"dpdk-init": "true", "dpdk-socket-mem": f'"{MEMORY_MIB},{MEMORY_MIB}"', "dpdk-extra": '"--no-pci --in-memory"'}
        config |= {"dpdk-lcore-mask": "0x1", "pmd-cpu-mask": hex(CPUS_OF_PMDS), **PMD_SLEEP}
        settings = [f"other_config:{key}={value}" for key, value in config.items()]
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", *settings)
        self.begin("vswitchd", VSWITCHD, f"unix:{FOLDER}/db.sock", f"--unixctl={FOLDER}/vs.ctl", "-vconsole:info",
                   environment=[f"LD_LIBRARY_PATH={library}"])  # fmt: skip
        machine.wait_line("vswitchd", "DPDK Enabled - initialized")
        wanted = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]
        for port in PORTS:
            wanted += ["--", "add-port", "br0", port, "--", "set", "Interface", port, "type=dpdkvhostuser"]
        self.vsctl(*wanted)

    def begin(self, name, *argv, environment=()):
        self.machine.begin_program(name, ["env", *self.environment, *environment, *argv])

    def call(self, *argv):
        return self.machine.run(shlex.join(["chroot", ROOT, "env", *self.environment, *argv]))

    def vsctl(self, *argv):
        return self.call("ovs-vsctl", f"--db=unix:{FOLDER}/db.sock", "--timeout=120", *argv)

    def appctl(self, *argv):
        return self.call("ovs-appctl", "-t", f"{FOLDER}/vs.ctl", *argv)

    def nodes(self):
        """{port: node of the thread that polls it}"""
        nodes, node = {}, None
        for line in self.appctl("dpif-netdev/pmd-rxq-show").splitlines():
            words = line.split()
            if line.startswith("pmd thread"):
                node = int(words[words.index("numa_id") + 1])
            elif words[:1] == ["port:"]:
                nodes[words[1]] = node
        return nodes

    def pool_of(self, port):
        return self.appctl("netdev-dpdk/get-mempool-info", port)


def guests_on(machine, binary, number, nodes):
    sockets = [f"{FOLDER}/{port},nodes={node},pages=4k" for port, node in zip(PORTS, nodes)]
    return NumaGuests(machine, f"guests{number}", binary, sockets)


def check_round(machine, ovs, binary, number, nodes):
    wanted = dict(zip(PORTS, nodes))
    placed = [f"{port}: vring 0: memory on node {node}, state on node {node}" for port, node in wanted.items()]
    seen = {line: machine.count_lines("vswitchd", line) for line in placed}
    guests = guests_on(machine, binary, number, nodes)
    for line in placed:
        machine.wait_line("vswitchd", line, seen[line])
    wait_until(lambda: ovs.nodes() == wanted, f"OVS to poll the ports on {wanted}, not {ovs.nodes()}", 120)
    for port, node in wanted.items():
        wait_until(lambda: f'"{node}"' in ovs.vsctl("get", "Interface", port, "status:numa"), f"OVS to have {port} on node {node}")
        wait_until(lambda: f"socket_id={node}\n" in ovs.pool_of(port), f"the mbufs of {port} to be on node {node}")
    before = guests.ask("count", "count")["received"]
    wait_until(lambda: guests.ask("count", "count")["received"] >= before + MOVED, "packets between the guests", 120)
    print(f"guests on {wanted}: OVS polls them there, with mbufs from there; packets flow", flush=True)
    guests.quit()


def two_nodes(bench, library, binary):
    need_open_vswitch(pages=0)
    machine = NumaMachine(bench, "machine", memory_mib=768, huge_pages=MEMORY_MIB // 2 + 16, modules=["tun"])
    go_first(machine.process.pid)
    machine.booted()
    machine.leave_drivers("mempool_ring")
    for path in (VSWITCHD, library, binary):
        machine.need_file(path)
    ovs = NumaOvs(machine, library)
    for number, nodes in enumerate([(1, 0), (0, 1), (1, 1)]):
        check_round(machine, ovs, binary, number, nodes)
    ovs.appctl("exit")
    machine.wait_end("vswitchd")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", help="the folder of our librte_vhost.so.23")
    parser.add_argument("numa_guests", help="the program that stands for the guests")
    arguments = parser.parse_args()
    run_test(two_nodes, arguments.library, arguments.numa_guests)
