"""What the benchmarks of this folder share."""

import datetime
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
