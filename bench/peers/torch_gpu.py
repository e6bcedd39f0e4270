#!/usr/bin/env python3
"""A training step in PyTorch on a GPU, timed; prints one line of JSON.

  torch_gpu.py MODEL BATCH PRECISION VARIANT [--seconds S] [--device cuda]

MODEL is a name of torch_peer.py; PRECISION fp32, tf32 or bf16; VARIANT eager, graph (the whole step as one CUDA graph),
compile (torch.compile) or reduce-overhead. Data lie on the device, channels last; SGD with momentum, fused. On the
CPU, eager alone runs: it shows that this file works.
"""

import argparse
import json
import time

import torch
from torch import nn

from torch_peer import DECAY, MOMENTUM, RATE, make

WARM_UP = 5


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("batch", type=int)
    parser.add_argument("precision", choices=["fp32", "tf32", "bf16"])
    parser.add_argument("variant", choices=["eager", "graph", "compile", "reduce-overhead"])
    parser.add_argument("--seconds", type=float, default=4, help="of steps that are timed")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    return parser.parse_args()


class Step:
    """Forward, backward and update of one batch that does not change."""

    def __init__(self, options):
        self.device = torch.device(options.device)
        self.lower = options.precision == "bf16"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.precision == "tf32"
        torch.backends.cudnn.benchmark = True
        net, extents, classes = make(options.model)
        self.net = net.to(self.device, memory_format=torch.channels_last)
        self.images = torch.randn(options.batch, *extents).to(self.device, memory_format=torch.channels_last)
        self.labels = torch.randint(classes, (options.batch,), device=self.device)
        fused = self.device.type == "cuda"
        self.optimizer = torch.optim.SGD(self.net.parameters(), RATE, MOMENTUM, weight_decay=DECAY, nesterov=True,
                                         fused=fused)
        self.loss = nn.CrossEntropyLoss()
        self.run = self.net
        if options.variant == "compile":
            self.run = torch.compile(self.net)
        if options.variant == "reduce-overhead":
            self.run = torch.compile(self.net, mode="reduce-overhead")

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.lower):
            loss = self.loss(self.run(self.images), self.labels)
        loss.backward()
        self.optimizer.step()


def as_graph(step):
    """The step recorded once; a replay runs it whole."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    step.optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def measure(step, device, seconds):
    """Milliseconds of a step: medians would hide what the host does between steps, so whole stretches are timed."""
    wait(device)
    begin = time.perf_counter()
    step()
    wait(device)
    count = max(3, min(500, int(seconds / 5 / max(time.perf_counter() - begin, 1e-5))))
    stretches = []
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(count):
            step()
        wait(device)
        stretches.append(1e3 * (time.perf_counter() - begin) / count)
    return sorted(stretches)


def main():
    options = parse()
    began = time.perf_counter()
    torch.manual_seed(1)
    step = Step(options)
    run = as_graph(step) if options.variant == "graph" else step
    for _ in range(WARM_UP):
        run()
    wait(step.device)
    start = time.perf_counter() - began
    stretches = measure(run, step.device, options.seconds)
    median = stretches[len(stretches) // 2]
    peak = torch.cuda.max_memory_allocated() if step.device.type == "cuda" else 0
    print(json.dumps({"program": "torch", "variant": options.variant, "version": torch.__version__,
                      "model": options.model, "batch": options.batch, "precision": options.precision, "ms": median,
                      "ms_all": stretches, "images_per_second": 1e3 * options.batch / median, "start_seconds": start,
                      "peak_bytes": peak}))


if __name__ == "__main__":
    main()
