# SPDX-License-Identifier: BSD-3-Clause
"""A block behind `<!-- tools/examples/FILE -->` is that file, one behind `<!-- tools/examples/FILE: excerpt -->` consecutive
lines of it. All C and C++ in the guides is such a block, or says `<!-- not compiled: WHY -->`."""
import difflib
import re

from page import ROOT, Block, Page

MARK = re.compile(r"(tools/examples/[\w.]+)(: excerpt)?$")
NOT_COMPILED = re.compile(r"not compiled: \S.*$")
GUIDES = re.compile(r"README\.md$|docs/")
SHOWN_WHOLE = ["tools/examples/embed.cpp", "tools/examples/embed_c.c"]


def check_block(page: Page, block: Block, example: str, is_excerpt: bool) -> list[str]:
    where = f"{page.name}:{block.line}: {example}"
    if not (ROOT / example).is_file():
        return [f"{where}: there is no such file"]
    real = (ROOT / example).read_text()
    if is_excerpt:
        return [] if f"\n{block.text}" in f"\n{real}" else [f"{where}: these are no consecutive lines of it"]
    if block.text == real:
        return []
    return [f"{where}: differs:", *difflib.unified_diff(real.splitlines(), block.lines, example, page.name, lineterm="")]


def check_mark(page: Page, block: Block) -> list[str]:
    """A guide's code is held to be compiled: a mark that is mistyped would hold nothing."""
    if not GUIDES.match(page.name) or block.language not in ("c", "cpp") or NOT_COMPILED.match(block.mark):
        return []
    return [f"{page.name}:{block.line}: C or C++ of no program: expected <!-- tools/examples/FILE: excerpt --> before it"]


def check_programs(pages: list[Page]) -> list[str]:
    faults = []
    whole = set()
    for page in pages:
        for block in page.blocks:
            if mark := MARK.match(block.mark):
                faults += check_block(page, block, mark[1], bool(mark[2]))
                whole |= set() if mark[2] else {mark[1]}
            else:
                faults += check_mark(page, block)
    return faults + [f"no page shows {example}" for example in SHOWN_WHOLE if example not in whole]
