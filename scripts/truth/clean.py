"""False alarms: what `snug check` says of runs that are as they should be."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import nets

SMALL = {"lenet", "resnet9", "resnet18-cifar", "squeezenet1_1"}
MODELS = ["alexnet", "densenet121", "efficientnet_b0", "lenet", "mobilenet_v2", "resnet101", "resnet18-cifar",
          "resnet18", "resnet34", "resnet50", "resnet9", "resnext50_32x4d", "squeezenet1_1", "vgg16", "vgg16_bn"]


class Count:
    def __init__(self, program, verbose):
        self.program, self.verbose = program, verbose
        self.runs, self.alarms, self.notes, self.seconds = 0, 0, {}, 0.0

    def check(self, name, words, text=""):
        begin = time.time()
        run = subprocess.run([self.program, "check", "--json", *words], capture_output=True, text=True)
        self.seconds += time.time() - begin
        self.runs += 1
        found = json.loads(run.stdout)["findings"] if run.stdout.startswith("{") else None
        if found is None:
            self.alarms += 1
            print(f"FAILED {name}: exit code {run.returncode}: {run.stderr[:300]}")
            return
        alarms = [f for f in found if f["severity"] != "note"]
        for finding in found:
            if finding["severity"] == "note":
                self.notes[finding["code"]] = self.notes.get(finding["code"], 0) + 1
        if alarms or run.returncode != 0:
            self.alarms += 1
            print(f"FAILED {name}: {json.dumps(alarms, ensure_ascii=False)}\n{text}")
        elif self.verbose:
            print(f"clean  {name} ({time.time() - begin:.1f} s)", flush=True)


def of_configs(count, data, folder):
    count.check("quickstart", ["configs/quickstart.toml"])
    sets = [("mnist", "mnist"), ("pneumonia", "medical"), ("catsdogs", "catsdogs")]
    for config, where in sets:
        if (data / where).is_dir():
            count.check(config, [f"configs/{config}.toml", "--data-root", str(data / where)])
        else:
            print(f"skipped {config}: {data / where} is not there")
    archive = data / "cifar10/cifar10-jpeg.tar.xz"
    if archive.exists():
        binary = folder / "cifar"
        subprocess.run([count.program, "data", "convert", str(archive), str(binary), "--quiet"], check=True)
        for config in ("cifar10", "cifar10-cpu"):
            count.check(config, [f"configs/{config}.toml", "--data-root", str(binary)])
    shapes = folder / "shapes"
    subprocess.run([count.program, "data", "synth", "--out", str(shapes), "--count", "400", "--val-count", "100",
                    "--size", "64", "--quiet"], check=True)
    count.check("finetune", ["configs/examples/finetune.toml", "--data-root", str(shapes)])
    count.check("data synth", [str(shapes / "config.toml")])


def of_models(count, folder, small):
    for model in MODELS:
        if small and model not in SMALL:
            continue
        path = folder / f"{model}.toml"
        text = (f'[data]\ntrain = {{ synthetic = "shapes", count = 64 }}\n[model]\n'
                f'file = "{pathlib.Path("configs/models").resolve()}/{model}.toml"\nclasses = 10\n'
                f'[train]\nbatch = 16\noptimizer = {{ name = "sgd", lr = 0.05, momentum = 0.9, weight_decay = 1e-4 }}\n')
        path.write_text(text)
        count.check(model, [str(path)], text)


def of_random(count, folder, number, seed):
    rng = nets.generator(seed)
    for i in range(number):
        config = nets.random_config(rng, [8, 16, 32, 64], [16, 32, 48], bf16=False)
        config.set("train.epochs", "2")
        path = folder / f"random{i}.toml"
        path.write_text(config.text())
        count.check(f"random {i}", [str(path)], config.text())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--random", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="small models only")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    data = pathlib.Path(os.environ.get("SNUG_TEST_DATA", "../shared/data"))
    count = Count(options.program, options.verbose)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        of_random(count, folder, options.random, options.seed)
        of_models(count, folder, options.small)
        if not options.small:
            of_configs(count, data, folder)
    notes = ", ".join(f"{number} × {code}" for code, number in sorted(count.notes.items()))
    print(f"{count.runs} checks, {count.alarms} false alarms, notes: {notes or 'none'}, {count.seconds:.0f} s")
    sys.exit(count.alarms > 0)


main()
