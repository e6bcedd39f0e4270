"""Runs that do not fit, by the dozen: what each remedy says is done as a user would, and planned again: it must fit."""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import nets

MODELS = ["lenet", "resnet18-cifar", "resnet18", "mobilenet_v2", "squeezenet1_1", "resnet50", "vgg16"]
SIZES = [[64, 256, 1024, 4096], [32, 64, 96]]  # batches, sides of pictures
MOST_LINES = 30


def plan(program, words, json_wanted=True):
    command = [program, "plan", *words, *(["--json"] if json_wanted else [])]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode not in (0, 4):
        raise RuntimeError(f"{shlex.join(command)}: exit code {run.returncode}: {(run.stdout + run.stderr)[:300]}")
    return run.returncode, json.loads(run.stdout) if json_wanted else run.stdout


class Case:
    """A run that is asked for, with options beside its config; pasting a remedy gives another."""

    def __init__(self, source, options, settings):
        self.source, self.options, self.settings = source, options, settings

    def words(self, folder):
        path = self.source
        if isinstance(path, nets.Config):
            path = folder / "c.toml"
            path.write_text(self.source.text())
        settings = [word for key, value in self.settings.items() for word in ("--set", f"{key}={value}")]
        return [str(path), *(word for pair in self.options.items() for word in pair), *settings]

    def with_remedy(self, change):
        source = self.source.copy() if isinstance(self.source, nets.Config) else self.source
        options, settings = dict(self.options), dict(self.settings)
        for line in change.split("\n"):
            key, _, value = line.partition(" = ")
            options.pop({"train.batch": "--batch", "memory.budget": "--budget"}.get(key), None)
            if isinstance(source, nets.Config):
                settings.pop(key, None)
                source.paste(line)
            else:
                settings[key] = value
        return Case(source, options, settings)


def random_case(rng, program, folder, profiles):
    """A run, most often one that does not fit."""
    device = rng.choice(["cpu", *profiles])
    if rng.random() < 0.5:
        source = nets.random_config(rng, *SIZES, bf16=False)
    else:
        source = pathlib.Path("configs/models") / f"{rng.choice(MODELS)}.toml"
    settings = {}
    if not isinstance(source, nets.Config):
        settings = {"memory.strategy": rng.choice(nets.STRATEGIES), "train.optimizer": nets.optimizer(rng)}
        settings["train.batch"] = str(rng.choice([16, 100, 256, 1000]))
        if rng.random() < 0.2:
            settings["train.precision"] = "fp32"
    options = {} if device == "cpu" else {"--device": device}
    case = Case(source, options, settings)
    free = plan(program, Case(source, options | {"--budget": "1000GiB"}, settings).words(folder))[1]
    kind = rng.choice(["budget", "budget", "set", "arena", "workspace", "card"])
    share = rng.choice([0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])
    if kind == "budget":
        options["--budget"] = str(int(share * free["total_bytes"]))
    elif kind == "set":
        settings["memory.budget"] = f"{max(1, int(share * free['total_bytes']) >> 20)}MiB"
    elif kind == "arena":
        options["--arena-budget"] = str(int(share * sum(free["allocated"].values())))
    elif kind == "workspace":
        settings["memory.workspace"] = f"{rng.choice([1, 64, 4096])}KiB"
        options["--budget"] = str(int(1.1 * free["total_bytes"]))
    else:
        options["--batch"] = str(rng.choice([2000, 10000, 30000]))
        if device == "cpu":  # what is free here changes with the neighbours
            options["--budget"] = "1GiB"
    return case


def check(program, folder, case, refused):
    """What is wrong with the answer to a case that was refused."""
    faults = []
    remedies = refused["remedies"]
    costs = [remedy["estimated_slowdown"] for remedy in remedies]
    if costs != sorted(costs):
        faults.append("remedies are not sorted by slowdown")
    for remedy in remedies:
        pasted = case.with_remedy(remedy["change"])
        try:
            code, answer = plan(program, pasted.words(folder))
        except RuntimeError as error:
            faults.append(f"{remedy['change']!r}: {error}")
            continue
        if code != 0 or not answer["fits"]:
            faults.append(f"{remedy['change']!r} does not fit: short by {answer.get('short_by_bytes')}")
        elif answer["total_bytes"] != remedy["total_bytes"]:
            faults.append(f"{remedy['change']!r} takes {answer['total_bytes']}, not {remedy['total_bytes']}")
    for name in refused["fits_on"]:
        other = Case(case.source, case.options | {"--device": name}, case.settings)
        if plan(program, other.words(folder))[0] != 0:
            faults.append(f"it does not fit on {name}")
    lines = plan(program, case.words(folder), json_wanted=False)[1].count("\n")
    if lines > MOST_LINES:
        faults.append(f"{lines} lines of text")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=100, help="refusals")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--devices", default="t4,rtx3060ti,rtx4090,a100-40gb,h100-80gb")
    parser.add_argument("--small", action="store_true", help="small networks on two devices, for a quick look")
    options = parser.parse_args()
    if options.small:
        MODELS[:] = ["lenet", "squeezenet1_1"]
        SIZES[:] = [[32, 256], [16, 32]]
        options.devices = "t4"
    rng = nets.generator(options.seed)
    began, refusals, pasted, none, asked, failed, kinds = time.time(), 0, 0, 0, 0, 0, {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        while refusals < options.count:
            asked += 1
            case = random_case(rng, options.program, folder, options.devices.split(","))
            code, answer = plan(options.program, case.words(folder))
            if code == 0:
                continue
            refusals += 1
            pasted += len(answer["remedies"])
            none += not answer["remedies"]
            for remedy in answer["remedies"]:
                keys = " + ".join(line.partition(" = ")[0] for line in remedy["change"].split("\n"))
                kinds[keys] = kinds.get(keys, 0) + 1
            for fault in check(options.program, folder, case, answer):
                failed += 1
                print(f"FAILED {shlex.join(case.words(folder))}: {fault}", flush=True)
                if isinstance(case.source, nets.Config):
                    print(case.source.text(), flush=True)
    for keys, count in sorted(kinds.items(), key=lambda item: -item[1]):
        print(f"  {count:4} {keys}")
    print(f"{refusals} refusals of {asked} plans, {none} without a remedy, {pasted} remedies pasted, {failed} failed, "
          f"{time.time() - began:.0f} s")
    sys.exit(failed > 0)


main()
