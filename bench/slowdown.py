#!/usr/bin/env python3
"""Holds the estimated slowdown of plans against the clock: the same training step planned with all the memory it wants
and with a part of it, in turns on one machine."""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys

from common import conditions, go_first

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPTIMIZER = '{ name = "sgd", lr = 0.05, momentum = 0.9 }'
WARM_UP_STEPS = 2

# model, batch, shares of the arenas that it has without a bound
CASES = [("resnet50", 8, (0.75, 0.6, 0.55)), ("mobilenet_v2", 16, (0.6, 0.5, 0.4)),
         ("densenet121", 8, (0.8, 0.6, 0.5)), ("vgg16", 4, (0.95,))]
PART, POINTS = 0.25, 0.03  # what an estimate may be off: a quarter of what it adds, or three points


def settings(batch, threads):
    return ["--batch", str(batch), "--threads", str(threads), "--set", f"train.optimizer={OPTIMIZER}"]


def plan(program, model, batch, threads, budget=None):
    command = [program, "plan", f"configs/models/{model}.toml", "--json", *settings(batch, threads)]
    if budget:
        command += ["--budget", str(budget)]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout)


class Runner:
    """A process that computes during its turns and is stopped between them."""

    def __init__(self, program, model, batch, threads, budget):
        command = [program, "bench", "model", f"configs/models/{model}.toml", "--turns", *settings(batch, threads),
                   "--set", f"memory.budget={budget}"]
        self.process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if "ready" not in line:
            sys.exit(f"error: {' '.join(command)}: {line}")
        self.turn(WARM_UP_STEPS)

    def turn(self, steps):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        milliseconds = json.loads(self.process.stdout.readline())["ms"]
        self.process.send_signal(signal.SIGSTOP)
        return statistics.median(milliseconds)

    def end(self):
        self.process.kill()
        self.process.wait()


def measure(options, model, batch, share, whole):
    """One restricted plan against the unrestricted one."""
    fixed = whole["total_bytes"] - sum(whole["allocated"].values())
    budget = fixed + int(share * sum(whole["allocated"].values()))
    tight = plan(options.program, model, batch, options.threads, budget)
    row = {"model": model, "batch": batch, "share": share, "budget_bytes": budget, "fits": tight["fits"]}
    if not tight["fits"]:
        return row
    runners = [Runner(options.program, model, batch, options.threads, b) for b in (whole["total_bytes"], budget)]
    try:
        rounds = []
        for turn in range(options.turns):
            order = (0, 1) if turn % 2 == 0 else (1, 0)
            ms = {i: runners[i].turn(1) for i in order}
            rounds.append((ms[0], ms[1]))
    finally:
        for runner in runners:
            runner.end()
    ratios = [tight_ms / plain_ms for plain_ms, tight_ms in rounds]
    # What others do on the machine only ever adds: the faster steps of each are compared.
    fast = [statistics.quantiles(column, n=5)[0] for column in zip(*rounds)]
    row |= {"strategy": tight["strategy"], "estimated": tight["estimated_slowdown"],
            "measured": fast[1] / fast[0], "of_rounds": statistics.quantiles(ratios, n=4),
            "by_least": min(t for _, t in rounds) / min(p for p, _ in rounds),
            "ms": fast, "ms_median": [statistics.median(column) for column in zip(*rounds)],
            "estimated_ms": [1e3 * batch / p["estimated_images_per_second"] for p in (whole, tight)]}
    row["good"] = abs(row["measured"] - row["estimated"]) <= max(PART * (row["estimated"] - 1), POINTS)
    return row


def main():
    parser = argparse.ArgumentParser(prog="bench/slowdown.py", description=__doc__)
    parser.add_argument("--program", default=os.environ.get("SNUG", "build/release/bin/snug"))
    parser.add_argument("--models", type=lambda text: text.split(","))
    parser.add_argument("--turns", type=int, default=15, help="steps of each plan")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--realtime", action="store_true", help="compute before all others on a busy machine (root)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench" / "results" / "slowdown-cpu.json")
    options = parser.parse_args()
    options.program = str(pathlib.Path(options.program).resolve())
    if options.realtime:
        go_first()
    version = json.loads(subprocess.check_output([options.program, "version", "--json"]))["version"]
    report = {**conditions("bench/slowdown.py"), "threads": options.threads, "realtime": options.realtime, "snug": version,
              "results": []}
    for model, batch, shares in CASES:
        if options.models and model not in options.models:
            continue
        whole = plan(options.program, model, batch, options.threads)
        for share in shares:
            row = measure(options, model, batch, share, whole)
            report["results"].append(row)
            if row["fits"]:
                print(f"{model:15} batch {batch:3} share {share:.2f}  estimated {row['estimated']:.3f}  measured "
                      f"{row['measured']:.3f} ({row['of_rounds'][0]:.3f}–{row['of_rounds'][2]:.3f})  "
                      f"{row['ms'][0]:.0f} → {row['ms'][1]:.0f} ms (estimated {row['estimated_ms'][0]:.0f} → "
                      f"{row['estimated_ms'][1]:.0f})  {', '.join(row['strategy'])}  {'' if row['good'] else 'OFF'}",
                      flush=True)
            else:
                print(f"{model:15} batch {batch:3} share {share:.2f}  does not fit", flush=True)
            options.out.write_text(json.dumps(report, indent=1) + "\n")
    measured = [row for row in report["results"] if row["fits"]]
    good = sum(row["good"] for row in measured)
    print(f"{good} of {len(measured)} within a quarter or three points; figures: {options.out}")
    sys.exit(good < len(measured))


main()
