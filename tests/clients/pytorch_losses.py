"""Losses of PyTorch for small nets, one feature each, into pytorch_losses.json.

Weights, images and labels come from a formula that the replaying test computes too, so that it needs no PyTorch:
element i of tensor number t is shift + scale · (((i + 1) · 2654435761 + (t + 1) · 40503 · 65537) mod 2^32 ÷ 2^32 − ½),
rounded to fp32. Parameters are numbered in the order of their names; images are tensor 1000, labels tensor 1001.
"""

import json
import math
import pathlib
import sys
import tomllib

import numpy
import torch

import pytorch_cases
import pytorch_net

SAMPLES = 36  # with batch 8: four whole batches and one of four


def formula(number, shape, scale, shift):
    i = numpy.arange(int(numpy.prod(shape)), dtype=numpy.uint64) + numpy.uint64(1)
    word = (i * numpy.uint64(2654435761) + numpy.uint64((number + 1) * 40503 * 65537)) % numpy.uint64(2**32)
    values = shift + scale * (word.astype(numpy.float64) / 2.0**32 - 0.5)
    return values.astype(numpy.float32).reshape(shape)


def fill(net):
    """Gives every tensor its values; returns what the replay needs to do the same."""
    tensors = []
    named = {**net.parameters, **net.buffers}
    for number, name in enumerate(sorted(named)):
        shape = list(named[name].shape)
        kind = net.kinds.get(name, "buffer")
        if kind == "weight":
            fan_in = int(numpy.prod(shape[1:]))
            scale, shift = 2 * math.sqrt(3.0 / fan_in), 0.0
        elif kind == "buffer":
            scale, shift = 0.0, 1.0 if name.endswith("running_var") else 0.0
        else:
            scale, shift = 0.2, 1.0 if kind == "norm_weight" else 0.0
        named[name].data = torch.from_numpy(formula(number, shape, scale, shift))
        tensors.append({"name": name, "number": number, "shape": shape, "scale": scale, "shift": shift})
    return tensors


def labels_of(config, outputs):
    """Class numbers, or rows, by the loss."""
    loss = config["train"].get("loss", "sparse_categorical_crossentropy")
    numbers = (formula(1001, [SAMPLES], outputs, outputs / 2).astype(numpy.int64)) % outputs
    if loss == "sparse_categorical_crossentropy":
        return "numbers", torch.from_numpy(numbers)
    if loss == "categorical_crossentropy":
        return "one_hot", torch.nn.functional.one_hot(torch.from_numpy(numbers), outputs).float()
    rows = formula(1001, [SAMPLES, outputs], 1.0, 0.5)
    if loss == "binary_crossentropy":
        return "ones", torch.from_numpy((rows > 0.5).astype(numpy.float32))
    return "floats", torch.from_numpy(rows)


def run(text):
    config = tomllib.loads(text)
    torch.manual_seed(0)
    net = pytorch_net.Net(config)
    tensors = fill(net)
    h, w, c = config["model"]["input"]
    images = torch.from_numpy(formula(1000, [SAMPLES, h, w, c], 2.0, 0.0)).permute(0, 3, 1, 2).contiguous()
    outputs = net.logits(images[:1]).shape[1]
    kind, labels = labels_of(config, outputs)

    train = config["train"]
    batch, parts = train["batch"], train.get("accumulate", 1)
    steps_per_epoch = math.ceil(SAMPLES / batch)
    net.training, net.freeze_stats = True, train.get("freeze_stats", False)
    optimizer = pytorch_net.optimizer_of(config, net)
    scheduler = pytorch_net.scheduler_of(config, optimizer, steps_per_epoch)
    average = {n: p.detach().clone() for n, p in net.parameters.items()}
    losses, rates = [], []
    for _ in range(train["epochs"]):
        for first in range(0, SAMPLES, batch):
            x, y = images[first:first + batch], labels[first:first + batch]
            optimizer.zero_grad()
            total = 0.0
            for xs, ys in zip(torch.tensor_split(x, min(parts, len(x))), torch.tensor_split(y, min(parts, len(x)))):
                loss = pytorch_net.loss_of(config, net.logits(xs), ys) * (len(xs) / len(x))
                loss.backward()
                total += loss.item()
            if "clip_norm" in train:
                torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], train["clip_norm"])
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
            losses.append(total)
            if "ema" in train:
                for n, p in net.parameters.items():
                    average[n].mul_(train["ema"]).add_(p.detach(), alpha=1 - train["ema"])
    net.training = False
    if "ema" in train:
        for n, p in net.parameters.items():
            p.data = average[n]
    smoothed = dict(config, train={k: v for k, v in train.items() if k not in ("label_smoothing", "class_weights")})
    with torch.no_grad():
        final = pytorch_net.loss_of(smoothed, net.logits(images), labels).item()
    return {"config": text, "tensors": tensors, "labels": kind, "outputs": outputs, "losses": losses, "rates": rates,
            "evaluation": final}


def main():
    cases = {name: run(text) for name, text in pytorch_cases.cases().items()}
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "pytorch_losses.json")
    recorded = {"torch": torch.__version__.split("+")[0], "samples": SAMPLES, "cases": cases}
    out.write_text(json.dumps(recorded, indent=1) + "\n")
    print(f"{len(cases)} cases, losses {min(c['losses'][-1] for c in cases.values()):.4f} to "
          f"{max(c['losses'][-1] for c in cases.values()):.4f}, written to {out}")


if __name__ == "__main__":
    main()
