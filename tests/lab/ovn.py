# SPDX-License-Identifier: BSD-3-Clause
"""OVN, Debian's binaries, over Open vSwitches on two hosts: northd and the two databases on the first, a controller on each.

Geneve goes from vswitchd to vswitchd: the tunnel's ends are addresses of a bridge, `underlay`, of which the cable is a port.
"""

import os
import subprocess

from open_vswitch import OpenVswitch
from processes import Failure, need_program, wait_until
from two_hosts import CABLE

SCHEMAS = "/usr/share/ovn"
UNDERLAY = "underlay"
BRIDGE = "br-int"
PORT = 6642
TIMEOUT = "--timeout=60"


def need_ovn():
    need_program("ovn-northd", "ovn-central")
    need_program("ovn-controller", "ovn-host")


class Central:
    """The databases, in one ovsdb-server, and northd."""

    def __init__(self, bench, host):
        self.database = f"unix:{host.path('ovn.sock')}"
        files = [host.path(f"ovn-{half}.db") for half in ("nb", "sb")]
        for file in files:
            schema = os.path.join(SCHEMAS, os.path.basename(file).replace(".db", ".ovsschema"))
            call("ovsdb-tool", "create", file, schema)
        bench.start("ovn-databases", [*host.prefix, "ovsdb-server", *files, f"--remote=p{self.database}",
                    f"--remote=ptcp:{PORT}:{host.address}", f"--unixctl={host.path('ovn.ctl')}"])  # fmt: skip
        wait_until(lambda: os.path.exists(host.path("ovn.sock")), "the socket of OVN's databases")
        self.nbctl("init")
        northd = supervised("ovn-northd", f"--ovnnb-db={self.database}", f"--ovnsb-db={self.database}",
                            f"--unixctl={host.path('northd.ctl')}", "-vconsole:info")  # fmt: skip
        bench.start("northd", [*host.prefix, *northd])

    def nbctl(self, *argv):
        return call("ovn-nbctl", f"--db={self.database}", TIMEOUT, *argv)

    def sbctl(self, *argv):
        return call("ovn-sbctl", f"--db={self.database}", TIMEOUT, *argv)

    def wait_chassis(self, both):
        names = {chassis.host.name for chassis in both}
        wait_until(lambda: set(self.sbctl("--bare", "--columns=name", "list", "Chassis").split()) == names, f"the chassis {names}")

    def chassis_of(self, port):
        """The name of the host that has claimed it; empty: none."""
        uuid = self.sbctl("--bare", "--columns=chassis", "find", "Port_Binding", f"logical_port={port}")
        return self.sbctl("--bare", "get", "Chassis", uuid, "name").strip('"') if uuid else ""

    def wait_port(self, port, host):
        """Until that host has the port, and each host the flows that lead there."""
        wait_until(lambda: self.chassis_of(port) == host.name, f"{port} to be on {host.name}")
        self.nbctl("wait-until", "Logical_Switch_Port", port, "up=true")
        self.nbctl("--wait=hv", "sync")


class Chassis:
    """A host's Open vSwitch, and its ovn-controller."""

    def __init__(self, bench, host, library, central, memory_mib, cpus):
        self.host = host
        self.ovs = OpenVswitch(bench, library, memory_mib=memory_mib, cpus=cpus, bridge=UNDERLAY, host=host)
        self.ovs.vsctl("add-port", UNDERLAY, CABLE)
        host.run("ip", "addr", "add", f"{host.address}/24", "dev", UNDERLAY)
        host.run("ip", "link", "set", UNDERLAY, "up")
        settings = {"system-id": host.name, "hostname": host.name, "ovn-encap-type": "geneve", "ovn-encap-ip": host.address,
                    "ovn-remote": f"tcp:{central.address}:{PORT}", "ovn-bridge-datapath-type": "netdev"}  # fmt: skip
        self.ovs.vsctl("set", "Open_vSwitch", ".", *(f'external_ids:{key}="{value}"' for key, value in settings.items()))
        self.ovs.bridge = BRIDGE

    def join(self):
        """Starts the controller, which makes the bridge for guests."""
        environment = {**self.ovs.environment, "OVN_RUNDIR": self.host.folder}  # its control socket
        self.ovs.start_beside("controller", supervised("ovn-controller", f"unix:{self.ovs.database}", "-vconsole:info"), environment)
        wait_until(lambda: BRIDGE in self.ovs.vsctl("list-br").split(), f"{BRIDGE} of {self.host.name}")

    def plug(self, name, logical_port, client_path=None):
        """A guest's port: the socket that its QEMU uses."""
        return self.ovs.add_port(name, client_path, [f"external_ids:iface-id={logical_port}"])

    def unplug(self, name):
        self.ovs.vsctl("del-port", BRIDGE, name)

    def tunnels(self):
        """The addresses at the other ends."""
        return self.ovs.vsctl("--bare", "--columns=options", "find", "Interface", "type=geneve").replace('"', "")


def supervised(program, *argv):
    """As Debian's services start it: when it dies it is started again. It does not outlive what is started here."""
    return ["unshare", "--pid", "--fork", "--kill-child", program, "--monitor", *argv]


def call(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()
