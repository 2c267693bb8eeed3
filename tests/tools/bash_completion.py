#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The completion of the tools in a real bash, without the package bash-completion.

    bash_completion.py SWITCH BENCH PROBE KEEPER
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = {os.path.basename(tool): tool for tool in sys.argv[1:5]}
del sys.argv[1:5]
SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "common" / "share" / "vhostx.bash"

# What readline does: words are taken apart at '=' and ':' too, and only the last part is replaced.
COMPLETE = r"""
source "$1"
COMP_LINE=$2 COMP_POINT=${#2}
IFS=$'\n' read -r -d '' -a COMP_WORDS <<<"$3"
COMP_CWORD=$(($4 - 1))
[ "${#COMP_WORDS[@]}" -ge "$4" ] || COMP_WORDS[COMP_CWORD]=
_vhostx
printf '%s\n' "${COMPREPLY[@]}"
"""


def bash_words(line):
    words = []
    for word in line.split(" "):
        words += re.findall(r"[=:]+|[^=:]+", word) or [""]
    return words


class Completion(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="vhostx-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name in ("vm0.sock", "vm1.sock"):
            Path(self.folder, name).touch()

    def complete(self, line):
        """Whole last words, as they stand on the line afterwards."""
        name, rest = line.split(" ", 1)
        words = [TOOLS[name], *bash_words(rest)]
        text = f"{TOOLS[name]} {rest}"
        done = subprocess.run(["bash", "-c", COMPLETE, "bash", SCRIPT, text, "\n".join(words), str(len(words))],
                              capture_output=True, text=True, timeout=60, cwd=self.folder)
        self.assertEqual(done.stderr, "")
        replaced = "" if words[-1] in ("=", ":") else words[-1]
        before = rest.split(" ")[-1]
        before = before[:len(before) - len(replaced)]
        return {before + word for word in done.stdout.split("\n") if word}

    def test_options_commands_and_values(self):
        for line, expected in (
            ("vhostx-switch --st", {"--standby", "--stats"}),
            ("vhostx-switch --mode r", {"rxonly"}),
            ("vhostx-switch --mode=tx", {"--mode=txonly"}),
            ("vhostx-switch --mode=", {"--mode=switch", "--mode=io", "--mode=mac", "--mode=rxonly", "--mode=txonly"}),
            ("vhostx-switch --port v", {"vm0.sock", "vm1.sock"}),
            ("vhostx-switch --port vm0.sock,qu", {"vm0.sock,queues="}),
            ("vhostx-switch --port vm0.sock,role=", {"vm0.sock,role=server", "vm0.sock,role=client"}),
            ("vhostx-switch --port vm0.sock,queues=2,zerocopy=l", {"vm0.sock,queues=2,zerocopy=lend"}),
            ("vhostx-switch -l 0-1 -- --port vm0.sock --dur", {"--duration"}),
            ("vhostx-switch --workers ", set()),
            ("vhostx-switch ctl --control c fl", {"flush-addresses"}),
            ("vhostx-switch ctl ports --js", {"--json"}),
            ("vhostx-bench --conn", {"--connect"}),
            ("vhostx-bench com", {"compare"}),
            ("vhostx-bench compare --label-", {"--label-a", "--label-b"}),
            ("vhostx-bench compare vm1", {"vm1.sock"}),
            ("vhostx-bench --connect vm0.sock --check ", {"full", "head"}),
            ("vhostx-keeper --gr", {"--grace"}),
            ("vhostx-keeper v", {"vm0.sock", "vm1.sock"}),
            ("vhostx-probe kee", {"keeper"}),
            ("vhostx-probe qu", {"query"}),
            ("vhostx-probe trace --co", {"--connect", "--count-notifications"}),
            ("vhostx-probe query v", {"vm0.sock", "vm1.sock"}),
            ("vhostx-probe check --device g", {"guess"}),
            ("vhostx-probe check --group memo", {"memory"}),
            ("vhostx-probe listen --features VIRTIO_F_VERSION_1,VIRTIO_NET_F_MRG", {"VIRTIO_F_VERSION_1,VIRTIO_NET_F_MRG_RXBUF"}),
            ("vhostx-probe listen --features=-VIRTIO_NET_F_MRG", {"--features=-VIRTIO_NET_F_MRG_RXBUF"}),
            ("vhostx-probe listen --protocol-features REPLY", {"REPLY_ACK"}),
        ):
            with self.subTest(line=line):
                self.assertEqual(self.complete(line), expected)

    def test_every_option_of_help_is_offered(self):
        for line in ("vhostx-switch", "vhostx-bench", "vhostx-bench compare", "vhostx-probe trace", "vhostx-probe check",
                     "vhostx-keeper"):
            name, *command = line.split()
            text = subprocess.run([TOOLS[name], *command, "--help"], capture_output=True, text=True, timeout=60).stdout
            listed = set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", text, re.MULTILINE))
            self.assertIn("--help", listed)
            self.assertLessEqual(listed, self.complete(line + " --"), line)


if __name__ == "__main__":
    unittest.main()
