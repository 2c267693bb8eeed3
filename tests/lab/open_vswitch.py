# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch with DPDK, Debian's binaries, in a test's folder: database, vswitchd, one bridge.

The vswitchd can be ended, killed and started again; its configuration is the database's and comes back with it.
"""

import os
import re
import signal
import subprocess

from processes import Failure, Skip, need_program, wait_until

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
FREE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
MEMORY_MIB = 256
PAGES_NEEDED = MEMORY_MIB // 2 + 32
# A thread that has nothing to poll sleeps so long: else it takes a CPU that guests and their machines need. The option's name is
# the first one in Open vSwitch 3.1, and the second one later.
PMD_SLEEP = {"pmd-maxsleep": "200", "pmd-sleep-max": "200"}


def need_open_vswitch(pages=PAGES_NEEDED):
    """pages: of 2 MiB that have to be free on this machine."""
    if not os.path.exists(VSWITCHD):
        raise Skip(f"{VSWITCHD} is not installed (Debian package openvswitch-switch-dpdk)")
    with open(FREE_PAGES) as file:
        free = int(file.read())
    if free < pages:
        raise Skip(f"{free} free huge pages of 2 MiB, {pages} are needed")


class OpenVswitch:
    """library: the folder of the librte_vhost.so.23 to run on; None: DPDK's."""

    def __init__(self, bench, library=None, memory=str(MEMORY_MIB), extra="--no-pci --in-memory", cpus=0x1):
        need_open_vswitch()
        self.bench = bench
        self.database = bench.path("db.sock")
        folders = {f"OVS_{kind}DIR": bench.directory for kind in ("RUN", "LOG", "DB", "SYSCONF")}
        self.environment = {**os.environ, **folders}
        self.on_library = {**self.environment, **({"LD_LIBRARY_PATH": library} if library else {})}
        self._call("ovsdb-tool", "create", bench.path("conf.db"), SCHEMA)
        self.server = bench.start("ovsdb-server", [need_program("ovsdb-server", "openvswitch-common"), bench.path("conf.db"),
                                  f"--remote=punix:{self.database}", f"--unixctl={bench.path('db.ctl')}"],
                                  env=self.environment)  # fmt: skip
        wait_until(lambda: os.path.exists(self.database), "ovsdb-server's socket")
        self.vsctl("--no-wait", "init")
        config = {"dpdk-init": "true", "dpdk-socket-mem": memory, "dpdk-extra": extra}
        config |= {"dpdk-lcore-mask": "0x1", "pmd-cpu-mask": hex(cpus), **PMD_SLEEP}
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", *(f"other_config:{key}={value}" for key, value in config.items()))
        self.start()
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")

    def _call(self, *argv, environment=None):
        program = need_program(argv[0], "openvswitch-switch")
        done = subprocess.run([program, *argv[1:]], env=environment or self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def vsctl(self, *argv):
        return self._call("ovs-vsctl", f"--db=unix:{self.database}", "--timeout=60", *argv)

    def appctl(self, *argv):
        return self._call("ovs-appctl", "-t", self.bench.path("vs.ctl"), *argv)

    def start(self):
        argv = [VSWITCHD, f"unix:{self.database}", f"--unixctl={self.bench.path('vs.ctl')}", "-vconsole:info"]
        self.process = self.bench.start("vswitchd", argv, env=self.on_library)
        self.process.wait_for(r"DPDK Enabled - initialized")

    def end(self):
        """As an upgrade would: it says goodbye, and its ports stay in the database."""
        self.appctl("exit")
        self.process.end(signal.SIGTERM)

    def kill(self):
        self.process.kill()

    def add_port(self, name, client_path=None):
        """A dpdkvhostuser port, whose socket's path is returned; or with client_path a dpdkvhostuserclient."""
        if client_path is None:
            self.vsctl("add-port", "br0", name, "--", "set", "Interface", name, "type=dpdkvhostuser")
        else:
            self.vsctl("add-port", "br0", name, "--", "set", "Interface", name, "type=dpdkvhostuserclient",
                       f"options:vhost-server-path={client_path}")  # fmt: skip
        error = self.vsctl("get", "Interface", name, "error")
        if error != "[]":
            raise Failure(f"port {name}: {error}")
        return client_path or self.bench.path(name)

    def statistics(self, name):
        said = self.vsctl("get", "Interface", name, "statistics")
        return {key: int(value) for key, value in re.findall(r'"?(\w+)"?=(\d+)', said)}

    def status(self, name):
        said = self.vsctl("get", "Interface", name, "status")
        return dict(re.findall(r'"?(\w+)"?="?([^",}]*)', said))
