"""Runs the programs that bench/compare_cpu.sh names in turns on one machine, and says how fast each is."""

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import signal
import statistics
import subprocess
import sys
import time

from common import BATCHES, conditions, go_first

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ROOT / "bench" / "peers"
WARM_UP_STEPS = 3
TURN_SECONDS = 0.4  # a turn is one step, or as many as last this long
TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count()

OPTIMIZER = '{ name = "sgd", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }'


def snug_program():
    return os.environ.get("SNUG", "build/release/bin/snug")


def snug_version():
    try:
        return json.loads(subprocess.check_output([snug_program(), "version", "--json"], cwd=ROOT))["version"]
    except OSError:
        return None


class Unavailable(Exception):
    """Why a program cannot take part."""


def snug_command(model, batch, precision, threads):
    return [snug_program(), "bench", "model", f"configs/models/{model}.toml", "--turns",
            "--json", "--batch", str(batch), "--threads", str(threads), "--set", f"train.optimizer={OPTIMIZER}",
            "--set", f"train.precision={precision}"]


def peer_command(script, variable, variant):
    def command(model, batch, precision, threads):
        python = os.environ.get(variable)
        if not python:
            raise Unavailable(f"{variable} names no interpreter that has it")
        return [python, str(PEERS / script), model, str(batch), precision, str(threads), variant]
    return command


PROGRAMS = {"snug": snug_command,
            "torch": peer_command("torch_peer.py", "SNUG_TORCH_PYTHON", "eager"),
            "torch-nchw": peer_command("torch_peer.py", "SNUG_TORCH_PYTHON", "nchw"),
            "torch-compile": peer_command("torch_peer.py", "SNUG_TORCH_PYTHON", "compile"),
            "tensorflow": peer_command("tensorflow_peer.py", "SNUG_TENSORFLOW_PYTHON", "graph"),
            "tensorflow-xla": peer_command("tensorflow_peer.py", "SNUG_TENSORFLOW_PYTHON", "xla")}


def busy_seconds():
    """Of all cores, by whomever."""
    user, nice, system, _, _, irq, softirq, steal = map(int, open("/proc/stat").readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


class Program:
    """A process that computes only during its turns and is stopped between them."""

    def __init__(self, name, command, options):
        self.name, self.command, self.milliseconds, self.turns = name, command, [], []
        # Compilers of torch.compile stay inside the process: nothing works while it is stopped.
        environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        try:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            raise Unavailable(str(error)) from error
        begin = time.monotonic()
        self.ready = self.read()
        self.start_seconds = time.monotonic() - begin

    def read(self):
        line = self.process.stdout.readline()
        answer = json.loads(line) if line.startswith("{") else {}
        if "ready" in answer or "ms" in answer:
            return answer
        _, error = self.process.communicate()
        findings = [finding["what"] for finding in answer.get("findings", []) if finding["severity"] == "error"]
        raise Unavailable("; ".join(findings) or (line + error).strip().splitlines()[-1][:200])

    def own_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_bytes(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmHWM"):
                return 1024 * int(line.split()[1])
        return 0

    def run(self, steps):
        """Milliseconds of each step, and the share of the machine that others took meanwhile."""
        self.process.send_signal(signal.SIGCONT)
        begin, busy, own = time.monotonic(), busy_seconds(), self.own_seconds()
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        milliseconds = self.read()["ms"]
        others = (busy_seconds() - busy) - (self.own_seconds() - own)
        elapsed = time.monotonic() - begin
        self.process.send_signal(signal.SIGSTOP)
        return milliseconds, max(0.0, others / (elapsed * CORES))

    def warm_up(self):
        self.run(WARM_UP_STEPS)
        milliseconds, _ = self.run(1)
        self.steps_a_turn = max(1, round(1e3 * TURN_SECONDS / milliseconds[0]))

    def turn(self):
        milliseconds, others = self.run(self.steps_a_turn)
        self.milliseconds += milliseconds
        self.turns.append({"ms": statistics.median(milliseconds), "others": round(others, 3),
                           "load": round(os.getloadavg()[0], 2)})

    def end(self):
        self.process.kill()  # also ends a stopped process
        self.process.wait()


def shown_command(command):
    """Without the folders of this machine."""
    first = pathlib.Path(command[0]).name
    return shlex.join([first, *(word.removeprefix(f"{ROOT}/") for word in command[1:])])


def figures(program, batch):
    ms = sorted(program.milliseconds)
    quarters = statistics.quantiles(ms, n=4) if len(ms) > 1 else ms * 3
    return {"program": program.name, "version": program.ready.get("version"), "command": shown_command(program.command),
            "images_per_second": batch * 1e3 / quarters[1], "ms": quarters[1], "ms_least": ms[0],
            "ms_quartiles": [quarters[0], quarters[2]], "steps": len(ms), "steps_a_turn": program.steps_a_turn,
            "start_seconds": round(program.start_seconds, 1), "peak_bytes": program.peak_bytes(),
            "others_share": statistics.median(turn["others"] for turn in program.turns), "turns": program.turns}


def ratio(row, snug):
    """How many times faster Snug is, by medians; quartiles of the ratios of single rounds."""
    rounds = [theirs["ms"] / ours["ms"] for theirs, ours in zip(row["turns"], snug["turns"])]
    quarters = statistics.quantiles(rounds, n=4) if len(rounds) > 1 else rounds * 3
    return {"by_medians": row["ms"] / snug["ms"], "by_least": row["ms_least"] / snug["ms_least"],
            "of_rounds": quarters}


def start(name, model, batch, precision, options):
    program = Program(name, PROGRAMS[name](model, batch, precision, options.threads), options)
    program.warm_up()
    return program


def compare(model, precision, options):
    batch = BATCHES[model]
    result = {"model": model, "batch": batch, "precision": precision, "programs": [], "skipped": {}}
    with contextlib.ExitStack() as stack:
        programs = []
        for name in options.programs:
            try:
                programs.append(start(name, model, batch, precision, options))
                stack.callback(programs[-1].end)
            except Unavailable as reason:
                result["skipped"][name] = str(reason)
                print(f"skipped: {name} for {model} {precision}: {reason}", flush=True)
        for turn in range(options.steps):
            first = turn % max(1, len(programs))  # nobody always follows the same neighbour
            for program in programs[first:] + programs[:first]:
                program.turn()
        result["programs"] = [figures(program, batch) for program in programs]
    snug = next((row for row in result["programs"] if row["program"] == "snug"), None)
    for row in result["programs"]:
        if snug and row is not snug:
            row["ratio"] = ratio(row, snug)
    return result


def show(result):
    print(f"\n{result['model']}, batch {result['batch']}, {result['precision']}; load {os.getloadavg()[0]:.1f}")
    print(f"  {'program':<15} {'img/s':>8} {'ms':>9} {'least':>9} {'quartiles':>19} {'peak MiB':>9} {'others':>7}"
          "  Snug is")
    for row in result["programs"]:
        low, high = row["ms_quartiles"]
        times = ""
        if "ratio" in row:
            by_medians, by_least, rounds = row["ratio"].values()
            times = f"{by_medians:.2f}× (least {by_least:.2f}×, rounds {rounds[0]:.2f}–{rounds[2]:.2f}×)"
        print(f"  {row['program']:<15} {row['images_per_second']:>8.1f} {row['ms']:>9.2f} {row['ms_least']:>9.2f} "
              f"{low:>9.2f} {high:>9.2f} {row['peak_bytes'] / 2**20:>9.0f} {100 * row['others_share']:>6.0f}%  {times}")
    sys.stdout.flush()


def processor_extensions():
    flags = next(line for line in open("/proc/cpuinfo") if line.startswith("flags")).split()
    return [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]


def parse():
    parser = argparse.ArgumentParser(prog="bench/compare_cpu.sh", description=__doc__)
    names = lambda text: text.split(",")
    parser.add_argument("--models", type=names, default=list(BATCHES))
    parser.add_argument("--precision", type=names, default=["fp32", "bf16"])
    parser.add_argument("--programs", type=names, default=["snug", "torch", "tensorflow"])
    parser.add_argument("--steps", type=int, default=15, help="turns of each program: a step, or 0.4 s of short steps")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--realtime", action="store_true", help="compute before all others on a busy machine (root)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench" / "results" / "cpu.json")
    parser.add_argument("--list", action="store_true", help="the models and programs there are")
    options = parser.parse_args()
    for given, known in ((options.models, BATCHES), (options.programs, PROGRAMS), (options.precision, ("fp32", "bf16"))):
        for name in given:
            if name not in known:
                parser.error(f"'{name}' is none of {', '.join(known)}")
    return options


def main():
    options = parse()
    if options.list:
        print("models:  ", ", ".join(f"{name} ({batch})" for name, batch in BATCHES.items()))
        print("programs:", ", ".join(PROGRAMS))
        return
    report = {**conditions("bench/compare_cpu.sh"), "extensions": processor_extensions(), "threads": options.threads,
              "realtime": options.realtime, "snug": snug_version(), "results": []}
    if options.realtime:
        go_first()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"{report['processor']} ({', '.join(report['extensions'])}), {options.threads} threads of {CORES} cores")
    for model in options.models:
        for precision in options.precision:
            report["results"].append(compare(model, precision, options))
            show(report["results"][-1])
            options.out.write_text(json.dumps(report, indent=1) + "\n")  # what is done stays if the rest is cut short
    print(f"\nothers: the share of the machine that other processes took during the turns. Figures: {options.out}")


main()
