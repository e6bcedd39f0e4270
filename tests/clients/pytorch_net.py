"""Snug's configs interpreted by PyTorch: the same layers, names and numerics from PyTorch's own operators.

An independent reading of the public contract, used to compare losses step by step. Tensors are NCHW here; names and
shapes of parameters are those of Snug's checkpoints.
"""

import math

import torch
import torch.nn.functional as F


def pair(value):
    return list(value) if isinstance(value, (list, tuple)) else [value, value]


def activate(x, name):
    return {
        None: lambda: x,
        "relu": lambda: F.relu(x),
        "relu6": lambda: F.relu6(x),
        "leaky_relu": lambda: F.leaky_relu(x, 0.01),
        "silu": lambda: F.silu(x),
        "gelu": lambda: F.gelu(x),
        "sigmoid": lambda: torch.sigmoid(x),
        "tanh": lambda: torch.tanh(x),
        "softmax": lambda: F.softmax(x, dim=1),
    }[name]()


def window_padding(padding, kernel, stride, dilation, size):
    """Pixels before and after, per axis."""
    if padding == "same":
        pads = []
        for k, s, d, n in zip(kernel, stride, dilation, size):
            total = max(0, (math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n)
            pads.append((total // 2, total - total // 2))
        return pads
    if padding == "valid":
        padding = 0
    return [(p, p) for p in pair(padding)]


class Net:
    """Builds on the first image: parameters are created by a shape pass, then filled by `fill`."""

    def __init__(self, config):
        self.model = config["model"]
        # A final softmax or sigmoid belongs to the loss where the loss has one of its own.
        loss = config["train"].get("loss", "sparse_categorical_crossentropy")
        self.fused = "softmax" if loss.endswith("categorical_crossentropy") else None
        self.fused = "sigmoid" if loss == "binary_crossentropy" else self.fused
        self.momentum = self.model.get("bn_momentum", 0.1)
        self.parameters, self.buffers, self.kinds = {}, {}, {}
        self.training, self.freeze_stats, self.building = False, False, True
        h, w, c = self.model["input"]
        self.logits(torch.zeros(2, c, h, w))
        self.building = False

    def parameter(self, name, shape, kind):
        if self.building:
            self.parameters[name] = torch.zeros(shape, requires_grad=True)
            self.kinds[name] = kind
        return self.parameters[name]

    def norm(self, x, path):
        c = x.shape[1]
        weight = self.parameter(path + ".weight", (c,), "norm_weight")
        bias = self.parameter(path + ".bias", (c,), "bias")
        if self.building:
            self.buffers[path + ".running_mean"] = torch.zeros(c)
            self.buffers[path + ".running_var"] = torch.ones(c)
        batch = self.training and not self.freeze_stats and not self.building
        return F.batch_norm(x, self.buffers[path + ".running_mean"], self.buffers[path + ".running_var"], weight, bias,
                            training=batch, momentum=self.momentum, eps=1e-5)

    def conv(self, x, layer, path, depthwise):
        channels = x.shape[1]
        kernel = pair(layer["depthwise"] if depthwise else layer["kernel"])
        filters = channels * layer.get("multiplier", 1) if depthwise else layer["conv"]
        groups = channels if depthwise else layer.get("groups", 1)
        stride, dilation = pair(layer.get("stride", 1)), pair(layer.get("dilation", 1))
        weight = self.parameter(path + ".weight", (filters, channels // groups, *kernel), "weight")
        bias = None
        if layer.get("bias", "norm" not in layer):
            bias = self.parameter(path + ".bias", (filters,), "bias")
        (top, bottom), (left, right) = window_padding(layer.get("padding", "valid"), kernel, stride, dilation, x.shape[2:])
        x = F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, stride, 0, dilation, groups)
        if "norm" in layer:
            x = self.norm(x, path + ".norm")
        return activate(x, layer.get("activation"))

    def pool(self, x, layer, kind):
        size = pair(layer[kind])
        stride = pair(layer.get("stride", size))
        padding = layer.get("padding", 0)
        ceil = layer.get("ceil", False)
        if padding in ("same", "valid"):
            (t, b), (l, r) = window_padding(padding, size, stride, [1, 1], x.shape[2:])
            if kind == "maxpool":
                return F.max_pool2d(F.pad(x, (l, r, t, b), value=-math.inf), size, stride)
            ones = F.pad(torch.ones_like(x), (l, r, t, b))
            return F.avg_pool2d(F.pad(x, (l, r, t, b)), size, stride) / F.avg_pool2d(ones, size, stride)
        if kind == "maxpool":
            return F.max_pool2d(x, size, stride, padding, ceil_mode=ceil)
        return F.avg_pool2d(x, size, stride, padding, ceil_mode=ceil, count_include_pad=False)

    def squeeze_excite(self, x, layer, path):
        c, r = x.shape[1], layer["squeeze_excite"]
        s = F.adaptive_avg_pool2d(x, 1)
        s = F.conv2d(s, self.parameter(path + ".reduce.weight", (r, c, 1, 1), "weight"),
                     self.parameter(path + ".reduce.bias", (r,), "bias"))
        s = activate(s, layer.get("activation", "relu"))
        s = F.conv2d(s, self.parameter(path + ".expand.weight", (c, r, 1, 1), "weight"),
                     self.parameter(path + ".expand.bias", (c,), "bias"))
        return x * torch.sigmoid(s)

    def layer(self, x, layer, path):
        if "conv" in layer:
            return self.conv(x, layer, path, depthwise=False)
        if "depthwise" in layer:
            return self.conv(x, layer, path, depthwise=True)
        if "dense" in layer:
            weight = self.parameter(path + ".weight", (layer["dense"], x.shape[1]), "weight")
            bias = self.parameter(path + ".bias", (layer["dense"],), "bias") if layer.get("bias", True) else None
            return activate(F.linear(x, weight, bias), layer.get("activation"))
        for kind in ("maxpool", "avgpool"):
            if kind in layer:
                return self.pool(x, layer, kind)
        if "global_avgpool" in layer:
            return x.mean(dim=(2, 3))
        if "adaptive_avgpool" in layer:
            return F.adaptive_avg_pool2d(x, pair(layer["adaptive_avgpool"]))
        if "flatten" in layer:
            return torch.flatten(x, 1)  # channels first: as checkpoints order dense weights
        if "dropout" in layer:
            assert layer["dropout"] == 0
            return x
        if "batchnorm" in layer:
            return activate(self.norm(x, path), layer.get("activation"))
        if "residual" in layer:
            body = self.sequence(x, layer["residual"], path + ".body")
            shortcut = self.sequence(x, layer.get("shortcut", []), path + ".shortcut")
            return activate(body + shortcut, layer.get("activation"))
        if "branches" in layer:
            parts = [self.sequence(x, b, f"{path}.branch{i}") for i, b in enumerate(layer["branches"])]
            return torch.cat(parts, dim=1)
        if "block" in layer:
            if "repeat" not in layer:
                return self.sequence(x, layer["block"], path)
            for turn in range(layer["repeat"]):
                x = self.sequence(x, layer["block"], f"{path}.{turn}")
            return x
        if "squeeze_excite" in layer:
            return self.squeeze_excite(x, layer, path)
        if "activation" in layer:
            return activate(x, layer["activation"])
        raise ValueError(f"unknown layer {layer}")

    def sequence(self, x, layers, prefix):
        for i, layer in enumerate(layers):
            x = self.layer(x, layer, f"{prefix}.{i}" if prefix else str(i))
        return x

    def logits(self, x):
        """What the loss reads."""
        layers = [dict(layer) for layer in self.model["layers"]]
        if self.fused and layers[-1].get("activation") == self.fused:
            if len(layers[-1]) == 1:
                layers.pop()
            else:
                del layers[-1]["activation"]
        return self.sequence(x, layers, "")


def loss_of(config, logits, labels):
    """labels: class numbers or rows, as the config's loss takes them."""
    train = config["train"]
    name, smoothing = train.get("loss", "sparse_categorical_crossentropy"), train.get("label_smoothing", 0.0)
    weights = torch.tensor(train["class_weights"]) if "class_weights" in train else None
    if name in ("sparse_categorical_crossentropy", "categorical_crossentropy"):
        return F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)
    if name == "binary_crossentropy":
        return F.binary_cross_entropy_with_logits(logits, labels * (1 - smoothing) + smoothing / 2)
    return F.mse_loss(logits, labels)


def optimizer_of(config, net):
    train = config["train"]
    spec = train["optimizer"]
    decay = spec.get("weight_decay", 0.0)
    frozen = train.get("freeze", [])
    trained = {n: p for n, p in net.parameters.items() if not any(n.startswith(f + ".") for f in frozen)}
    everything = train.get("decay_norm_and_bias", False)
    groups = [
        {"params": [p for n, p in trained.items() if everything or net.kinds[n] == "weight"], "weight_decay": decay},
        {"params": [p for n, p in trained.items() if not everything and net.kinds[n] != "weight"], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    lr = spec["lr"]
    if "lr_reference_batch" in train:
        lr *= train["batch"] / train["lr_reference_batch"]
    if spec["name"] == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=spec.get("momentum", 0.0), nesterov=spec.get("nesterov", False))
    kind = torch.optim.Adam if spec["name"] == "adam" else torch.optim.AdamW
    return kind(groups, lr=lr, betas=tuple(spec.get("betas", (0.9, 0.999))), eps=spec.get("epsilon", 1e-8))


def scheduler_of(config, optimizer, steps_per_epoch):
    train = config["train"]
    spec = train.get("schedule", {"name": "constant"})
    total = train["epochs"] * steps_per_epoch
    if spec["name"] == "onecycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=spec["max_lr"], total_steps=total, pct_start=spec.get("warmup_fraction", 0.3),
            div_factor=25, final_div_factor=1e4, cycle_momentum=False)
    warmup = round(spec.get("warmup_epochs", 0) * steps_per_epoch)

    def factor(t):
        if t < warmup:
            return (t + 1) / warmup
        if spec["name"] == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (t - warmup) / (total - warmup)))
        if spec["name"] == "step":
            return spec["factor"] ** math.floor(t / steps_per_epoch / spec["every_epochs"])
        return 1.0

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
