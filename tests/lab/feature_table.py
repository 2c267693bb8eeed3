# SPDX-License-Identifier: BSD-3-Clause
"""docs/features.md, read: which feature bits vhostx offers by default, and which on request."""

import os
import re

TABLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/features.md")
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<bit>\d+) \| (?P<offered>default|on request) \|", re.MULTILINE)
OFFERED, ON_REQUEST = "default", "on request"
VIRTIO, PROTOCOL = "## virtio", "## vhost-user"


def bits_of(kind, offered):
    """The numbers of the bits of one kind (VIRTIO, PROTOCOL) that are OFFERED, or offered ON_REQUEST."""
    with open(TABLES, encoding="utf-8") as file:
        text = file.read()
    begin = text.index(kind)
    part = text[begin : text.find("\n## ", begin + 1)]
    return {int(row["bit"]) for row in ROW.finditer(part) if row["offered"] == offered}
