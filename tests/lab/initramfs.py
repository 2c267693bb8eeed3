# SPDX-License-Identifier: BSD-3-Clause
"""Builds a guest's initramfs: busybox, ethtool, tc, the virtio modules of a Debian kernel, and guest-init.

The archive ("newc", as the kernel's early userspace documentation describes it) is written here, so that neither
cpio nor root is needed.
"""

import glob
import lzma
import os
import re
import stat
import subprocess

import interop_path  # noqa: F401
from processes import Skip, need_program

MODULES = ["virtio_pci", "virtio_net", "virtio_blk"]
GUEST_INIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guest-init")


def newest_kernel():
    """(release, path) of the newest kernel image in /boot whose modules are installed too."""

    def by_number(release):
        return [int(word) if word.isdigit() else 0 for word in re.split(r"(\d+)", release)]

    releases = [os.path.basename(path).removeprefix("vmlinuz-") for path in glob.glob("/boot/vmlinuz-*")]
    usable = [release for release in releases if os.path.exists(f"/lib/modules/{release}/modules.dep")]
    if not usable:
        raise Skip("no kernel for the guests in /boot with its modules (Debian package linux-image-amd64)")
    release = max(usable, key=by_number)
    return release, f"/boot/vmlinuz-{release}"


def modules_in_order(release, wanted):
    """Paths of the wanted modules and what they need, in the order in which they can be inserted."""
    root = f"/lib/modules/{release}"
    needs, path_of = {}, {}
    with open(f"{root}/modules.dep") as lines:
        for line in lines:
            path, _, rest = line.strip().partition(":")
            needs[path] = rest.split()
            path_of[os.path.basename(path).split(".")[0].replace("-", "_")] = path
    order = []

    def add(path):
        for needed in reversed(needs[path]):  # modules.dep names the nearest first
            add(needed)
        if path not in order:
            order.append(path)

    for name in wanted:
        if name in path_of:  # else it is built into the kernel
            add(path_of[name])
    return [f"{root}/{path}" for path in order]


def read_module(path):
    with (lzma.open(path) if path.endswith(".xz") else open(path, "rb")) as file:
        return file.read()


def with_libraries(program):
    """The program and the shared libraries it loads, each at its own path."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [program] + re.findall(r"(/\S+) \(0x", said)


class Archive:
    """A newc archive in the making."""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0
        self.folders = set()

    def _entry(self, name, mode, content=b"", device=(0, 0)):
        self.inode += 1
        fields = [self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0]
        self.data += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        self._pad()
        self.data += content
        self._pad()

    def _pad(self):
        self.data += bytes(-len(self.data) % 4)

    def folder(self, name):
        if name and name not in self.folders:
            self.folder(os.path.dirname(name))
            self.folders.add(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, content):
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFREG | 0o755, content)

    def device(self, name, major, minor):
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def finish(self):
        self._entry("TRAILER!!!", 0)
        return bytes(self.data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def build_initramfs(path, release, modules=(), more_programs=()):
    """`modules`: wanted beside those of a virtio guest. `more_programs`: of the host's, for the guest's /bin."""
    busybox = need_program("busybox", "busybox-static")
    # busybox has a tc of its own: the other one is called by its path.
    programs = {"bin/ethtool": need_program("ethtool", "ethtool"), "sbin/tc": need_program("tc", "iproute2")}
    programs |= {f"bin/{os.path.basename(program)}": program for program in more_programs}
    archive = Archive()
    for folder in ("bin", "dev", "proc", "sys", "srv", "tmp", "modules"):
        archive.folder(folder)
    archive.device("dev/console", 5, 1)  # the kernel opens it before init can mount devtmpfs
    archive.file("init", read(GUEST_INIT))
    archive.file("bin/busybox", read(busybox))
    for name, program in programs.items():
        archive.file(name, read(program))
    for library in sorted({library for program in programs.values() for library in with_libraries(program)[1:]}):
        archive.file(library.lstrip("/"), read(library))
    for position, module in enumerate(modules_in_order(release, [*MODULES, *modules])):
        name = os.path.basename(module).removesuffix(".xz")
        archive.file(f"modules/{position:02}-{name}", read_module(module))
    with open(path, "wb") as file:
        file.write(archive.finish())
