# SPDX-License-Identifier: BSD-3-Clause
"""Importing this makes tests/interop's modules (processes, vhostx_switch) importable."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "interop"))
