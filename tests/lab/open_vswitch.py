# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch with DPDK, Debian's binaries, in a test's folder: database, vswitchd, one bridge.

The vswitchd can be ended, killed and started again; its configuration is the database's and comes back with it.
"""

import os
import re
import signal
import subprocess

from processes import Failure, Skip, check, die_with_parent, need_program, wait_until

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
FREE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
MEMORY_MIB = 256
PAGES_SPARE = 16
# A thread that has nothing to poll sleeps so long: else it takes a CPU that guests and their machines need. The option's name is
# the first one in Open vSwitch 3.1, and the second one later.
PMD_SLEEP = {"pmd-maxsleep": "200", "pmd-sleep-max": "200"}


def need_open_vswitch(pages=MEMORY_MIB // 2 + PAGES_SPARE):
    """pages: of 2 MiB that have to be free on this machine."""
    if not os.path.exists(VSWITCHD):
        raise Skip(f"{VSWITCHD} is not installed (Debian package openvswitch-switch-dpdk)")
    with open(FREE_PAGES) as file:
        free = int(file.read())
    if free < pages:
        raise Skip(f"{free} free huge pages of 2 MiB, {pages} are needed")


def own_network():
    prefix = [need_program("unshare", "util-linux"), "--net"]
    if os.geteuid() != 0 or subprocess.run([*prefix, "true"], preexec_fn=die_with_parent).returncode != 0:
        raise Skip("Open vSwitch with DPDK, in a network namespace of its own, needs root")
    return prefix


class OpenVswitch:
    """library: the folder of the librte_vhost.so.23 to run on; None: DPDK's. host: where it runs and keeps its files, as a
    Host of two_hosts.py; None: in the test's folder. settings: more of other_config. environment: more of vswitchd's."""

    def __init__(self, bench, library=None, host=None, bridge="br0", memory_mib=MEMORY_MIB, cpus=0x1, settings=PMD_SLEEP,
                 environment=None):  # fmt: skip
        need_open_vswitch(memory_mib // 2 + PAGES_SPARE)
        self.bench = bench
        self.library = library
        self.folder = host.folder if host else bench.directory
        # A network namespace of its own: its bridges are TAP interfaces, which stay where it is killed.
        self.prefix = host.prefix if host else own_network()
        self.name = f"{host.name}-" if host else ""
        self.database = self.path("db.sock")
        folders = {f"OVS_{kind}DIR": self.folder for kind in ("RUN", "LOG", "DB", "SYSCONF")}
        self.environment = {**os.environ, **folders}
        self.on_library = {**self.environment, **({"LD_LIBRARY_PATH": library} if library else {}), **(environment or {})}
        self._call("ovsdb-tool", "create", self.path("conf.db"), SCHEMA)
        self.start_beside("ovsdb-server", [need_program("ovsdb-server", "openvswitch-common"), self.path("conf.db"),
                    f"--remote=punix:{self.database}", f"--unixctl={self.path('db.ctl')}"])  # fmt: skip
        wait_until(lambda: os.path.exists(self.database), "ovsdb-server's socket")
        self.vsctl("--no-wait", "init")
        config = {"dpdk-init": "true", "dpdk-socket-mem": memory_mib, "dpdk-extra": "--no-pci --in-memory"}
        # Without a limit it takes what other tests leave of the huge pages, in pieces: from 100 pieces on a pool's name is too long,
        # where a lack of memory would make Open vSwitch ask for a smaller pool.
        config["dpdk-socket-limit"] = memory_mib + PAGES_SPARE * 2
        config |= {"dpdk-lcore-mask": hex(cpus), "pmd-cpu-mask": hex(cpus), **settings}
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", *(f"other_config:{key}={value}" for key, value in config.items()))
        self.start()
        self.bridge = bridge
        self.vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")

    def path(self, name):
        return os.path.join(self.folder, name)

    def start_beside(self, name, argv, environment=None):
        """A program on its host, with its folders."""
        return self.bench.start(self.name + name, [*self.prefix, *argv], env=environment or self.environment)

    def _call(self, *argv, environment=None):
        program = need_program(argv[0], "openvswitch-switch")
        done = subprocess.run([program, *argv[1:]], env=environment or self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def vsctl(self, *argv):
        return self._call("ovs-vsctl", f"--db=unix:{self.database}", "--timeout=60", *argv)

    def appctl(self, *argv):
        return self._call("ovs-appctl", "-t", self.path("vs.ctl"), *argv)

    def ofctl(self, *argv):
        return self._call("ovs-ofctl", *argv)

    def start(self):
        argv = [VSWITCHD, f"unix:{self.database}", f"--unixctl={self.path('vs.ctl')}", "-vconsole:info"]
        self.process = self.start_beside("vswitchd", argv, self.on_library)
        self.process.wait_for(r"DPDK Enabled - initialized")
        if self.library:
            with open(f"/proc/{self.process.pid}/maps") as maps:
                check(f" {os.path.realpath(self.library)}/librte_vhost.so" in maps.read(), "vswitchd runs on another librte_vhost.so")

    def end(self):
        """As an upgrade would: it says goodbye, and its ports stay in the database."""
        self.appctl("exit")
        self.process.end(signal.SIGTERM)

    def kill(self):
        self.process.kill()

    def add_port(self, name, client_path=None, settings=()):
        """A dpdkvhostuser port, whose socket's path is returned; or with client_path a dpdkvhostuserclient. settings: more of
        the interface's columns."""
        if client_path is None:
            kind = ["type=dpdkvhostuser"]
        else:
            kind = ["type=dpdkvhostuserclient", f"options:vhost-server-path={client_path}"]
        self.vsctl("add-port", self.bridge, name, "--", "set", "Interface", name, *kind, *settings)
        error = self.vsctl("get", "Interface", name, "error")
        if error != "[]":
            raise Failure(f"port {name}: {error}")
        return client_path or self.path(name)

    def statistics(self, name):
        said = self.vsctl("get", "Interface", name, "statistics")
        return {key: int(value) for key, value in re.findall(r'"?(\w+)"?=(\d+)', said)}

    def status(self, name):
        said = self.vsctl("get", "Interface", name, "status")
        return dict(re.findall(r'"?(\w+)"?="?([^",}]*)', said))
