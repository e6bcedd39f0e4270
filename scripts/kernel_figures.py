"""Reads what scripts/kernel_figures.sh compiled: kernel_figures.py FOLDER FIGURES.csv yes|no NAME…"""

import csv
import pathlib
import re
import subprocess
import sys

COLUMNS = ["file", "kernel", "architecture", "registers", "spilled_bytes", "stack_bytes", "shared_bytes", "loads_16",
           "stores_16"]
WIDE = r"\.(v4\.[fbsu]32|v2\.[fbsu]64|v8\.[fbsu]16|b128)"


def without_hash(mangled):
    """An anonymous namespace carries a hash of the file's path: leave it out, so that names stay."""
    found = re.search(r"(\d+)_GLOBAL__N__", mangled)
    while found:
        begin = found.start() + len(found[1])
        mangled = mangled[: found.start()] + "12_GLOBAL__N_1" + mangled[begin + int(found[1]):]
        found = re.search(r"(\d+)_GLOBAL__N__", mangled)
    return mangled


def demangled(names):
    text = "\n".join(without_hash(name) for name in names)
    lines = subprocess.run(["c++filt"], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    result = {}
    for name, line in zip(names, lines):
        line = line.replace("snug::kernels::", "").replace("(anonymous namespace)::", "")
        line = re.sub(r"^void ", "", line)
        depth, end = 0, len(line)
        for i, letter in enumerate(line):  # the arguments follow the first bracket outside of <>
            depth += (letter == "<") - (letter == ">")
            if letter == "(" and depth == 0:
                end = i
                break
        result[name] = re.sub(r"\((?:Activation|bool|int)\)", "", line[:end])
    return result


def assembler_figures(log):
    """By mangled name: registers, spills, stack and shared memory."""
    figures, name = {}, None
    for line in log.splitlines():
        if found := re.search(r"Compiling entry function '(\S+)'", line):
            name = found[1]
            figures[name] = dict.fromkeys(COLUMNS[3:], 0)
        if name is None:
            continue
        if found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            figures[name]["stack_bytes"] = int(found[1])
            figures[name]["spilled_bytes"] = int(found[2]) + int(found[3])
        if found := re.search(r"Used (\d+) registers", line):
            figures[name]["registers"] = int(found[1])
            shared = re.search(r"(\d+) bytes smem", line)
            figures[name]["shared_bytes"] = int(shared[1]) if shared else 0
    return figures


def count_wide_accesses(ptx, figures):
    for entry in re.split(r"\.entry\s+", ptx)[1:]:
        name = re.match(r"\S+?(?=\()", entry)
        if name and name[0] in figures:
            figures[name[0]]["loads_16"] = len(re.findall(r"\bld\.global[.\w]*?" + WIDE, entry))
            figures[name[0]]["stores_16"] = len(re.findall(r"\bst\.global[.\w]*?" + WIDE, entry))


def measured(folder, names):
    rows = []
    for name in names:
        for architecture in ("80", "90"):
            figures = assembler_figures((folder / f"{name}.{architecture}.log").read_text())
            for ptx in sorted((folder / f"{name}.{architecture}").glob("*.ptx")):
                count_wide_accesses(ptx.read_text(), figures)
            readable = demangled(list(figures))
            for mangled, values in figures.items():
                rows.append({"file": name, "kernel": readable[mangled], "architecture": architecture} | values)
    return sorted(rows, key=lambda row: (row["file"], row["kernel"], row["architecture"]))


def key_of(row):
    return row["file"], row["kernel"], str(row["architecture"])


def compare(rows, committed, names):
    old = {key_of(row): row for row in committed if row["file"] in names}
    worse = 0
    for row in rows:
        before = old.pop(key_of(row), None)
        label = f"{row['file']}: {row['kernel']} on sm_{row['architecture']}"
        if before is None:
            print(f"   new      {label}: {row['registers']} registers")
            continue
        for column in COLUMNS[3:]:
            was, now = int(before[column]), row[column]
            if was == now:
                continue
            wide = column in ("loads_16", "stores_16")
            rose = now < was if wide else now > was
            worse += rose
            print(f"   {'WORSE   ' if rose else 'better  '} {label}: {column} {was} -> {now}")
    for key in old:
        print(f"   gone     {key[0]}: {key[1]} on sm_{key[2]}")
    return worse


def main():
    folder, path, update, names = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4:]
    rows = measured(folder, names)
    committed = list(csv.DictReader(path.open())) if path.exists() else []
    worse = compare(rows, committed, names) if update == "no" else 0
    if update == "yes":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    spilling = [row for row in rows if row["spilled_bytes"] > 0]
    for row in spilling:
        print(f"   SPILLS   {row['file']}: {row['kernel']} on sm_{row['architecture']}: {row['spilled_bytes']} bytes")
    print(f"{len(rows)} kernels, {max(row['registers'] for row in rows)} registers at most, {len(spilling)} spill, "
          f"{worse} figures are worse than committed")
    sys.exit(1 if spilling else 0)


main()
