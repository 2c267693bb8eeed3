#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each public C++ header, compiled as C++17: the compiler says in words that it must be C++20, and then stops."""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "include"
WORDS = "vhostx needs C++20: compile with -std=c++20"
PROGRAM = "#include <%s>\nint main() { auto backend = vhostx::Backend::create(); return backend ? 0 : 1; }\n"


def compile_one(compiler: str, header: str, standard: str, folder: Path):
    source = folder / "program.cpp"
    source.write_text(PROGRAM % header)
    command = [compiler, f"-std={standard}", "-fsyntax-only", f"-I{INCLUDE}", str(source)]
    return subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})


def faults_of(compiler: str, folder: Path):
    for header in sorted(INCLUDE.glob("vhostx/*.hpp")):
        name = f"vhostx/{header.name}"
        run = compile_one(compiler, name, "c++17", folder)
        errors = [line for line in run.stderr.splitlines() if " error: " in line]
        if run.returncode == 0 or not errors or WORDS not in errors[0] or len(errors) > 2:
            yield f"{compiler} -std=c++17, <{name}>: expected '{WORDS}' and no page of errors, not:\n{run.stderr}"
    run = compile_one(compiler, "vhostx/vhostx.hpp", "c++20", folder)
    if run.returncode != 0:
        yield f"{compiler} -std=c++20: {run.stderr}"


def main() -> int:
    found = [shutil.which(compiler) for compiler in ("g++", "clang++", *sys.argv[1:])]
    compilers = list(dict.fromkeys(compiler for compiler in found if compiler))
    if not compilers:
        print("skipped: neither g++ nor clang++ is installed")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        faults = [fault for compiler in compilers for fault in faults_of(compiler, Path(folder))]
    print("\n".join(faults) if faults else f"all headers say what they need to {' and '.join(compilers)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
