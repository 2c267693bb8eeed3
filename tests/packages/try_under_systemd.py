#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Boots a root folder in which vhostx-tools is installed, with systemd as its init, and tries the units vhostx-switch and vhostx-keeper there.

The folder becomes the disk of a virtual machine (QEMU, by emulation unless VHOSTX_LAB_ACCEL says otherwise) on the newest kernel of
/boot; nothing is written into it. A script in the machine starts the unit, lets vhostx-bench exchange packets through it and stops it;
enables it, installs the package anew and purges it under the running unit. What it says comes by the second serial port.
"""

import argparse
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from qemu import accelerator, qemu_program  # noqa: E402
from initramfs import Archive, modules_in_order, newest_kernel, read, read_module  # also finds tests/interop  # noqa: E402
from processes import check, need_program, run_test, wait_until  # noqa: E402

BOOT_TIMEOUT_S = 600
MEMORY_MIB = 2048
DISK_MIB_FREE = 300
WELL = "the unit works"

INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
for module in /modules/*; do /bin/busybox insmod "$module"; done
/bin/busybox mount -t devtmpfs dev /dev
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /new || exec /bin/busybox poweroff -f
/bin/busybox mount -t tmpfs -o mode=755 run /new/run
/bin/busybox mkdir -p /new/run/systemd/system
/bin/busybox cp /vhostx-try /new/run/
/bin/busybox cp /vhostx-try.service /new/run/systemd/system/
exec /bin/busybox switch_root /new /lib/systemd/systemd
"""

UNIT = """[Unit]
Description=Tries vhostx-switch
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/run/vhostx-try
ExecStopPost=/bin/systemctl poweroff --force --no-block
StandardOutput=append:/dev/ttyS1
StandardError=inherit
"""

SCRIPT = r"""#!/bin/bash
unit=vhostx-switch.service
said() { journalctl --no-pager -o cat -u $unit; }
fail() { echo "FAILED: $1"; systemctl status --no-pager -l $unit; said | tail -30; exit 1; }
carries_packets() {
  for socket in /run/vhostx/vm0.sock /run/vhostx/vm1.sock; do
    until [ -S $socket ]; do systemctl -q is-active $unit || fail "it ended before $socket was there"; sleep 0.2; done
    setpriv --reuid nobody --regid kvm --clear-groups test -w $socket || fail "members of kvm cannot use $socket"
    [ "$(stat -c '%G %a' $socket)" = "kvm 770" ] || fail "members of kvm, and nobody else, are to use $socket: $(stat $socket)"
  done
  vhostx-bench --connect /run/vhostx/vm0.sock --connect /run/vhostx/vm1.sock --duration 1 --no-loss || fail "no packets"
}
pid() { systemctl show -p MainPID --value $unit; }

[ "$(systemctl is-enabled $unit)" = disabled ] && ! systemctl -q is-active $unit || fail "the package enables or starts it"
echo "== as it is installed"
systemctl start $unit || fail "it does not start"
carries_packets
said | grep -q "front-end connected" || fail "its log is not in the journal"
ps -o user=,group=,comm= -p "$(pid)"
grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/"$(pid)"/status | tr '\n\t' '; '; echo
systemd-analyze security --no-pager $unit | tail -1
systemctl stop $unit || fail "it does not stop"
[ "$(systemctl show -p Result --value $unit)" = success ] || fail "it ended with $(systemctl show -p Result --value $unit)"
said | grep -i warn && fail "it warned of what the unit denies"
[ ! -e /run/vhostx ] || fail "/run/vhostx is left"

echo "== guests keep their connections when it is restarted, and when it is killed"
systemctl start $unit || fail "it does not start"
vhostx-bench --connect /run/vhostx/vm0.sock --connect /run/vhostx/vm1.sock --duration 60 --rounds 1 --timeout 60 --json >/run/bench.json 2>&1 &
bench=$!
adopted() { said | grep -c "front-end taken over from another process"; }
wait_for() { # COUNT WHAT: ports whose connection went on, in all processes
  until [ "$(adopted)" -ge "$1" ]; do
    kill -0 $bench 2>/dev/null || { cat /run/bench.json; fail "a guest's connection ended: $2"; }
    sleep 0.2
  done
}
until [ "$(said | grep -c "front-end connected")" -ge 4 ]; do kill -0 $bench || fail "vhostx-bench ended early"; sleep 0.2; done
stored() { systemctl show -p NFileDescriptorStore --value $unit; }
echo "systemd keeps $(stored) descriptors"
systemctl restart $unit || fail "it does not restart"
wait_for 2 "systemctl restart"
systemctl kill --kill-whom=main -s KILL $unit
wait_for 4 "kill -9"
systemctl restart $unit || fail "it does not restart after a crash"
wait_for 6 "systemctl restart after a crash"
echo "systemd keeps $(stored) descriptors after 3 more processes"
wait $bench # 1 where packets came twice, which a kill may cause
[ "$(grep -o '"lost": *[0-9]*' /run/bench.json | sort -u | tr -d ' ')" = '"lost":0' ] || { cat /run/bench.json; fail "packets were lost"; }
systemctl stop $unit || fail "it does not stop"
[ "$(stored)" = 0 ] || fail "systemd keeps $(stored) descriptors of a unit that is stopped"

echo "== the keeper: its clients are root and the switch's user"
unit=vhostx-keeper.service keeper=/run/vhostx-keeper/keeper.sock
[ "$(systemctl is-enabled $unit)" = disabled ] && ! systemctl -q is-active $unit || fail "the package enables or starts it"
systemctl enable --now $unit || fail "it does not start"
# By number: the name of a dynamic user is known where libnss-systemd is installed.
user=$(stat -c %u "/proc/$(pid)")
[ "$user" != 0 ] && [ "$(stat -c '%u %a' $keeper)" = "$user 600" ] || fail "its socket is not for its user alone: $(stat $keeper)"
vhostx-probe keeper $keeper || fail "root is no client"
setpriv --reuid "$user" --regid "$user" --clear-groups vhostx-probe keeper $keeper || fail "the switch's user is no client"
systemd-analyze security --no-pager $unit | tail -1
keeper_before=$(pid)
unit=vhostx-switch.service

echo "== the package is installed again, and is removed, while it runs"
systemctl enable --now $unit || fail "it cannot be enabled"
before=$(pid)
dpkg -i /packages/vhostx-tools_*.deb || fail "it cannot be installed again"
systemctl -q is-active $unit && [ "$(pid)" != "$before" ] || fail "an upgrade does not restart it"
[ "$(systemctl is-enabled $unit)" = enabled ] || fail "an upgrade disables it"
carries_packets
[ "$(systemctl show -p MainPID --value vhostx-keeper.service)" = "$keeper_before" ] || fail "an upgrade restarts the keeper"
dpkg --purge vhostx-tools || fail "purge"
! pgrep -x 'vhostx-(switch|keeper)' || fail "it runs on when its package is gone"
left=$(find /etc/systemd /run/systemd /var/lib/systemd -name '*vhostx-switch*' -o -name '*vhostx-keeper*')
[ -z "$left" ] || fail "purge leaves $left"
echo "WELL"
""".replace("WELL", WELL)


def make_disk(root, disk):
    used = int(subprocess.run(["du", "-smx", root], capture_output=True, text=True, check=True).stdout.split()[0])
    maker = need_program("mke2fs", "e2fsprogs")
    subprocess.run([maker, "-q", "-t", "ext4", "-d", root, disk, f"{used * 5 // 4 + DISK_MIB_FREE}M"], check=True)


def make_initramfs(path, release):
    archive = Archive()
    for folder in ("bin", "dev", "proc", "new", "modules"):
        archive.folder(folder)
    archive.device("dev/console", 5, 1)
    for name, text in (("init", INIT), ("vhostx-try", SCRIPT), ("vhostx-try.service", UNIT)):
        archive.file(name, text.encode())
    archive.file("bin/busybox", read(need_program("busybox", "busybox-static")))
    for position, module in enumerate(modules_in_order(release, ["virtio_pci", "virtio_blk", "ext4", "crc32c_generic"])):
        archive.file(f"modules/{position:02}-{os.path.basename(module).removesuffix('.xz')}", read_module(module))
    with open(path, "wb") as file:
        file.write(archive.finish())


def boots(bench, root):
    release, kernel = newest_kernel()
    qemu = qemu_program()
    disk, initramfs, console, report = (bench.path(name) for name in ("disk", "initramfs", "console", "report"))
    make_initramfs(initramfs, release)
    make_disk(root, disk)
    argv = [qemu, "-accel", accelerator(), "-cpu", "max", "-smp", 2, "-m", MEMORY_MIB]
    argv += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-kernel", kernel, "-initrd", initramfs]
    argv += ["-append", "console=ttyS0 panic=-1 quiet systemd.wants=vhostx-try.service", "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
    argv += ["-serial", f"file:{console}", "-serial", f"file:{report}"]
    bench.keep_log(console)
    bench.keep_log(report)
    machine = bench.start("qemu", argv)
    wait_until(lambda: not machine.alive(), "the machine to turn itself off", BOOT_TIMEOUT_S)
    with open(report, errors="replace") as file:
        said = file.read()
    check(WELL in said.splitlines(), "the unit does not work: see the end of the report")
    check(machine.popen.returncode == 0, f"QEMU ended with {machine.popen.returncode}")
    print(said, end="")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder with Debian 12, systemd and vhostx-tools; nothing is mounted in it")
    run_test(boots, parser.parse_args().root)
