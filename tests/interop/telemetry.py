# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own client for telemetry, asked as an operator asks it."""

import json
import subprocess

from processes import Failure, need_program, wait_until

TIMEOUT_S = 60


class Telemetry:
    """dpdk-telemetry.py on the socket of the process `pid` that has this file prefix."""

    def __init__(self, prefix, pid):
        self.client = need_program("dpdk-telemetry.py", "dpdk-dev")
        self.prefix = prefix
        # Further processes with a prefix have sockets with numbers; which is whose, they say themselves.
        self.instance = wait_until(lambda: self._instance_of(pid), f"the telemetry socket of process {pid}")

    def _run(self, instance, commands):
        argv = [self.client, "-f", self.prefix, "-i", str(instance)]
        return subprocess.run(
            argv, input="".join(command + "\n" for command in commands), capture_output=True, text=True, timeout=TIMEOUT_S
        )

    def _instance_of(self, pid):
        for instance in range(32):
            done = self._run(instance, ["/info"])
            if done.returncode == 0 and f'"pid": {pid},' in done.stdout:
                return [instance]
        return None

    def ask(self, command):
        """What stands in the answer beside the command's name."""
        done = self._run(self.instance[0], [command])
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode != 0 or not lines:
            raise Failure(f"{command}: dpdk-telemetry.py said {done.stdout!r} {done.stderr!r}")
        return json.loads(lines[-1])[command.split(",")[0]]
