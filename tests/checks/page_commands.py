# SPDX-License-Identifier: BSD-3-Clause
"""What a page's command lines name is there: files of the repository, what the build makes, presets, targets, and the long
options of our own programs, which must stand in their sources. Nothing is run."""
import json
import re
import shlex
from functools import cache
from pathlib import Path

from page import ROOT, Page

OWN_FOLDERS = ("tools/", "tests/", "fuzz/", ".ci/")
PROGRAMS = {name: f"tools/{name.removeprefix('vhostx-')}" for name in ("vhostx-switch", "vhostx-bench", "vhostx-probe", "vhostx-keeper")}
BEFORE_PROGRAM = re.compile(r"^(\w+=\S*|sudo|nice|taskset|-c|\d+|&&|cd)$")
# Options of others' frameworks, that no source of ours spells out.
FRAMEWORK = re.compile(r"^--(help|version|gtest_\w+)$")
SOURCES = {"", ".cpp", ".hpp", ".py", ".sh"}


def commands_of(page: Page) -> list[tuple[int, str]]:
    """(its last line, command): of blocks that are indented or sh or have no language, continued lines joined, comments cut."""
    commands = []
    for block in page.blocks:
        if block.language not in ("indented", "sh", ""):
            continue
        begun = ""
        for number, line in enumerate(block.lines, block.line + (block.language != "indented")):
            line = begun + re.sub(r"(^|\s)#.*", "", line)
            begun = line.removesuffix("\\") if line.endswith("\\") else ""
            if not begun:
                commands += [(number, part) for part in re.split(r"\s*(?:&&|;|\|)\s+", line) if part.strip()]
    return commands


def words_of(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # no shell: a drawing, an output
        return []


@cache
def cmake_text() -> str:
    files = [path for path in ROOT.rglob("CMakeLists.txt") if "build" not in path.relative_to(ROOT).parts]
    return "\n".join(path.read_text() for path in [*files, *(ROOT / "cmake").glob("*.cmake")])


@cache
def presets() -> set[str]:
    return {preset["name"] for preset in json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]}


@cache
def text_of_sources(place: str) -> str:
    """Of a script: its own and those of the modules beside it. Of a folder: all that is in it."""
    path = ROOT / place
    paths = path.rglob("*") if path.is_dir() else [path, *path.parent.glob("*.py"), *path.parent.glob("*.sh")]
    return "\n".join(file.read_text(errors="ignore") for file in paths if file.is_file() and file.suffix in SOURCES)


def is_built(word: str) -> bool:
    """build/PRESET/FOLDER/NAME: NAME is a word of some CMakeLists.txt, or a folder of ours."""
    parts = Path(word).parts[2:]
    if not parts or parts[0] == "found" or "packages" in Path(word).parts:
        return True
    return (ROOT / Path(*parts)).is_dir() or bool(re.search(rf"\b{re.escape(parts[-1])}\b", cmake_text()))


def missing_file(word: str) -> str:
    if re.search(r"[*?$<>{}()\[\]]|\.\.\.|[A-Z]{4,}", word):
        return ""
    if word.startswith("build/"):
        return "" if is_built(word) else f"{word}: no CMakeLists.txt knows that name"
    if word.startswith(OWN_FOLDERS) and not (ROOT / word).exists():
        return f"{word}: there is no such file"
    return ""


def sources_of(program: str) -> str:
    """Where the program's options are spelled out; empty: it is not ours."""
    name = Path(program).name
    if name in PROGRAMS:
        return PROGRAMS[name]
    if program.startswith("build/"):
        folder = Path(*Path(program).parts[2:]).parent
        return str(folder) if (ROOT / folder).is_dir() else ""
    return program if program.startswith(OWN_FOLDERS) and (ROOT / program).is_file() else ""


def unknown_options(words: list[str]) -> list[str]:
    while words and BEFORE_PROGRAM.match(words[0]):
        words = words[1:]
    place = sources_of(words[0]) if words else ""
    if not place:
        return []
    own = words[words.index("--") + 1 :] if "--" in words else words[1:]  # before it: EAL's
    options = [re.match(r"--[\w-]+", word)[0] for word in own if re.match(r"--[a-z]", word)]
    spelled = text_of_sources(place) + (text_of_sources("tools/common") if place.startswith("tools/") else "")
    unknown = [o for o in options if not FRAMEWORK.match(o) and not re.search(rf"{re.escape(o)}\b", spelled)]
    return [f"{option}: the sources of {words[0]} do not know it" for option in unknown]


def unknown_in_build(words: list[str]) -> list[str]:
    """Presets and targets of cmake and ctest."""
    if words[0] not in ("cmake", "ctest"):
        return []
    faults = []
    for i, word in enumerate(words[:-1]):
        if word == "--preset" and not re.search("[A-Z]", words[i + 1]) and words[i + 1] not in presets():
            faults.append(f"{words[i + 1]}: there is no such preset")
        if word == "--target":
            targets = [target for target in words[i + 1 :] if not target.startswith("-")]
            faults += [f"{t}: there is no such target" for t in targets if not re.search(rf"\b{re.escape(t)}\b", cmake_text())]
    return faults


def check_commands(page: Page) -> list[str]:
    faults = []
    for number, command in commands_of(page):
        words = words_of(command)
        if not words:
            continue
        found = [missing for word in words if (missing := missing_file(word))]
        found += unknown_options(words) + unknown_in_build(words)
        faults += [f"{page.name}:{number}: {fault}" for fault in found]
    return faults
