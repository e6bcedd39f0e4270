#!/usr/bin/env python3
"""Whether `snug bench compare` can be believed: runs of one binary against each other, which must show no change 19
times of 20, then runs of it that are slowed down, which must be seen. The slowdown is real time spent busily by a
preloaded library (slower.c) between two looks at the clock, in proportion to what passed between them: the program is
the same and knows nothing of it.

  bench/compare_truth.py configs/models/resnet18-cifar.toml --batch 16 --realtime --out bench/results/compare-NAME.json
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from common import conditions, go_first

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEAST_SHARE = 0.95  # of pairs that must be judged rightly


def build_slower(folder):
    library = folder / "slower.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, ROOT / "bench" / "slower.c"], check=True)
    return library


class Judge:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.library = build_slower(folder)
        self.snug_conditions = None

    def run(self, percent):
        environment = dict(os.environ)
        if percent:
            environment |= {"LD_PRELOAD": str(self.library), "SLOWER_PERCENT": str(percent)}
        o = self.options
        command = [o.snug, "bench", "model", o.config, "--steps", str(o.steps), "--json", *o.more]
        if o.batch:
            command += ["--batch", str(o.batch)]
        done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True)
        if done.returncode != 0:
            sys.exit(f"bench model ended with {done.returncode}: {done.stdout}{done.stderr}")
        self.snug_conditions = self.snug_conditions or json.loads(done.stdout)["conditions"]
        return done.stdout

    def pair(self, percent, first):
        """One comparison of two results files. Their runs are made in turns, and what comes first changes: a drift of
        the machine weighs on both."""
        lines = {"before": [], "after": []}
        for i in range(self.options.runs):
            order = ("before", "after") if (i % 2 == 0) == (first == "before") else ("after", "before")
            for name in order:
                lines[name].append(self.run(percent if name == "after" else 0))
        files = {name: self.folder / f"{name}.json" for name in lines}
        for name, file in files.items():
            file.write_text("".join(lines[name]))
        done = subprocess.run([self.options.snug, "bench", "compare", files["before"], files["after"], "--json"],
                              text=True, capture_output=True)
        result = json.loads(done.stdout)
        kept = {key: result[key] for key in ("change", "ratio", "low", "high", "before_ms_per_image",
                                             "after_ms_per_image")} | {"exit_code": done.returncode, "first": first}
        print(f"  {result['change']:7} {100 * (result['ratio'] - 1):+6.2f} % "
              f"({100 * (result['low'] - 1):+.2f} to {100 * (result['high'] - 1):+.2f})", flush=True)
        return kept

    def pairs(self, count, percent):
        print(f"{count} pairs, the second {percent} % slower" if percent else f"{count} pairs of the same")
        return [self.pair(percent, "before" if i % 2 == 0 else "after") for i in range(count)]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--batch", type=int, help="instead of the config's")
    parser.add_argument("--steps", type=int, default=20, help="of a run")
    parser.add_argument("--runs", type=int, default=1, help="in a results file")
    parser.add_argument("--pairs", type=int, default=20, help="of the same binary")
    parser.add_argument("--slowed", type=int, default=20, help="pairs of which the second is slowed down")
    parser.add_argument("--percent", type=float, default=5, help="by how much")
    parser.add_argument("--realtime", action="store_true", help="compute before all others on a busy machine (root)")
    parser.add_argument("--snug", default=os.environ.get("SNUG", "build/release/bin/snug"))
    parser.add_argument("--out", type=pathlib.Path)
    parser.epilog = "Further options of snug stand behind --."
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:split])
    options.more = sys.argv[split + 1:]
    options.snug = str(pathlib.Path(options.snug).absolute())
    return options


def main():
    options = parse()
    if options.realtime:
        go_first()
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(options, pathlib.Path(folder))
        same = judge.pairs(options.pairs, 0)
        slowed = judge.pairs(options.slowed, options.percent)
    no_change = sum(pair["change"] == "none" and pair["exit_code"] == 0 for pair in same)
    seen = sum(pair["change"] == "slower" and pair["exit_code"] == 7 for pair in slowed)
    report = conditions("bench/compare_truth.py") | {
        "config": options.config, "batch": options.batch, "steps": options.steps, "runs": options.runs,
        "realtime": options.realtime, "percent": options.percent, "no_change": no_change, "pairs": len(same),
        "seen": seen, "slowed_pairs": len(slowed), "snug": judge.snug_conditions, "same": same, "slowed": slowed}
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"no change: {no_change} of {len(same)}; {options.percent:g} % seen: {seen} of {len(slowed)}")
    sys.exit(0 if no_change >= LEAST_SHARE * len(same) and seen >= LEAST_SHARE * len(slowed) else 1)


main()
