"""What torchvision's models give for weights that a formula fills, into torchvision_models.json.

For every model of configs/models that torchvision has too: its number of parameters and a digest of the names and
shapes of its state dict, in order. For the nets of NETS besides, computed in double precision with 10 classes: the
loss, the logits, the gradients of one backward pass and, of training mode, the running statistics after it. Of
gradients and statistics the norm and a weighted sum stand for the tensor, with how far PyTorch's own single precision
is from it, and its bf16 (autocast); of logits the latter is recorded too. Both modes have dropout and stochastic depth
switched off. See torchvision_test.cpp.
"""

import json
import math
import pathlib
import re
import sys

import numpy
import torch
import torchvision

NAMES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d", "vgg16", "vgg16_bn", "mobilenet_v2",
         "densenet121", "efficientnet_b0", "squeezenet1_1", "alexnet"]
NETS = ["resnet18", "resnet50", "resnext50_32x4d", "vgg16_bn", "mobilenet_v2", "densenet121", "efficientnet_b0",
        "squeezenet1_1"]
SIZE, COARSE, BATCH, CLASSES = 64, 8, 4, 10
IMAGES, LABELS, NOISE, DIGEST = 1000, 1001, 1002, 2000  # numbers in the formula; DIGEST is added to a tensor's own
CHUNK = 1 << 22


def formula(number, shape, scale, shift):
    """See pytorch_losses.py; in pieces, because a piece of work takes eight times the memory of its result."""
    count = math.prod(shape)
    values = numpy.empty(count, numpy.float32)
    for begin in range(0, count, CHUNK):
        i = numpy.arange(begin, min(begin + CHUNK, count), dtype=numpy.uint64) + numpy.uint64(1)
        word = (i * numpy.uint64(2654435761) + numpy.uint64((number + 1) * 40503 * 65537)) % numpy.uint64(2**32)
        values[begin:begin + CHUNK] = shift + scale * (word.astype(numpy.float64) / 2.0**32 - 0.5)
    return values.reshape(shape)


def digest_of_names(state):
    """FNV-1a over "name 64,3,7,7\\n" of every tensor."""
    word = 0xCBF29CE484222325
    for name, shape in state:
        for byte in f"{name} {','.join(map(str, shape))}\n".encode():
            word = ((word ^ byte) * 0x100000001B3) % 2**64
    return f"{word:016x}"


def state_of(net):
    return {n: t for n, t in net.state_dict().items() if not n.endswith("num_batches_tracked")}


def filling(model, name, shape, norm):
    """[scale, shift, gap] of a tensor: shift + scale · formula, then moved away from 0 by the gap.

    Weights keep the size of what passes through. Batch statistics of a small batch would make nets chaotic: rounding
    would be amplified until PyTorch's own precisions disagree. So norms are narrow and their biases keep what they give
    away from the kinks of the activations, mostly; where a sum or a second kink follows, on the positive side.
    """
    part = name.rpartition(".")[2]
    if len(shape) > 1:
        return [2 * math.sqrt(6.0 / math.prod(shape[1:])) * (0.25 if len(shape) == 2 else 1.0), 0.0, 0.0]
    if part == "running_var":
        return [0.2, 1.0, 0.0]
    if not norm or part == "running_mean":
        return [0.2, 0.0, 0.0]
    module = name.rpartition(".")[0]
    linear = model == "mobilenet_v2" and module.endswith(("conv.3", "features.1.conv.2"))
    if linear or model == "efficientnet_b0":
        return [0.2, 1.0, 0.0] if part == "weight" else [0.2, 0.0, 0.0]
    if part == "weight":
        return [0.1, 0.5, 0.0]
    last = ("bn2", "downsample.1") if model == "resnet18" else ("bn3", "downsample.1")
    return [1.0, 2.0, 0.0] if model == "mobilenet_v2" or module.endswith(last) else [2.0, 0.0, 1.5]


def filled(number, shape, scale, shift, gap):
    values = torch.from_numpy(formula(number, shape, scale, shift))
    return values + torch.where(values < 0, -gap, gap) if gap else values


def fill(model, net):
    """Numbers of the tensors, and how each one was filled."""
    norms = {n for n, m in net.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    state = state_of(net)
    numbers = {name: number for number, name in enumerate(sorted(state))}
    fillings = {n: filling(model, n, list(t.shape), n.rpartition(".")[0] in norms) for n, t in state.items()}
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(filled(numbers[name], list(tensor.shape), *fillings[name]))
    return numbers, fillings


def make_images():
    """NHWC: coarse squares, which survive the pools and tell the samples apart, and some noise."""
    coarse = formula(IMAGES, [BATCH, COARSE, COARSE, 3], 2.0, 0.0)
    coarse = coarse.repeat(SIZE // COARSE, axis=1).repeat(SIZE // COARSE, axis=2)
    return coarse + formula(NOISE, [BATCH, SIZE, SIZE, 3], 1.0, 0.0)


def weighted_sum(number, values):
    total = 0.0
    weights = torch.from_numpy(formula(DIGEST + number, [values.numel()], 1.0, 0.0))
    for begin in range(0, values.numel(), CHUNK):
        total += torch.dot(values[begin:begin + CHUNK].double(), weights[begin:begin + CHUNK].double()).item()
    return total


def digests(numbers, exact, *others):
    """[norm, weighted sum, how far each of PyTorch's other precisions is] of every tensor."""
    result = {}
    for name, tensor in exact.items():
        values = tensor.flatten()
        errors = [(values - other[name].flatten().double()).norm().item() for other in others]
        result[name] = [short(values.norm().item(), 7), short(weighted_sum(numbers[name], values), 7),
                        *(short(error, 2) for error in errors)]
    return result


def short(value, digits):
    return float(f"{value:.{digits}g}")


def make_net(name):
    torch.manual_seed(0)
    net = torchvision.models.get_model(name, num_classes=CLASSES)
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torchvision.ops.StochasticDepth):
            module.p = 0.0
    return net


def pass_through(net, training, bf16=False):
    """Loss, logits, gradients and running statistics of one pass."""
    dtype = next(net.parameters()).dtype
    net.train(training)
    net.zero_grad(set_to_none=True)
    images = torch.from_numpy(make_images()).permute(0, 3, 1, 2).to(dtype)
    labels = torch.from_numpy(formula(LABELS, [BATCH], CLASSES, CLASSES / 2).astype(numpy.int64)) % CLASSES
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = net(images).to(dtype)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    return (loss.item(), logits.detach(), {n: p.grad for n, p in net.named_parameters()},
            {n: t.clone() for n, t in state_of(net).items() if ".running_" in n})


def compute(model):
    exact, single, half = make_net(model).double(), make_net(model), make_net(model)
    numbers, fillings = fill(model, exact)
    fill(model, single)
    fill(model, half)
    case = {"fillings": fillings}
    distances = []
    for mode in ("evaluation", "training"):
        loss, logits, gradients, statistics = pass_through(exact, mode == "training")
        _, logits32, gradients32, statistics32 = pass_through(single, mode == "training")
        _, logits16, gradients16, statistics16 = pass_through(half, mode == "training", bf16=True)
        distances.append(((logits - logits32).abs().max() / logits.abs().max()).item())
        case[mode] = {"loss": short(loss, 9), "logits": [[short(x, 7) for x in row] for row in logits.tolist()],
                      "logits_bf16": short(((logits - logits16).norm() / logits.norm()).item(), 2),
                      "gradients": digests(numbers, gradients, gradients32, gradients16)}
        whole = math.sqrt(sum(g[0]**2 for g in case[mode]["gradients"].values()))
        for place in (2, 3):
            distances.append(max(g[place] / g[0] for g in case[mode]["gradients"].values() if g[0] > 1e-4 * whole))
        distances.append(case[mode]["logits_bf16"])
    case["training"]["statistics"] = digests(numbers, statistics, statistics32, statistics16)
    print(f"{model:16} " + " ".join(f"{value:.1e}" for value in distances), flush=True)
    return case


def text_of(recorded):
    """JSON with a list of numbers in one line."""
    text = json.dumps(recorded, indent=1)
    return re.sub(r"\[\s+([-0-9.e+,\s]+?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text) + "\n"


def main():
    torch.set_num_threads(2)
    states = {}
    for name in NAMES:
        with torch.device("meta"):
            net = torchvision.models.get_model(name)
        state = [(n, list(t.shape)) for n, t in state_of(net).items()]
        states[name] = {"parameters": sum(p.numel() for p in net.parameters()), "tensors": len(state),
                        "digest": digest_of_names(state)}
    print("how far PyTorch's precisions are from its double, in evaluation and training: logits and gradients in single, "
          "gradients and logits in bf16")
    cases = {model: compute(model) for model in NETS}
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "torchvision_models.json")
    recorded = {"torch": torch.__version__.split("+")[0], "torchvision": torchvision.__version__.split("+")[0],
                "size": SIZE, "coarse": COARSE, "batch": BATCH, "classes": CLASSES, "state_dicts": states,
                "cases": cases}
    out.write_text(text_of(recorded))
    print(f"{len(cases)} nets and {len(states)} state dicts written to {out}")


if __name__ == "__main__":
    main()
