#!/usr/bin/env python3
"""Writes docs/api.md from the public headers in include/snug and the program in tests/consumer.

Called as: api_page.py [--check]. With --check nothing is written: it fails unless the page is what the headers say.
Everything at the outer level of namespace snug is listed with its comment, sections ("// ---- name ---") become headings,
private members and comparisons are left out.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/api.md"
HEADERS = ["trainer.h", "config.h", "diagnostic.h", "plan.h", "version.h.in"]
SECTION = re.compile(r"// -+ (.*?) -+$")

INTRODUCTION = """# The C++ API

This page is written by `scripts/api_page.py` from the headers in [include/snug](../include/snug), which need the standard
library alone. Everything is in namespace `snug`; `#include <snug/trainer.h>` brings all of it but the version. After
`cmake --install build/release --prefix DIR` a project of its own, configured with `-DCMAKE_PREFIX_PATH=DIR`, trains and
predicts in two files ([tests/consumer](../tests/consumer), built and run by the tests):
"""


def fenced(language, text):
    return f"```{language}\n{text.rstrip()}\n```\n"


def declarations(lines):
    """Of the lines in the namespace: ("section", name) and ("item", comment, code), in order."""
    comment, code, depth = [], [], 0
    for line in lines:
        if not code:
            section = SECTION.match(line)
            if section:
                yield "section", section[1]
            elif line.startswith("/// "):
                comment.append(line[4:])
            if not line or line.startswith("//"):
                continue
        code.append(line)
        plain = line.split("//")[0]
        depth += plain.count("{") + plain.count("(") - plain.count("}") - plain.count(")")
        if depth == 0 and plain.rstrip().endswith((";", "}")):
            yield "item", " ".join(comment), code
            comment, code = [], []
    if code:
        raise SystemExit(f"a declaration has no end: {code[0]}")


def is_compared(line):
    return "operator==" in line


def shown(code):
    """A declaration as a reader wants it; nothing of what only compares."""
    kept, private = [], False
    for line in code:
        private = (private or line.strip() == "private:") and not line.startswith("}")
        if not private and not is_compared(line):
            kept.append(line)
    while len(kept) > 2 and not kept[-2].strip():
        del kept[-2]
    return "\n".join(kept)


def header_page(name):
    lines = (ROOT / "include/snug" / name).read_text().splitlines()
    begin, end = lines.index("namespace snug {"), lines.index("}  // namespace snug")
    about = " ".join(line[3:] for line in lines[: lines.index("#pragma once")])
    parts = [f"## snug/{name.removesuffix('.in')}\n", about + "\n" if about else ""]
    for kind, *rest in declarations(lines[begin + 1 : end]):
        if kind == "section":
            parts.append(f"### `{rest[0]}`\n" if rest[0].startswith("[") else f"### {rest[0].capitalize()}\n")
            continue
        comment, code = rest
        text = shown(code).replace("@PROJECT_VERSION@", "…")
        if not text:
            continue
        # Neighbours without words of their own stand in one block.
        if not comment and parts[-1].startswith("```"):
            parts[-1] = fenced("cpp", parts[-1].removeprefix("```cpp\n").removesuffix("```\n") + text)
        else:
            parts += [comment + "\n" if comment else "", fenced("cpp", text)]
    return "\n".join(part for part in parts if part)


def page():
    consumer = ROOT / "tests/consumer"
    parts = [INTRODUCTION,
             fenced("cmake", (consumer / "CMakeLists.txt").read_text()),
             fenced("cpp", (consumer / "main.cpp").read_text())]
    return "\n".join(parts + [header_page(name) for name in HEADERS])


def main():
    if sys.argv[1:] == ["--check"]:
        if PAGE.read_text() != page():
            raise SystemExit("docs/api.md is not what include/snug says; scripts/api_page.py writes it anew")
        print("docs/api.md is what include/snug says")
        return
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
