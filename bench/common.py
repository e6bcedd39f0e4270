"""What the benchmarks of this folder share."""

import os
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
