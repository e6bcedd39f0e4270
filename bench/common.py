"""What the benchmarks of this folder share."""

import datetime
import json
import os
import pathlib
import platform
import shlex
import sys

# name: batch. The config is configs/models/NAME.toml; the peers know the name.
BATCHES = {"lenet": 128, "resnet18-cifar": 64, "resnet50": 16, "mobilenet_v2": 16, "efficientnet_b0": 16,
           "densenet121": 16}


def go_first():
    """This process and those it starts run before all of ordinary priority: a busy machine times like a quiet one."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        sys.exit("--realtime needs root: run without it on a machine that does nothing else")


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def conditions(script):
    """When, where and how figures were taken; `script` is the benchmark as it is called from the project's root."""
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "processor": processor(), "cores": os.cpu_count(), "system": platform.platform(),
            "command": shlex.join([script, *sys.argv[1:]])}


class Results:
    """A results file that is gone on with: {conditions…, "runs": […]}, whole after each run. A run that was made
    another day or elsewhere carries its own conditions."""

    def __init__(self, path, made):
        self.path, self.made = path, made
        self.report = json.loads(path.read_text()) if path.exists() else {**made, "runs": []}

    def of(self, wanted):
        """The runs that have these values."""
        return [run for run in self.report["runs"] if all(run.get(key) == value for key, value in wanted.items())]

    def add(self, run):
        other = {key: value for key, value in self.made.items() if self.report[key] != value and key != "date"}
        self.report["runs"].append(run | ({"made": other} if other else {}))
        self.write()

    def write(self):
        unfinished = self.path.with_suffix(".part")
        unfinished.write_text(json.dumps(self.report, indent=1) + "\n")
        unfinished.replace(self.path)
