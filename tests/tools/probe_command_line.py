#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-probe's command line: help and manual page speak of the same commands and options; pasted examples are understood.

    probe_command_line.py PROBE
"""

import re
import subprocess
import sys
from pathlib import Path

SHARE = Path(__file__).resolve().parents[2] / "tools" / "probe" / "share"


def run(*argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, **options)


def commands_of(probe):
    text = run(probe, "--help").stdout
    return re.findall(r"^  ([a-z]+) ", text[text.index("Subcommands:") :], re.MULTILINE)


def options_of(help_text):
    """Those that are listed as options, not those that a text mentions."""
    listed = help_text.split("\nExamples:")[0]
    return set(re.findall(r"^ +(?:-\w,)?(--[a-z-]+)", listed, re.MULTILINE)) - {"--help", "--version"}


def manual_sections():
    """{command: its part of the manual page}"""
    text = (SHARE / "vhostx-probe.1").read_text().replace("\\fB", "").replace("\\fR", "")
    body = text[text.index(".SH COMMANDS") : text.index(".SH EXIT STATUS")]
    parts = re.split(r"^\.SS (\w+)\n", body, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def check_manual(probe):
    faults = []
    sections = manual_sections()
    commands = commands_of(probe)
    if sorted(sections) != sorted(commands):
        faults.append(f"the manual page has {sorted(sections)}, --help {sorted(commands)}")
    for command in commands:
        part = sections.get(command, "")
        if "the options of\n.B trace" in part:
            part += sections["trace"]
        options = options_of(run(probe, command, "--help").stdout)
        for option in sorted(options):
            if not re.search(rf"{option}(?![a-z-])", part):
                faults.append(f"manual page, {command}: {option} is missing")
        for option in sorted(set(re.findall(r"^\.BI? (--[a-z-]+)", sections.get(command, ""), re.MULTILINE))):
            others = run(probe, "trace", "--help").stdout + run(probe, "listen", "--help").stdout
            if option not in options and not (command == "rings" and option == "--qmp") and option not in others:
                faults.append(f"manual page, {command}: {option} does not exist")
    return faults


def check_examples(probe):
    """Every example of every --help is understood: with --help behind it, it parses and prints help."""
    faults = []
    count = 0
    for command in commands_of(probe):
        text = run(probe, command, "--help").stdout
        examples = re.findall(r"^ +vhostx-probe (\S.*?)(?: +#.*| \|.*)?$", text.split("Examples:")[-1], re.MULTILINE)
        if not examples:
            faults.append(f"{command} --help has no example")
        for example in examples:
            count += 1
            words = [word.strip("'") for word in example.split() if word != "..."]
            if run(probe, *words, "--help").returncode != 0:
                faults.append(f"{command} --help: the example is not understood: {example}")
    return faults, count


def main(probe):
    examples, count = check_examples(probe)
    faults = check_manual(probe) + examples
    print("\n".join(faults) if faults else f"manual page and {count} examples are as --help says")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
