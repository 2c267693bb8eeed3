# SPDX-License-Identifier: BSD-3-Clause
"""libvirt in a test's folder: virsh with the QEMU driver inside (qemu:///embed), without any daemon.

The driver takes a domain's XML, and starts QEMU and plugs devices, as it does inside libvirtd. It runs as a user without rights,
as it asks for no account of libvirt's then, and in a namespace of processes: QEMU ends with it in every case.
"""

import os
import subprocess

import interop_path  # noqa: F401
from processes import Failure, Skip, die_with_parent, need_program

NOBODY = 65534
# The first process of a namespace collects those that have lost their parents.
FIRST_PROCESS = '"$@"; exit $?'
# What `unshare --mount-proc` does, but where `/` is no mount point, as in a root folder of another release.
OWN_PROC = "mount --make-private /proc && mount -t proc proc /proc || exit 1; "


class Libvirt:
    def __init__(self, bench):
        virsh = need_program("virsh", "libvirt-clients")
        self.folder = bench.path("libvirt")
        os.makedirs(self.folder + "/root/etc")
        self.write("root/etc/qemu.conf", 'stdio_handler = "file"\n')  # else it wants virtlogd
        argv = [*self._namespace(bench), virsh, "--quiet", "-c", f"qemu:///embed?root={self.folder}/root"]
        places = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
        environment = {**os.environ, **dict.fromkeys(places, self.folder), "LC_ALL": "C.UTF-8"}
        self.process = bench.start("virsh", argv, stdin=subprocess.PIPE, env=environment)
        self.commands = 0
        self.version = self.run("version")

    def _namespace(self, bench):
        """The words before a program that is to run without rights and to take its children along."""
        unshare = [need_program("unshare", "util-linux"), "--pid", "--fork", "--kill-child"]
        if os.geteuid() == 0:
            for folder in (self.folder, self.folder + "/root", self.folder + "/root/etc"):
                os.chown(folder, NOBODY, NOBODY)
            os.chmod(bench.directory, 0o711)
            first = [*unshare, "--mount", "--propagation", "unchanged", "sh", "-c", OWN_PROC + FIRST_PROCESS, "sh"]
            drop = [need_program("setpriv", "util-linux"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        else:
            first = [*unshare, "--mount-proc", "--user", "--map-current-user", "sh", "-c", FIRST_PROCESS, "sh"]
            drop = []
        if subprocess.run([*first, "true"], preexec_fn=die_with_parent).returncode != 0:
            raise Skip("namespaces of processes cannot be made here")
        return [*first, *drop]

    def run(self, command, timeout_s=120.0):
        """What virsh says to the command; a failure if that is an error."""
        self.commands += 1
        end = f"<<{self.commands}>>"
        self.process.say(command)
        self.process.say(f"echo '{end}'")
        match = self.process.wait_for(rf"^{end}", timeout_s)
        lines = [line for line in match.string[: match.start()].splitlines() if line and not line.startswith("virsh #")]
        if any(line.startswith("error:") for line in lines):
            raise Failure(f"virsh {command}: " + "\n".join(lines))
        return "\n".join(lines)

    def path(self, name):
        """A file or socket of the domain's."""
        return os.path.join(self.folder, name)

    def write(self, name, text):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path
