# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest under QEMU: boots in seconds, has one vhost-user-net device, and does what it is told.

Its first serial port is the kernel's console and goes to a file, which a failed test shows. Its second is how
commands reach it (see guest-init), so that a test reads as a person's session would.
"""

import os
import re
import socket
import subprocess

from initramfs import build_initramfs, newest_kernel
from processes import Failure, wait_until
from qemu import accelerator, qemu_program, reconnect, smp, without_kvm

MEMORY_MIB = 256


def shared_memory_arguments(memory_mib=MEMORY_MIB):
    return ["-object", f"memory-backend-memfd,id=m0,size={memory_mib}M,share=on", "-numa", "node,memdev=m0"]


def device_arguments(port_socket, mac, device="", queues=1, server=False, number=0, qemu=None):
    """QEMU's arguments for a vhost-user-net device on a port. number: which of the machine's. qemu: whose, None: the one
    on PATH."""
    qemu = qemu or qemu_program()
    how = ",server=on,wait=off" if server else "," + reconnect(qemu)
    chardev = f"socket,id=c{number},path={port_socket}{how}"
    return [
        *("-chardev", chardev, "-netdev", f"vhost-user,chardev=c{number},id=n{number},queues={queues}"),
        *("-device", f"virtio-net-pci,netdev=n{number},mac={mac},romfile=" + without_kvm(qemu) + ("," + device if device else "")),
    ]


def vhost_user_arguments(port_socket, mac, device="", queues=1, server=False):
    """Those that put a guest with shared memory on a vhost-user port."""
    return [*shared_memory_arguments(), *device_arguments(port_socket, mac, device, queues, server)]


def drive_arguments(path):
    return ["-drive", f"file={path},format=raw,readonly=on,if=virtio,cache=unsafe"]


def boot_files(bench, modules=(), programs=()):
    """(kernel, initramfs) of a guest; the second one is built for the first guest of a test."""
    release, kernel = newest_kernel()
    initramfs = bench.path("initramfs")
    if not os.path.exists(initramfs):
        build_initramfs(initramfs, release, modules, programs)
    return kernel, initramfs


def kernel_command_line(address=""):
    # Warnings too, with the stacks of those who hang.
    return "console=ttyS0 loglevel=5 panic=-1 no_timer_check" + (f" lab.address={address}/24" if address else "")


def one_cpu_first(cpus):
    """Words for the kernel's command line. While the kernel finds its PCI devices, their addresses change, and the emulator has to
    interrupt every CPU that runs for each change. The other CPUs start later, from guest-init."""
    return " maxcpus=1" if cpus > 1 else ""


class Talker:
    """A guest that takes commands, whoever has started its QEMU: `console` is the file of its first serial port, `agent_path`
    the socket of its second."""

    def __init__(self, bench, name):
        self.name = name
        self.console = bench.path(self.name + ".console")
        self.agent_path = bench.path(self.name + ".agent")
        self.commands = 0
        self.agent = None
        self.received = ""
        bench.keep_log(self.console)

    def check_alive(self):
        """A failure once QEMU has ended."""

    def how_it_ended(self):
        """For the failure of who waited for its answer."""
        return "went away"

    def connect(self, bench):
        def attempt():
            self.check_alive()
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(self.agent_path)
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                return None

        self.agent = wait_until(attempt, f"QEMU's socket for {self.name}")
        self.agent.settimeout(0.05)
        bench.at_end(self.agent.close)

    def _receive_until(self, pattern, what, timeout_s):
        def look():
            match = re.search(pattern, self.received, re.DOTALL)
            if match:
                self.received = self.received[match.end() :]
                return match
            try:
                chunk = self.agent.recv(65536)
            except TimeoutError:
                return None
            if not chunk:
                raise Failure(f"{self.name} {self.how_it_ended()}: {what}")
            self.received += chunk.decode(errors="replace")
            return None

        return wait_until(look, f"{self.name}: {what}", timeout_s)

    def booted(self, timeout_s=120.0):
        self._receive_until(r"agent ready\r?\n", "to boot", timeout_s)
        return self

    def begin(self, command):
        """Sends a command without waiting for it; answer() collects what it said."""
        self.commands += 1
        self.agent.sendall(f"{self.commands} {command}\n".encode())

    def answer(self, timeout_s=120.0):
        """(exit status, output) of the command begun last."""
        number = self.commands
        pattern = rf"<<{number}\r?\n(.*?)>>{number} (\d+)\r?\n"
        match = self._receive_until(pattern, "the answer to a command", timeout_s)
        return int(match[2]), match[1].replace("\r", "")

    def try_run(self, command, timeout_s=120.0):
        self.begin(command)
        return self.answer(timeout_s)

    def run(self, command, timeout_s=120.0):
        """The command's output; a failure if its status is not 0."""
        status, output = self.try_run(command, timeout_s)
        if status != 0:
            raise Failure(f"{self.name}: `{command}` ended with {status}:\n{output}")
        return output

    def take_over(self, before):
        """Continues the conversation with a guest that has moved here: its agent does not notice."""
        self.commands = before.commands
        self.received = before.received_to_the_end() + self.received

    def received_to_the_end(self):
        """What the guest has said and nobody has read; it says no more here."""
        while True:
            try:
                chunk = self.agent.recv(65536)
            except TimeoutError:
                return self.received
            if not chunk:
                return self.received
            self.received += chunk.decode(errors="replace")

    def say_power_off(self):
        self.agent.sendall(b"0 poweroff -f\n")


class Machine(Talker):
    """A Linux machine that takes commands. arguments: QEMU's, for its devices; prefix: a program that execs QEMU; qemu:
    which one, None: the one on PATH; programs: of the host's, for the machine's /bin; kernel_words: more of
    the kernel's command line."""

    def __init__(self, bench, name, arguments, address="", cpus=1, memory_mib=MEMORY_MIB, modules=(), prefix=(),
                 qemu=None, programs=(), kernel_words=""):  # fmt: skip
        super().__init__(bench, name)
        kernel, initramfs = boot_files(bench, modules, programs)
        words = kernel_command_line(address) + one_cpu_first(cpus) + " " + kernel_words
        qemu = qemu or qemu_program()
        argv = [*prefix, qemu, "-accel", accelerator(), "-cpu", "max"]
        argv += ["-smp", smp(cpus), "-m", memory_mib, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        argv += ["-kernel", kernel, "-initrd", initramfs, "-append", words]
        argv += ["-chardev", f"socket,id=agent,path={self.agent_path},server=on,wait=off"]
        argv += ["-serial", f"file:{self.console}", "-serial", "chardev:agent", *arguments]
        self.process = bench.start(self.name, argv)
        self.connect(bench)

    def check_alive(self):
        if not self.process.alive():
            raise Failure(f"QEMU of {self.name} ended with {self.process.popen.returncode}")

    def how_it_ended(self):
        # Its socket closes while it ends. Status 0: the guest powered off, or reset itself; negative: a signal.
        try:
            return f"went away, QEMU ended with {self.process.popen.wait(10)}"
        except subprocess.TimeoutExpired:
            return "went away, and its QEMU runs"

    def power_off(self):
        self.say_power_off()
        self.process.popen.wait(60)


class Guest(Machine):
    """A machine on a vhost-user port. number picks the address and MAC: 10.0.0.NUMBER, 52:54:00:00:00:NUMBER. arguments: more
    of QEMU's."""

    def __init__(self, bench, number, port_socket, device="", queues=1, cpus=1, server=False, drive=None, programs=(),
                 arguments=()):  # fmt: skip
        self.address = f"10.0.0.{number}"
        self.mac = f"52:54:00:00:00:{number:02x}"
        arguments = [*arguments, *vhost_user_arguments(port_socket, self.mac, device, queues, server)]
        arguments += drive_arguments(drive) if drive else []
        super().__init__(bench, f"guest{number}", arguments, self.address, cpus, programs=programs)
