"""What scripts/gpu_check.sh does: see there. Parts are functions of a Run that return what goes into the results."""

import argparse
import csv
import datetime
import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = 77

# model, batch, precision: what is compared with PyTorch, by how much each matters.
COMPARED = [("resnet50", 256, "bf16"), ("resnet18-cifar", 512, "bf16"), ("mobilenet_v2", 256, "bf16"),
            ("resnet18-cifar", 128, "bf16"), ("densenet121", 128, "bf16"), ("lenet", 128, "tf32"),
            ("vgg16", 128, "bf16"), ("efficientnet_b0", 128, "bf16"), ("resnet50", 128, "tf32")]
SMALL = [("lenet", 8, "fp32"), ("resnet18-cifar", 2, "fp32")]  # on the CPU
# The peer's variants, the one that was best elsewhere first: with little time it alone is run.
VARIANTS = {"lenet": ["graph", "eager"], "densenet121": ["graph", "eager", "reduce-overhead", "compile"]}
USUAL_VARIANTS = ["reduce-overhead", "graph", "compile", "eager"]


class Missing(Exception):
    """What a part needs is not here."""


class Run:
    """Commands, their time, and where the programs are."""

    def __init__(self, options):
        self.dry = options.dry_run
        self.cpu = options.on == "cpu"
        self.device = "cpu" if self.cpu else "cuda:0"
        self.seconds = options.seconds
        self.began = time.monotonic()
        self.snug, self.tests = programs()
        self.log = options.out / "gpu_check.log"
        self.failures = []

    def begin_part(self, name):
        self.began, self.failures = time.monotonic(), []
        say(f"== {name}")

    def left(self):
        return self.seconds - (time.monotonic() - self.began)

    def command(self, words, limit=None, env=None):
        """Standard output of a command; None where it failed, ran out of time, or nothing is run."""
        words = [str(word) for word in words]
        if self.dry:
            say("  " + " ".join(words))
            return None
        limit = min(limit or self.left(), self.left())
        if limit < 5:
            self.failures.append(f"no time was left for {words[0]} {' '.join(words[1:4])}")
            return None
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=limit, check=False,
                                  env={**os.environ, **(env or {})})
        except (subprocess.TimeoutExpired, OSError) as error:
            self.failures.append(f"{' '.join(words)[:120]}: {str(error)[-80:]}")
            return None
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(words)}\n{done.stdout[-20000:]}{done.stderr[-20000:]}\n")
        if done.returncode != 0:
            tail = (done.stdout + done.stderr).strip().splitlines()[-3:]
            self.failures.append(f"{' '.join(words)[:160]}: exit code {done.returncode}: {' | '.join(tail)[:300]}")
            return None
        return done.stdout

    def object(self, words, limit=None, env=None):
        """The JSON that a command prints on its last line."""
        text = self.command(words, limit, env)
        if text is None:
            return None
        try:
            return json.loads(text.strip().splitlines()[-1])
        except (ValueError, IndexError):
            self.failures.append(f"{' '.join(map(str, words))[:120]}: no JSON")
            return None

    def bench(self, model, batch, precision, *more, limit=150):
        config = find_config(model)
        return self.object([self.snug, "bench", "model", config, "--batch", batch, "--set",
                            f"train.precision=\"{precision}\"", "--device", self.device, "--json", *more], limit)

    def compared(self):
        return SMALL if self.cpu else COMPARED


def say(text):
    print(text, flush=True)


def programs():
    """snug and the GPU tests: of a bundle, or of a build."""
    bundled = ROOT / "snug"
    if bundled.is_file():
        return bundled, ROOT / "snug_gpu_test"
    builds = [os.environ.get("SNUG_BUILD", ""), ROOT / "build/cuda", ROOT / "build/release", ROOT / "build/test"]
    for build in builds:
        program = pathlib.Path(build) / "bin" / "snug"
        if str(build) and program.is_file():
            return program, program.with_name("snug_gpu_test")
    return pathlib.Path("snug"), pathlib.Path("snug_gpu_test")


def find_config(model):
    for path in (ROOT / "configs/models" / f"{model}.toml", ROOT / "configs" / f"{model}.toml"):
        if path.is_file():
            return path
    return pathlib.Path(f"configs/models/{model}.toml")


def tool(name, *folders):
    """A tool of NVIDIA's: on the path or where its packages put it."""
    found = shutil.which(name)
    for folder in folders:
        found = found or next((str(path) for path in sorted(pathlib.Path("/").glob(folder)) if path.is_file()), None)
    return found


# ---- parts ----------------------------------------------------------------------------------------------------------

def run_tests(run, pattern, prefix=(), limit=None, env=None):
    """Results of the GPU tests that match: how many passed, names of those that did not, and recorded properties."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        run.command([*prefix, run.tests, f"--gtest_filter={pattern}", f"--gtest_output=json:{report}"], limit, env)
        if not report.is_file():
            return {"passed": 0, "failed": [], "skipped": 0, "properties": {}}
        found = json.loads(report.read_text())
    known = {"name", "file", "line", "status", "result", "timestamp", "time", "classname", "failures", "skipped",
             "value_param", "type_param"}
    results = {"passed": 0, "failed": [], "skipped": 0, "seconds": found.get("time"), "properties": {}}
    for suite in found.get("testsuites", []):
        for test in suite.get("testsuite", []):
            name = f"{suite['name']}.{test['name']}"
            properties = {key: value for key, value in test.items() if key not in known}
            if properties:
                results["properties"][name] = properties
            if test.get("failures"):
                results["failed"].append({"test": name, "why": test["failures"][0].get("failure", "")[:600]})
            elif test.get("result") == "SKIPPED":
                results["skipped"] += 1
            else:
                results["passed"] += 1
    run.failures += [f"{failed['test']} failed" for failed in results["failed"]]
    return results


def part_sheet(run):
    """The device's property sheet, its limits, and what context and libraries take."""
    return {"version": run.object([run.snug, "version", "--json"], 30),
            "devices": run.object([run.snug, "devices", "--json"], 30),
            "tests": run_tests(run, "GpuSheet.*", limit=120),
            "limits": run.object([run.snug, "bench", "device", "--device", run.device, "--json"], 120),
            "driver": run.command(["nvidia-smi", "-q"], 30) if shutil.which("nvidia-smi") else None}


def part_tests(run):
    """Kernels against the reference, graphs against plain launches, whole trainings against the CPU."""
    return {"trainings": run_tests(run, "*GpuTraining*", limit=run.left() * 0.5),
            "agreement": run_tests(run, "*GpuAgreement*")}


def memory_row(report):
    planned, measured = report["planned_bytes"], report["measured_bytes"]
    return {"batch": report["batch"], "planned_bytes": planned, "measured_bytes": measured,
            "measured_share": measured / planned}


def part_memory(run):
    """Planned bytes against what the driver says is taken: never more, and at most 1 % less."""
    rows = []
    for model, batch, precision in run.compared():
        report = run.bench(model, batch, precision, "--steps", 2)
        if report is None:
            continue
        row = {"model": model, "precision": precision, **memory_row(report)}
        if not run.cpu and not 0.99 <= row["measured_share"] <= 1:
            run.failures.append(f"{model} {precision}: {row['measured_share']:.4f} of the plan was taken")
        rows.append(row)
    return {"rows": rows}


def part_fill(run):
    """Random configs, each with the largest batch that fits: to the last byte of the card, none may fail."""
    draw = random.Random(1)
    models = ["lenet", "resnet18-cifar", "resnet9", "resnet18", "squeezenet1_1", "mobilenet_v2", "resnet50"]
    precisions = ["fp32", "bf16", "fp16", "tf32"]
    if run.cpu:
        models, precisions = ["lenet"], ["fp32"]
    rows = []
    for number in range(2 if run.cpu else 100):
        model, precision = draw.choice(models), draw.choice(precisions)
        optimizer = draw.choice(["sgd", "adam"])
        share = 0.1 if run.cpu else 100
        words = [run.snug, "bench", "model", find_config(model), "--steps", 1, "--json", "--device", run.device,
                 "--set", "train.batch=\"max\"", "--set", f"train.precision=\"{precision}\"",
                 "--set", f"train.optimizer={{name=\"{optimizer}\", lr=0.01}}", "--set", f"memory.budget=\"{share}%\""]
        if run.left() < 20 and not run.dry:
            break
        report = run.object(words, 120)
        if report is not None:
            rows.append({"model": model, "precision": precision, "optimizer": optimizer, **memory_row(report)})
        if run.dry and number == 1:
            say("  … 100 of them")
            break
    return {"count": len(rows), "rows": rows}


def accuracy(run, precision, seed, folder):
    epochs = 1 if run.cpu else 8
    text = run.command([run.snug, "train", find_config("quickstart"), "--device", run.device, "--json", "--out",
                        pathlib.Path(folder) / f"{precision}-{seed}", "--epochs", epochs, "--set",
                        f"train.precision=\"{precision}\"", "--set", f"train.seed={seed}"], 120)
    events = [json.loads(line) for line in (text or "").splitlines() if line.startswith("{")]
    last = [event for event in events if event.get("event") == "epoch"]
    if not last:
        return None
    return {"precision": precision, "seed": seed, "val_accuracy": last[-1]["val_accuracy"],
            "images_per_second": last[-1]["images_per_second"],
            "done": next((event for event in events if event.get("event") == "done"), None)}


def part_train(run):
    """Trains on generated pictures, which a CPU learns to about 98 %, in every precision."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in (["fp32"] if run.cpu else ["bf16", "fp16", "tf32", "fp32"]):
            row = accuracy(run, precision, 1, folder)
            if row is None:
                continue
            rows.append(row)
            if not run.cpu and row["val_accuracy"] < 0.96:
                run.failures.append(f"{precision} learns {100 * row['val_accuracy']:.1f} % only")
            if row["done"] and row["done"]["step_allocations"] != 0:
                run.failures.append(f"{precision}: {row['done']['step_allocations']} allocations in steps")
    return {"rows": rows}


def part_bench(run):
    """Speed of whole steps and by layer and kind; the search for the best batch."""
    rows = []
    for model, batch, precision in run.compared():
        report = run.bench(model, batch, precision, "--steps", 2 if run.cpu else 60)
        if report is not None:
            rows.append(report)
    tuned = run.object([run.snug, "tune", find_config("resnet18-cifar"), "--device", run.device, "--json",
                        "--time-limit", 10 if run.cpu else 40, "--max-batch", 4 if run.cpu else 4096,
                        *([] if run.cpu else ["--set", "train.precision=\"bf16\""])], 120)
    return {"rows": rows, "tune": tuned}


def part_peers(run):
    """PyTorch beside Snug: Snug, then the peer's variants, then Snug again; the best of the peer counts."""
    peer = ROOT / "bench/peers/torch_gpu.py"
    if not run.dry and subprocess.run([sys.executable, "-c", "import torch, torchvision"], capture_output=True,
                                      check=False).returncode != 0:
        raise Missing("python3 has no torch and torchvision here")
    rows = []
    for model, batch, precision in run.compared():
        if run.left() < 30 and not run.dry:
            run.failures.append(f"no time was left for {model} {batch}")
            continue
        ours = [run.bench(model, batch, precision, "--steps", 2 if run.cpu else 60)]
        peers = []
        for variant in ["eager"] if run.cpu else VARIANTS.get(model, USUAL_VARIANTS):
            peers.append(run.object([sys.executable, peer, model, batch, precision, variant, "--device",
                                     "cpu" if run.cpu else "cuda", "--seconds", 1 if run.cpu else 3], 130))
        ours.append(run.bench(model, batch, precision, "--steps", 2 if run.cpu else 60))
        rows.append(compare(model, batch, precision, [one for one in ours if one], [one for one in peers if one]))
    return {"rows": rows}


def compare(model, batch, precision, ours, peers):
    row = {"model": model, "batch": batch, "precision": precision, "peers": peers}
    if ours:
        best = max(ours, key=lambda one: one["images_per_second"])
        row |= {"images_per_second": best["images_per_second"], "planned_bytes": best["planned_bytes"],
                "start_seconds": best.get("start", {}).get("seconds")}
    if ours and peers:
        first = max(peers, key=lambda one: one["images_per_second"])
        row |= {"best_peer": first["variant"], "peer_images_per_second": first["images_per_second"],
                "ratio": row["images_per_second"] / first["images_per_second"]}
    return row


def part_sanitizer(run):
    """compute-sanitizer over the tests that put every tensor into an allocation of its own."""
    found = tool("compute-sanitizer", "usr/local/cuda*/bin/compute-sanitizer",
                 "usr/local/cuda*/compute-sanitizer/compute-sanitizer")
    if found is None and not run.dry:
        raise Missing("compute-sanitizer is not here")
    results = {}
    for check, share in (("memcheck", 0.5), ("racecheck", 0.3), ("initcheck", 0.2)):
        prefix = [found or "compute-sanitizer", "--tool", check, "--target-processes", "all", "--error-exitcode", "9", "--print-limit", "20"]
        results[check] = run_tests(run, "*GpuAgreement*:-*conv*:*dense*", prefix, limit=run.seconds * share)
    return results


METRICS = {"gpu__time_duration.sum": "ns", "dram__throughput.avg.pct_of_peak_sustained_elapsed": "dram",
           "sm__throughput.avg.pct_of_peak_sustained_elapsed": "sm", "launch__registers_per_thread": "registers",
           "sm__warps_active.avg.pct_of_peak_sustained_active": "occupancy"}


def longest_kernels(text, count=5):
    """Of ncu's CSV: the kernels that take most of the time, with means of what limits them."""
    lines = text.splitlines()
    begin = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if begin is None:
        return []
    kernels = {}
    for row in csv.DictReader(io.StringIO("\n".join(lines[begin:]))):
        name = METRICS.get(row.get("Metric Name"))
        if name is None:
            continue
        value = float(row["Metric Value"].replace(",", ""))
        if name == "ns":
            value *= {"usecond": 1e3, "us": 1e3, "msecond": 1e6, "ms": 1e6}.get(row.get("Metric Unit"), 1)
        kernels.setdefault(row["Kernel Name"], {}).setdefault(name, []).append(value)
    rows = [{"kernel": name[:160], "launches": len(values.get("ns", [])), "us": sum(values.get("ns", [])) / 1e3,
             **{key: sum(some) / len(some) for key, some in values.items() if key != "ns"}}
            for name, values in kernels.items()]
    return sorted(rows, key=lambda row: -row["us"])[:count]


def part_ncu(run):
    """The five kernels that take most of a ResNet-50 step, and of a MobileNetV2 one: what limits them."""
    found = tool("ncu", "usr/local/cuda*/bin/ncu", "opt/nvidia/nsight-compute/*/ncu")
    if found is None and not run.dry:
        raise Missing("ncu is not here")
    results = {}
    for model in ("resnet50", "mobilenet_v2"):
        text = run.command([found or "ncu", "--csv", "--target-processes", "all", "--metrics", ",".join(METRICS), "--launch-count", 700, run.snug,
                            "bench", "model", find_config(model), "--batch", 64, "--steps", 1, "--device", run.device,
                            "--set", "train.precision=\"bf16\""], run.left() / 2, {"SNUG_DEVICE_CHECKS": "1"})
        results[model] = longest_kernels(text or "")
    return results


PARTS = {"sheet": part_sheet, "tests": part_tests, "memory": part_memory, "train": part_train, "bench": part_bench,
         "peers": part_peers, "fill": part_fill, "sanitizer": part_sanitizer, "ncu": part_ncu}


# ---- results --------------------------------------------------------------------------------------------------------

def device_name(run):
    """Of cuda:0, as the driver tells it; nothing where there is none."""
    if run.cpu or run.dry:
        return "cpu"
    try:
        found = subprocess.run([run.snug, "devices", "--json"], capture_output=True, text=True, check=True)
        devices = json.loads(found.stdout)["devices"]
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        say(f"snug does not start here: {error}")
        return None
    return next((device["name"] for device in devices if device["id"] == "cuda:0"), None)


def slug(name):
    words = "".join(c if c.isalnum() else " " for c in name.lower().replace("nvidia", "")).split()
    return "-".join(words) or "gpu"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def mib(count):
    return f"{count / 2**20:,.0f}"


def page(results):
    """The results for people."""
    parts = results["parts"]
    text = [f"# {results['device']}, {results['date']}\n"]
    rows = parts.get("peers", {}).get("rows", [])
    if rows:
        text.append("## Images a second beside PyTorch\n\n" + table(
            ["model, batch, precision", "Snug", "best of PyTorch", "which", "ratio"],
            [[f"{row['model']} {row['batch']} {row['precision']}", f"{row.get('images_per_second', 0):,.0f}",
              f"{row.get('peer_images_per_second', 0):,.0f}", row.get("best_peer", "–"),
              f"{row['ratio']:.2f}" if "ratio" in row else "–"] for row in rows]))
    rows = parts.get("bench", {}).get("rows", [])
    if rows:
        text.append("## Steps\n\n" + table(
            ["model, batch, precision", "images/s", "ms", "of FLOP limit", "of byte limit", "start s"],
            [[f"{row['model']} {row['batch']} {row['precision']}", f"{row['images_per_second']:,.0f}",
              f"{row['ms_per_step']:.3f}", f"{row['flops_share']:.0%}", f"{row['bytes_share']:.0%}",
              f"{row.get('start', {}).get('seconds', 0):.2f}"] for row in rows]))
    rows = parts.get("memory", {}).get("rows", []) + parts.get("fill", {}).get("rows", [])
    if rows:
        text.append("## Bytes: planned and taken\n\n" + table(
            ["model, batch, precision", "planned MiB", "taken MiB", "share"],
            [[f"{row['model']} {row['batch']} {row['precision']}", mib(row["planned_bytes"]),
              mib(row["measured_bytes"]), f"{row['measured_share']:.4f}"] for row in rows]))
    for model, kernels in parts.get("ncu", {}).items():
        if isinstance(kernels, list) and kernels:
            text.append(f"## Longest kernels of {model}\n\n" + table(
                ["kernel", "launches", "µs", "DRAM %", "SM %", "registers"],
                [[f"`{row['kernel'][:70]}`", row["launches"], f"{row['us']:.0f}", f"{row.get('dram', 0):.0f}",
                  f"{row.get('sm', 0):.0f}", f"{row.get('registers', 0):.0f}"] for row in kernels]))
    text.append("## Parts\n\n" + table(["part", "seconds", "what failed"], [
        [name, f"{part.get('seconds', 0):.0f}", part.get("skipped") or "<br>".join(part.get("failures", [])) or "–"]
        for name, part in parts.items()]))
    return "\n".join(text)


def write(path, text):
    whole = path.with_suffix(path.suffix + ".new")
    whole.write_text(text)
    whole.replace(path)


def run_part(run, name):
    """Whatever happens in a part stays in it."""
    run.begin_part(name)
    result = {}
    try:
        result = PARTS[name](run) or {}
    except Missing as missing:
        result = {"skipped": str(missing)}
        say(f"  SKIPPED: {missing}")
    except Exception as error:  # a fault of this script must not take the others' results with it
        run.failures.append(f"{type(error).__name__}: {error}")
    result["seconds"] = time.monotonic() - run.began
    result["failures"] = run.failures
    for failure in run.failures:
        say(f"  FAILED {failure}")
    return result


def parse():
    parser = argparse.ArgumentParser(prog="gpu_check.sh", description=__doc__)
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all"], metavar="PART", help=f"{', '.join(PARTS)}, or all")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--on", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench" / "results")
    return parser.parse_args()


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    run = Run(options)
    name = device_name(run)
    if name is None:
        say("SKIPPED: there is no GPU here (snug devices names none)")
        return SKIPPED
    date = datetime.date.today().isoformat()
    path = options.out / f"{slug(name)}-{date}.json"
    results = json.loads(path.read_text()) if path.is_file() else {"device": name, "date": date, "parts": {}}
    failed = False
    for part in PARTS if "all" in options.parts else options.parts:
        result = run_part(run, part)
        failed = failed or bool(result["failures"])
        if run.dry:
            continue
        results["parts"][part] = result
        write(path, json.dumps(results, indent=1) + "\n")
        write(path.with_suffix(".md"), page(results))
    if not run.dry:
        say(f"{path} and {path.with_suffix('.md').name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
