# SPDX-License-Identifier: BSD-3-Clause
"""Two network namespaces that stand for two hosts, with a veth pair as the cable between them.

A process holds each namespace: with it, the last one of its host, it ends, and the cable too. Nothing has a name that stays.
"""

import json
import os
import subprocess

from processes import Failure, Skip, die_with_parent, need_program

CABLE = "cable"
MTU = 1600  # a guest's 1500 bytes, and 58 of Geneve, UDP, IP and Ethernet


class Host:
    """`prefix` execs a program in the host's namespace; `folder` is for its files."""

    def __init__(self, bench, number):
        self.name = f"host{number}"
        self.address = f"172.31.0.{number}"
        self.folder = bench.path(self.name)
        os.mkdir(self.folder)
        held = ["unshare", "--net", "sh", "-c", "echo held; exec sleep infinity"]
        self.holder = bench.start(self.name, held)
        self.holder.wait_for("held")
        self.prefix = [need_program("nsenter", "util-linux"), f"--net=/proc/{self.holder.pid}/ns/net"]

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *command):
        return run([*self.prefix, *command])

    def cable_bytes(self):
        """Sent and received."""
        counts = json.loads(self.run("ip", "-json", "-stats", "link", "show", CABLE))[0]["stats64"]
        return counts["rx"]["bytes"] + counts["tx"]["bytes"]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def need_two_hosts():
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    need_program("ip", "iproute2")
    trial = ["unshare", "--net", "ip", "link", "add", CABLE, "type", "veth", "peer", "name", "other"]
    tried = subprocess.run(trial, capture_output=True, text=True, preexec_fn=die_with_parent)
    if tried.returncode != 0:
        raise Skip(f"a network namespace with a veth pair cannot be made here: {tried.stderr.strip()}")


def two_hosts(bench):
    need_two_hosts()
    hosts = [Host(bench, number) for number in (1, 2)]
    ends = [["name", CABLE, "netns", str(host.holder.pid)] for host in hosts]
    run(["ip", "link", "add", *ends[0], "type", "veth", "peer", *ends[1]])
    for host in hosts:
        host.run("ip", "link", "set", "lo", "up")
        # The cable is Open vSwitch's. The kernel sees its frames too: it must not answer for the host's address.
        host.run("ip", "link", "set", CABLE, "mtu", str(MTU), "arp", "off", "up")
    return hosts
