# SPDX-License-Identifier: BSD-3-Clause
"""A machine that has the host's root file system, read-only, at /mnt: what is installed and built on the host runs in it.

QEMU serves the root by 9p from a bind mount in a mount namespace of its own: without the host's /proc and /dev, and gone with QEMU.
This checkout is there in any case, also where it or its build folder is a mount, as in tests/platforms/run.
A second share is a folder for what the machine has to say: an emulated serial line carries a few kilobytes a second.
"""

import os
import shlex
import subprocess

from guest import Machine
from processes import Failure, Skip, die_with_parent, need_program

MODULES = ("9pnet_virtio", "9p")
ROOT = "/mnt"
SHARE = "/srv/host"
MOUNT_OPTIONS = "trans=virtio,version=9p2000.L,msize=1048576"
PAUSE_S = 0.2  # each look of the machine is three processes of an emulated CPU
GONE, LATE = 1, 2  # exit codes
BIND = 'mount --bind / "$0" && mount --rbind "$1" "$0$1" && shift && exec "$@"'
CHECKOUT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))


class HostRootMachine(Machine):
    """huge_pages: 2 MiB each, of its memory; arguments: more of QEMU's."""

    def __init__(self, bench, name, cpus, memory_mib, huge_pages=0, modules=(), arguments=()):
        if os.geteuid() != 0:
            raise Skip("sharing the host's root with a virtual machine needs root")
        unshare = [need_program("unshare", "util-linux"), "--mount"]
        if subprocess.run([*unshare, "true"], preexec_fn=die_with_parent).returncode != 0:
            raise Skip("mount namespaces cannot be made here")
        root = bench.path("root")
        os.mkdir(root)
        self.share = bench.path("share")
        os.mkdir(self.share)
        shares = ["-virtfs", f"local,path={root},mount_tag=host,security_model=none,readonly=on,multidevs=remap"]
        shares += ["-virtfs", f"local,path={self.share},mount_tag=share,security_model=none"]
        super().__init__(bench, name, [*shares, *arguments], cpus=cpus, memory_mib=memory_mib,
                         modules=[*MODULES, *modules], prefix=[*unshare, "sh", "-c", BIND, root, CHECKOUT])  # fmt: skip
        self.huge_pages = huge_pages

    def booted(self, timeout_s=120.0):
        super().booted(timeout_s)
        self.run(f"mkdir -p {ROOT} {SHARE}")
        self.run(f"mount -t 9p -o {MOUNT_OPTIONS},ro,cache=loose host {ROOT}")
        self.run(f"mount -t 9p -o {MOUNT_OPTIONS} share {SHARE}")
        for kind, place in (("proc", "proc"), ("sysfs", "sys"), ("tmpfs", "tmp"), ("tmpfs", "run")):
            self.run(f"mount -t {kind} {kind} {ROOT}/{place}")
        self.run(f"mount -o bind /dev {ROOT}/dev")
        self.reserve_huge_pages()
        return self

    def reserve_huge_pages(self):
        self.run(f"echo {self.huge_pages} >/proc/sys/vm/nr_hugepages")

    def leave_drivers(self, *names):
        """Of DPDK's drivers only those of these names are found, as where no others are installed: EAL loads all that it finds,
        which takes seconds in an emulated machine."""
        kept = " ".join(f"$folder/librte_{name}.so*" for name in names)
        self.run(f"for folder in {ROOT}/usr/lib/*/dpdk/pmds-*; do mkdir /tmp/drivers && cp -a {kept} /tmp/drivers"
                 " && mount -t tmpfs -o mode=755 tmpfs $folder && mv /tmp/drivers/* $folder && rmdir /tmp/drivers; done")  # fmt: skip

    def need_file(self, path):
        if self.try_run(f"test -e {ROOT}{path}")[0] != 0:
            raise Skip(f"{path} is not on the host's root file system, which is what the virtual machine sees")

    def fetch(self, command):
        """What the command prints, by way of the shared folder."""
        self.run(f"{{ {command}; }} >{SHARE}/fetched")
        with open(os.path.join(self.share, "fetched"), errors="replace") as file:
            return file.read()

    def log_end(self, name, pattern, lines=1):
        """The last lines of the program's output that match."""
        return self.fetch(f"grep -E {shlex.quote(pattern)} {ROOT}/tmp/{name}.log | tail -n {lines}").splitlines()

    def begin_program(self, name, argv):
        """Starts it on the host's root; its input is what type() says, its output /tmp/NAME.log there."""
        pipe = f"{ROOT}/tmp/{name}.in"
        command = shlex.join(["chroot", ROOT, *map(str, argv)])
        self.run(f"mkfifo {pipe}; {command} <{pipe} >{ROOT}/tmp/{name}.log 2>&1 & echo $! >/tmp/{name}.pid")
        # Holds the pipe open: else the program would see its end after the first line.
        self.run(f"sleep 100000 >{pipe} 2>/dev/null &")

    def type(self, name, line):
        self.run(f"echo {shlex.quote(line)} >{ROOT}/tmp/{name}.in")

    def pid(self, name):
        return int(self.run(f"cat /tmp/{name}.pid"))

    def signal(self, name, signal):
        self.run(f"kill -{signal} $(cat /tmp/{name}.pid)")

    def wait_end(self, name, timeout_s=60.0):
        status, _ = self._wait(f"! kill -0 $(cat /tmp/{name}.pid) 2>/dev/null", "true", timeout_s)
        if status != 0:
            raise Failure(f"{name} did not end:\n" + self.threads_of(name))

    def wait_line(self, name, pattern, seen=0, timeout_s=60.0):
        """Waits until more than `seen` lines of the program's output match; stops when it ends."""
        self._wait_lines(name, pattern, f"seen={seen}", "true", timeout_s)

    def next_lines(self, name, pattern, count, timeout_s=60.0):
        """Lines that match, `count` of them, which come from now on."""
        path = f"{ROOT}/tmp/{name}.log"
        before = f"old=$(grep -cE {shlex.quote(pattern)} {path}); seen=$((old + {count} - 1))"
        after = f"grep -E {shlex.quote(pattern)} {path} | tail -n +$((old + 1)) | head -n {count} >{SHARE}/fetched"
        self._wait_lines(name, pattern, before, after, timeout_s)
        with open(os.path.join(self.share, "fetched"), errors="replace") as file:
            return file.read().splitlines()

    def _wait_lines(self, name, pattern, before, after, timeout_s):
        """before: commands that set `seen`; after: what is done once there are more."""
        path = f"{ROOT}/tmp/{name}.log"
        look = f"[ $(grep -cE {shlex.quote(pattern)} {path}) -gt $seen ]"
        status, _ = self._wait(look, f"kill -0 $(cat /tmp/{name}.pid) 2>/dev/null", timeout_s, before, after)
        if status == 0:
            return
        said = "\n".join(self.log_end(name, "", 20))
        if status == GONE:
            raise Failure(f"{name} ended before it said /{pattern}/:\n{said}")
        raise Failure(f"{name} did not say /{pattern}/ in time:\n{said}\n" + self.threads_of(name))

    def _wait(self, look, alive, timeout_s, before="true", after="true"):
        """(0: it came true, GONE, LATE; output). The machine counts the looks, so that it can be asked why afterwards."""
        looks = int(timeout_s / PAUSE_S)
        late = f"n=$((n+1)); [ $n -lt {looks} ] || exit {LATE}"
        loop = f"until {look}; do {alive} || {look} || exit {GONE}; {late}; sleep {PAUSE_S}; done"
        return self.try_run(f"{before}; n=0; {loop}; {after}", 5 * timeout_s)

    def threads_of(self, name):
        """What the program's threads do, for a failure's text."""
        facts = 'echo "$(cat $t/comm): $(grep State $t/status) in $(cat $t/wchan)"; cat $t/stack 2>/dev/null'
        return self.try_run(f"for t in /proc/$(cat /tmp/{name}.pid)/task/*; do {facts}; done; dmesg | tail -n 20")[1]

    def count_lines(self, name, pattern):
        return int(self.try_run(f"grep -cE {shlex.quote(pattern)} {ROOT}/tmp/{name}.log")[1])
