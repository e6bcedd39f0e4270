#!/usr/bin/env python3
"""Holds `snug tune` against an exhaustive sweep: batches of 2^k and 3 · 2^k up to the largest that fits, each for some
seconds in several passes (a machine that is slow for a while is slow for all), then the search several times. Writes both curves, and whether the picks hold.

  bench/tune_sweep.py configs/cifar10-cpu.toml --realtime --out bench/results/tune-NAME.json
"""

import argparse
import datetime
import json
import os
import pathlib
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from common import go_first

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEAST_SHARE = 0.94  # of the sweep's best
MOST_TIME = 0.1  # of the sweep's


def run(command, **options):
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, **options)


def batches_to(limit):
    powers = [2**k for k in range(40)]
    return sorted(b for b in powers + [3 * p for p in powers] if b <= limit)


class Point:
    """A network of one batch in a process of its own, stepped for so many seconds."""

    def __init__(self, options, batch):
        self.batch = batch
        self.command = [options.snug, "bench", "model", options.config, "--turns", "--json", "--batch", str(batch),
                        *options.more]
        self.process = subprocess.Popen(self.command, cwd=ROOT, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.ready = json.loads(self.process.stdout.readline())

    def step(self):
        self.process.stdin.write("1\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["ms"][0]

    def measure(self, seconds):
        begin = time.monotonic()
        first = self.step()
        if first < 5e3:
            self.step()
        milliseconds = []
        while not milliseconds or time.monotonic() - begin + 1e-3 * milliseconds[-1] < seconds:
            milliseconds.append(self.step())
        self.process.stdin.close()
        self.process.wait()
        return milliseconds


def largest_batch(options):
    """What tune would find, and no more: the plan of batch 1 says it."""
    plan = run([options.snug, "plan", options.config, "--batch", "1", "--json", *options.more])
    return min(json.loads(plan.stdout)["max_batch"], options.max_batch)


def sweep(options):
    batches, begin = batches_to(largest_batch(options)), time.monotonic()
    times, planned = {batch: [] for batch in batches}, {}
    for turn in range(options.passes):
        for batch in batches if turn % 2 == 0 else reversed(batches):
            point = Point(options, batch)
            times[batch].append(point.measure(options.seconds / options.passes))
            planned[batch] = point.ready["planned_bytes"]
        print(f"  pass {turn + 1} of {options.passes}, {time.monotonic() - begin:.0f} s", flush=True)
    points = []
    for batch in batches:
        rates = [1e3 * batch / statistics.median(milliseconds) for milliseconds in times[batch]]
        points.append({"batch": batch, "images_per_second": round(statistics.median(rates), 2),
                       "of_passes": [round(rate, 2) for rate in rates],
                       "steps": sum(map(len, times[batch])), "planned_bytes": planned[batch]})
        print(f"  {batch:>6}  {points[-1]['images_per_second']:>9.1f} img/s  ({min(rates):.1f} to {max(rates):.1f})")
    return points, time.monotonic() - begin


def tune(options):
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        environment = os.environ | {"XDG_CACHE_HOME": folder}
        command = [options.snug, "tune", options.config, "--max-batch", str(options.max_batch), "--json", *options.more]
        result = run(command, env=environment)
        if result.returncode != 0:
            sys.exit(f"tune ended with {result.returncode}: {result.stdout}{result.stderr}")
        return json.loads(result.stdout), time.monotonic() - begin


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--seconds", type=float, default=20, help="for each batch of the sweep")
    parser.add_argument("--passes", type=int, default=4, help="that these seconds are divided into")
    parser.add_argument("--tunes", type=int, default=3)
    parser.add_argument("--max-batch", type=int, default=65535, help="of the sweep and of the search")
    parser.add_argument("--realtime", action="store_true", help="compute before all others on a busy machine (root)")
    parser.add_argument("--snug", default=os.environ.get("SNUG", "build/release/bin/snug"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--sweep-of", type=pathlib.Path, help="take the sweep of an earlier result")
    parser.epilog = "Further options of snug stand behind --."
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:split])
    options.more = sys.argv[split + 1:]
    return options


def main():
    options = parse()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if options.realtime:
        go_first()
    report = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "command": shlex.join(["bench/tune_sweep.py", *sys.argv[1:]]), "config": options.config,
              "realtime": options.realtime}
    if options.sweep_of:
        earlier = json.loads(options.sweep_of.read_text())
        report |= {key: earlier[key] for key in ("sweep", "sweep_seconds")}
    else:
        report["sweep"], report["sweep_seconds"] = sweep(options)
        options.out.write_text(json.dumps(report | {"tunes": []}, indent=1) + "\n")
    rates = {point["batch"]: point["images_per_second"] for point in report["sweep"]}
    best = max(rates, key=rates.get)
    print(f"sweep: {report['sweep_seconds']:.0f} s, best {rates[best]:.1f} img/s at batch {best}")
    report["tunes"], good = [], True
    for _ in range(options.tunes):
        result, seconds = tune(options)
        pick = result["best"]["batch"]
        share, time_share = rates.get(pick, 0) / rates[best], seconds / report["sweep_seconds"]
        holds = share >= LEAST_SHARE and time_share <= MOST_TIME
        good = good and holds
        report["tunes"].append({"pick": pick, "share_of_sweep_best": round(share, 4), "seconds": round(seconds, 1),
                                "share_of_sweep_time": round(time_share, 4), "end": result["end"],
                                "curve": result["curve"], "conditions": result["conditions"]})
        print(f"tune: batch {pick}, {100 * share:.1f} % of the sweep's best, {seconds:.0f} s "
              f"({100 * time_share:.1f} % of its time), {'holds' if holds else 'FAILS'}", flush=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(0 if good else 1)


main()
