#!/usr/bin/env python3
"""The input of training on one core, beside its peers in one run: generated photographs of 500 to 2,000 pixels decoded
and resized to 224 by Snug, by libjpeg-turbo alone at the same scale (no resizing), by torchvision (Pillow), and read
from a pack; and batches of small images. Programs take turns. Ends with 1 where a mark is missed.

  SNUG_TORCH_PYTHON=python-with-torchvision bench/pictures.py --realtime --out bench/results/pictures-NAME.json
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from common import conditions, go_first

ROOT = pathlib.Path(__file__).resolve().parent.parent
OURS = {"decode_and_resize": "snug", "library_decode": "libjpeg-turbo alone", "packed_pixels": "snug, packed",
        "batches/28/1/real_time": "snug, 28×28×1 batches", "batches/32/3/real_time": "snug, 32×32×3 batches"}
# what, of what, the least ratio
MARKS = [("snug", "libjpeg-turbo alone", 0.9), ("snug", "torchvision", 1.5), ("snug, packed", "snug", 10)]
LEAST_BATCHES = 1e6  # images a second


def torchvision(python, folder):
    text = subprocess.check_output([python, ROOT / "bench" / "photos.py", folder], text=True)
    return float(text.split()[1])


def snug(program, folder):
    """Pictures a second of each of OURS, once."""
    command = [program, "--benchmark_format=json", f"--benchmark_filter=^({'|'.join(OURS)})$"]
    text = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL,
                                   env=os.environ | {"SNUG_BENCH_PHOTOS": str(folder)})
    return {OURS[row["name"]]: row["items_per_second"] for row in json.loads(text)["benchmarks"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/test/bin/snug_data_bench", help="the micro-benchmarks of data")
    parser.add_argument("--python", default=os.environ.get("SNUG_TORCH_PYTHON", sys.executable), help="has torchvision")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--core", type=int, default=0, help="on which everything runs")
    parser.add_argument("--realtime", action="store_true", help="compute before all others on a busy machine (root)")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    program = str(pathlib.Path(options.program).resolve())
    if options.realtime:
        go_first()
    os.sched_setaffinity(0, {options.core})
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        torchvision(options.python, folder)  # makes the photographs
        for _ in range(options.rounds):
            for name, rate in {"torchvision": torchvision(options.python, folder), **snug(program, folder)}.items():
                rates.setdefault(name, []).append(rate)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratios = [{"what": what, "of": of, "ratio": medians[what] / medians[of], "least": least}
              for what, of, least in MARKS]
    report = {**conditions("bench/pictures.py"), "pictures_per_second": medians, "rounds": rates, "ratios": ratios}
    options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    for name, rate in medians.items():
        print(f"{name:24} {rate:12,.1f} a second")
    for row in ratios:
        print(f"{row['what']}: {row['ratio']:.2f} of {row['of']} (mark {row['least']:g})")
    good = all(row["ratio"] >= row["least"] for row in ratios) and all(
        rate >= LEAST_BATCHES for name, rate in medians.items() if name.endswith("batches"))
    sys.exit(not good)


main()
