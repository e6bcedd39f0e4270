#!/usr/bin/env python3
"""Whether a training's memory stays as it is: a small network on photographs, varied and decoded anew in each epoch, for
many epochs. The resident memory of the process is looked at after each.

  bench/flat_memory.py PHOTOGRAPHS --out bench/results/flat-memory-NAME.json

PHOTOGRAPHS: a folder of class folders.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from common import conditions

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST_BYTES = 1 << 20  # more at the end than in the beginning
SETTINGS = ('model.input=[48, 48, 3]', 'data.resize=56', 'train.batch=16', 'train.schedule={ name = "cosine" }',
            'data.augment=[{ random_resized_crop = 48 }, { hflip = 0.5 }, { color_jitter = [0.3, 0.3, 0.3, 0.05] }, '
            '{ mixup = 0.2 }]', 'model.layers=[{ conv = 8, kernel = 3, stride = 2, padding = 1, norm = "batch", '
            'activation = "relu" }, { global_avgpool = true }, { dense = 2 }]')


def resident_bytes(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def train(options, cache, folder):
    command = [options.snug, "train", "configs/catsdogs.toml", "--json", "--out", folder / "run"]
    for setting in (*SETTINGS, f'data.train={{ folder = "{options.photographs.resolve()}" }}', "data.val_split=0.2",
                    f'data.cache="{cache}"', f"train.epochs={options.epochs}"):
        command += ["--set", setting]
    text = (ROOT / "configs/catsdogs.toml").read_text()
    config = folder / "config.toml"
    config.write_text("\n".join(line for line in text.splitlines() if not line.startswith("val = ")))
    command[2] = config
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    resident, line = [], ""
    for line in process.stdout:
        if json.loads(line).get("event") == "epoch":
            resident.append(resident_bytes(process))
    if process.wait() != 0:
        sys.exit(line + process.stderr.read())  # with --json the last line has the findings
    return resident


def main():
    parser = argparse.ArgumentParser(prog="bench/flat_memory.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--snug", default=os.environ.get("SNUG", "build/release/bin/snug"))
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    report = conditions("bench/flat_memory.py") | {"epochs": options.epochs, "results": []}
    for cache in ("stream", "ram"):
        with tempfile.TemporaryDirectory() as folder:
            resident = train(options, cache, pathlib.Path(folder))
        tenth = max(1, len(resident) // 10)
        early, late = (statistics.median(part) for part in (resident[tenth:2 * tenth], resident[-tenth:]))
        report["results"].append({"cache": cache, "early_bytes": early, "late_bytes": late, "resident_bytes": resident,
                                  "good": late - early <= MOST_BYTES})
        print(f"{cache:7} {len(resident)} epochs, {early / 2**20:.1f} MiB in the second tenth, {late / 2**20:.1f} in the last")
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(not all(row["good"] for row in report["results"]))


main()
