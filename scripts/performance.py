#!/usr/bin/env python3
"""Writes docs/performance.md: where the cost model of plans sees the time of a training step on a GPU, by kind of kernel,
beside the limit of the card and what PyTorch was measured to reach. Nothing here is measured on a GPU.

    scripts/performance.py [--check] [PROGRAM]    --check: the file is as it would be written
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/performance.md"
BEGIN, END = "<!-- tables: scripts/performance.py -->\n", "<!-- end of tables -->\n"

# Name, file, batch, precision, PyTorch's best of four ways on one H100 80GB, images a second (how it was measured stands
# in the document).
MODELS = [
    ("ResNet-50", "resnet50", 256, "bf16", 5718),
    ("VGG-16", "vgg16", 128, "bf16", 4471),
    ("MobileNetV2", "mobilenet_v2", 256, "bf16", 8974),
    ("EfficientNet-B0", "efficientnet_b0", 128, "bf16", 5823),
    ("DenseNet-121", "densenet121", 128, "bf16", 2421),
    ("ResNet-18 CIFAR", "resnet18-cifar", 512, "bf16", 75204),
    ("ResNet-18 CIFAR", "resnet18-cifar", 128, "bf16", 48865),
    ("LeNet", "lenet", 128, "tf32", 287202),
]
DEVICES = ["h100-80gb", "h200"]
COPY = {"h100-80gb": 3.01e12, "h200": 4.3e12}  # bytes a second of a copy, both directions counted: measured
PRODUCT = {"bf16": {"h100-80gb": 802e12, "h200": 790e12}, "tf32": {"h100-80gb": 396e12, "h200": 396e12}}

KINDS = ["convolutions, cuDNN", "depthwise, cuDNN", "fused 1×1, own", "norms", "pools", "elementwise", "input and loss",
         "weights"]


def kind_of(step, depthwise_layers):
    op = step["op"]
    if op.startswith("conv1x1"):
        return "fused 1×1, own"
    if op.startswith(("conv_", "dense_")):
        return "depthwise, cuDNN" if step["layer"] in depthwise_layers else "convolutions, cuDNN"
    if op.startswith("batchnorm"):
        return "norms"
    if "pool" in op:
        return "pools"
    if op.endswith("_update") or op == "gradient_norm" or (op == "cast" and not step["layer"]):
        return "weights"
    if op in ("normalize_input", "add_stats", "weight_sum") or "crossentropy" in op or "squared" in op:
        return "input and loss"
    return "elementwise"


def plan(program, model, device, batch, precision):
    command = [program, "plan", str(ROOT / f"configs/models/{model}.toml"), "--device", device, "--batch", str(batch),
               "--set", f"train.precision={precision}", "--json"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(command)}: {run.stdout}{run.stderr}")
    return json.loads(run.stdout)


def is_depthwise(layer):
    """Filters of 3×3 or 5×5 that see one channel: so many multiply-adds an output."""
    outputs = 1
    for extent in layer["output"]:
        outputs *= extent
    return layer["flops"] in (2 * 9 * outputs, 2 * 25 * outputs)


def totals(answer, batch, device, precision, has_depthwise):
    """By kind: seconds, FLOP and bytes an image; the least seconds that the card allows."""
    kinds = {kind: [0.0, 0, 0] for kind in KINDS}
    limit = 0.0
    grouped = {layer["name"] for layer in answer["layers"] if is_depthwise(layer)} if has_depthwise else set()
    for step in answer["steps"]:
        row = kinds[kind_of(step, grouped)]
        row[0] += step["seconds"] / batch
        row[1] += step["flops"] / batch
        row[2] += step["bytes"] / batch
        limit += max(step["flops"] / PRODUCT[precision][device], step["bytes"] / COPY[device]) / batch
    return kinds, limit


def number(value):
    """Three digits, in thousands."""
    return f"{float(f'{value:.3g}'):,.0f}"


def row(cells):
    return "| " + " | ".join(cells) + " |\n"


def head(cells):
    return row(cells) + "|" + "---|" * len(cells) + "\n"


def tables(program):
    speed = head(["model, batch, precision", "card", "planned img/s", "limit img/s", "PyTorch's best on an H100"])
    shares = head(["model, batch", "card", "µs an image"] + [f"{kind} %" for kind in KINDS])
    work = head(["model, batch", "GFLOP an image", "MB an image"] + [f"{kind} MB" for kind in KINDS])
    saved = head(["model", "MB an image without", "with", "norms and sums MB without", "with",
                  "1×1 convolutions fused"])
    for name, model, batch, precision, pytorch in MODELS:
        has_depthwise = "depthwise" in (ROOT / f"configs/models/{model}.toml").read_text()
        for device in DEVICES:
            answer = plan(program, model, device, batch, precision)
            kinds, limit = totals(answer, batch, device, precision, has_depthwise)
            seconds = sum(values[0] for values in kinds.values())
            label = f"{name}, {batch}"
            speed += row([f"{label}, {precision}", device, number(1 / seconds), number(1 / limit),
                          number(pytorch) if device == DEVICES[0] else ""])
            shares += row([label, device, f"{1e6 * seconds:.1f}"] +
                          [f"{100 * values[0] / seconds:.0f}" for values in kinds.values()])
            if device != DEVICES[0]:
                continue
            work += row([label, f"{sum(v[1] for v in kinds.values()) / 1e9:.2f}",
                         f"{sum(v[2] for v in kinds.values()) / 1e6:.1f}"] +
                        [f"{values[2] / 1e6:.1f}" for values in kinds.values()])
            fused = sum(step["op"] == "conv1x1_forward" for step in answer["steps"])
            if not fused:
                continue
            # fp16 has numbers of the same size, and no fused products.
            plain, _ = totals(plan(program, model, device, batch, "fp16"), batch, device, "bf16", has_depthwise)
            sweeps = [sum(k[kind][2] for kind in ("norms", "elementwise")) / 1e6 for k in (plain, kinds)]
            saved += row([label, f"{sum(v[2] for v in plain.values()) / 1e6:.1f}",
                          f"{sum(v[2] for v in kinds.values()) / 1e6:.1f}", f"{sweeps[0]:.1f}", f"{sweeps[1]:.1f}",
                          str(fused)])
    return "\n".join(["### Speed\n", speed, "### Time by kind of kernel\n", shares,
                      "### Arithmetic and bytes by kind of kernel\n", work, "### What fused products save\n", saved])


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    programs = [argument for argument in arguments if argument != "--check"]
    program = programs[0] if programs else str(ROOT / "build/release/bin/snug")
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    written = before + BEGIN + "\n" + tables(program) + "\n" + END + after
    if check and written != text:
        sys.exit("docs/performance.md is not what scripts/performance.py writes")
    DOCUMENT.write_text(written)


if __name__ == "__main__":
    main()
