#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""libvirt starts a domain on vhostx-switch, with the XML of docs/virtual-machines.md.

The domain has an interface in either mode (QEMU connects; QEMU listens), and exchanges checked files with a plain guest by way of
both. Then the switch is killed and started again; links are taken down and up; interfaces are detached and attached; the domain's
memory grows.
"""

import argparse
import copy
import os
import re
import xml.etree.ElementTree as ElementTree

import interop_path  # noqa: F401
from guest import Machine, Talker, boot_files, drive_arguments, kernel_command_line, vhost_user_arguments
from libvirt import Libvirt
from processes import check, check_equal, run_test, wait_until
from qemu import has_dynamic_memslots, qemu_program, without_kvm
from traffic import MIB, fetch, make_payload, ping, serve_drive
from vhostx_switch import VhostSwitch, describe

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/virtual-machines.md")
QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
FILE_MIB = 4
PEER = 2  # the plain guest's number
PINGS = 3
MORE_MIB = 64


def xml_of_page(name):
    """The block of XML behind the page's mark of this name."""
    with open(PAGE, encoding="utf-8") as page:
        found = re.search(rf"<!-- tests/lab/test_libvirt.py: {name} -->\n```xml\n(.*?)^```$", page.read(), re.DOTALL | re.MULTILINE)
    check(found, f"docs/virtual-machines.md has no XML of the name `{name}`")
    return ElementTree.fromstring(found[1])


def add(parent, tag, text=None, **attributes):
    element = ElementTree.SubElement(parent, tag, attributes)
    element.text = text
    return element


class Interface:
    """One of the domain's: its element, and the network in which it meets the plain guest."""

    def __init__(self, element, number, libvirt):
        self.element, self.number = element, number
        self.mac = element.find("mac").get("address")
        source = element.find("source")
        self.mode = source.get("mode")
        self.socket = libvirt.path(os.path.basename(source.get("path")))
        source.set("path", self.socket)
        queues = element.find("driver").get("queues") if element.find("driver") is not None else "1"
        # QEMU runs as another user than the switch.
        self.port = f"{self.socket},queues={queues}" + (",mode=0666" if self.mode == "client" else ",role=client")
        self.address, self.peer = f"10.0.{number}.1", f"10.0.{number}.{PEER}"


class Domain(Talker):
    """The page's domain, but emulated, without a disk, and with the labs' kernel."""

    def __init__(self, bench, libvirt):
        super().__init__(bench, "domain")
        self.libvirt = libvirt
        self.xml = xml_of_page("the domain")
        self.domain = self.xml.find("name").text
        self.interfaces = [
            Interface(element, number, libvirt) for number, element in enumerate(self.xml.findall("devices/interface"))
        ]
        self.hot_plugs = not without_kvm(qemu_program())
        self.has_slots = has_dynamic_memslots(qemu_program())

    def start(self, bench, payload):
        self._adapt(*boot_files(bench), payload)
        self._add_memory()
        self.libvirt.run(f"create {self.libvirt.write('domain.xml', ElementTree.tostring(self.xml, 'unicode'))}")
        self.connect(bench)

    def _adapt(self, kernel, initramfs, payload):
        self.xml.set("type", "qemu")
        self.xml.find("vcpu").set("current", "1")  # with room for a second one: see qemu.smp()
        for tag, text in (("kernel", kernel), ("initrd", initramfs), ("cmdline", kernel_command_line())):
            add(self.xml.find("os"), tag, text)
        devices = self.xml.find("devices")
        disk = devices.find("disk")
        disk.find("driver").set("type", "raw")
        disk.find("source").set("file", payload)
        add(disk, "readonly")
        self.console, self.agent_path = self.libvirt.path("console"), self.libvirt.path("agent")
        add(add(devices, "serial", type="file"), "source", path=self.console)
        add(add(devices, "serial", type="unix"), "source", path=self.agent_path, mode="bind")
        if not self.hot_plugs:
            override = xml_of_page("the override")
            for number in range(1, len(self.interfaces)):
                device = copy.deepcopy(override[0])
                device.set("alias", f"net{number}")
                override.append(device)
            self.xml.append(override)

    def _add_memory(self):
        more = xml_of_page("more memory")
        if not self.has_slots:
            del more.find("devices/memory/target").attrib["dynamicMemslots"]
        self.xml.find("devices").extend(more.find("devices"))
        self.xml.extend([more.find("maxMemory"), more.find("cpu")])

    def memory_mib(self):
        return int(self.run("awk '/^MemTotal/ { print $2 }' /proc/meminfo")) // 1024

    def link_of(self, interface):
        """Its name in the guest, or None."""
        _, said = self.try_run(f"grep -l {interface.mac} /sys/class/net/*/address")
        return said.split("/")[4] if said else None

    def bring_up(self, interface):
        link = wait_until(lambda: self.link_of(interface), f"the guest to find {interface.mac}")
        self.run(f"echo 1 >/proc/sys/net/ipv6/conf/{link}/disable_ipv6")
        self.run(f"ip addr add {interface.address}/24 dev {link} && ip link set {link} up")

    def has_carrier(self, interface):
        return self.try_run(f"cat /sys/class/net/{self.link_of(interface)}/carrier")[1].strip() == "1"

    def power_off(self):
        self.say_power_off()
        wait_until(lambda: self.domain not in self.libvirt.run("list --name"), "the domain to end")


class Lab:
    def __init__(self, bench, binary, libvirt):
        self.bench, self.binary = bench, binary
        self.payload = make_payload(bench, FILE_MIB)
        self.domain = Domain(bench, libvirt)
        self.interfaces = self.domain.interfaces
        check_equal([interface.mode for interface in self.interfaces], ["client", "server"], "modes of the page's interfaces")
        self.peer_socket = bench.path("peer")
        boot_files(bench, ["virtio_mem"])
        self.start_switch()
        arguments = [*vhost_user_arguments(self.peer_socket, "52:54:00:00:02:01"), *drive_arguments(self.payload)]
        self.peer = Machine(bench, "peer", arguments)
        self.domain.start(bench, self.payload)
        for guest in (self.peer, self.domain):
            guest.booted()
        for interface in self.interfaces:
            self.domain.bring_up(interface)
            self.peer.run(f"ip addr add {interface.peer}/24 dev eth0")
        for guest in (self.peer, self.domain):
            serve_drive(guest, FILE_MIB * MIB)

    def start_switch(self):
        ports = [interface.port for interface in self.interfaces] + [self.peer_socket]
        self.switch = VhostSwitch(self.bench, self.binary, ports)

    def exchange(self):
        for interface in self.interfaces:
            ping(self.domain, interface.peer, PINGS)
            fetch(self.domain, interface.peer, self.payload)
            fetch(self.peer, interface.address, self.payload)

    def ping_all(self):
        for interface in self.interfaces:
            ping(self.domain, interface.peer, PINGS)


def restart(lab):
    """Also the plain guest connects again, and the packets on the way are lost."""
    lab.switch.kill()
    lab.start_switch()
    lab.switch.wait_started([interface.socket for interface in lab.interfaces] + [lab.peer_socket])
    lab.ping_all()


def set_links(lab):
    """`virsh domif-setlink` refuses interfaces of this type (libvirt 9.0, 11.3), so QEMU is told."""
    for interface in lab.interfaces:
        for state in ("off", "on"):
            command = f"set_link net{interface.number} {state}"
            lab.domain.libvirt.run(f"qemu-monitor-command {lab.domain.domain} --hmp '{command}'")
            wait_until(lambda: lab.domain.has_carrier(interface) == (state == "on"), f"the link {interface.mac} to be {state}")
    lab.ping_all()


def detach_and_attach(lab):
    domain = lab.domain
    for interface in lab.interfaces:
        path = domain.libvirt.write("interface.xml", ElementTree.tostring(interface.element, "unicode"))
        mark = lab.switch.mark()
        domain.libvirt.run(f"detach-device {domain.domain} {path} --live")
        lab.switch.wait_event("disconnected", mark, interface.socket)
        wait_until(lambda: domain.link_of(interface) is None, f"{interface.mac} to leave the guest")
        domain.libvirt.run(f"attach-device {domain.domain} {path} --live")
        domain.bring_up(interface)
    lab.ping_all()


def grow(lab):
    domain = lab.domain
    domain.run("echo online_kernel >/sys/devices/system/memory/auto_online_blocks")
    before, mark = domain.memory_mib(), lab.switch.mark()
    domain.libvirt.run(f"update-memory-device {domain.domain} --requested-size {MORE_MIB}MiB")
    wait_until(lambda: domain.memory_mib() == before + MORE_MIB, f"the domain to have {MORE_MIB} MiB more")
    if domain.has_slots:
        for interface in lab.interfaces:
            lab.switch.wait_event("memory_changed", mark, interface.socket)
    lab.exchange()


def domain_on_the_switch(bench, binary):
    libvirt = Libvirt(bench)
    print(libvirt.version, flush=True)
    lab = Lab(bench, binary, libvirt)
    lab.exchange()
    print(f"{FILE_MIB} MiB each way, undamaged, in mode client and in mode server", flush=True)
    restart(lab)
    print("the switch was killed and started again: both interfaces work", flush=True)
    set_links(lab)
    print("links down and up: both interfaces work", flush=True)
    if lab.domain.hot_plugs:
        detach_and_attach(lab)
        print("detached and attached: both interfaces work", flush=True)
    else:
        print("not detached and attached: this QEMU crashes when a vhost-user-net device uses MSI-X without KVM", flush=True)
    grow(lab)
    print(f"{MORE_MIB} MiB more, in {'a slot of their own' if lab.domain.has_slots else 'the one slot'}: both work", flush=True)
    for guest in (lab.domain, lab.peer):
        guest.power_off()
    print(describe(lab.switch.finish()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    run_test(domain_on_the_switch, parser.parse_args().vhostx_switch)
