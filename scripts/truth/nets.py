"""Random runs from a seed: networks, batches, optimizers and strategies as configs."""

import json
import random
import subprocess

STRATEGIES = ['"auto"', '"auto"', '"auto"', "[]", '["inplace"]', '["recompute"]', '["inplace", "recompute"]',
              '["inplace", "split"]', '["inplace", "recompute", "split", "microbatch"]', '["inplace", "offload"]',
              '["inplace", "recompute", "offload"]']


class Config:
    """Tables of lines; what is pasted replaces the line of its key."""

    def __init__(self):
        self.tables = {"": {}, "data": {}, "model": {}, "train": {}, "memory": {}}

    def set(self, key, value):
        table, _, name = key.rpartition(".")
        self.tables[table][name] = value

    def paste(self, line):
        key, _, value = line.partition(" = ")
        table, _, name = key.partition(".")
        assert table in self.tables and "." not in name, f"no line for a table: {line}"
        self.tables[table][name] = value

    def copy(self):
        other = Config()
        other.tables = {name: dict(lines) for name, lines in self.tables.items()}
        return other

    def text(self):
        parts = []
        for table, lines in self.tables.items():
            parts += ([f"[{table}]"] if table else []) + [f"{name} = {value}" for name, value in lines.items()]
        return "\n".join(parts) + "\n"


def conv(rng, norm, stride=1):
    filters = rng.choice([4, 8, 12, 16, 24, 32])
    extra = ', norm = "batch"' if norm else ""
    activation = rng.choice(["relu", "relu", "relu6", "silu", "leaky_relu"])
    kernel = rng.choice([1, 3, 3, 3, 5])
    return (f'{{ conv = {filters}, kernel = {kernel}, stride = {stride}, padding = "same"{extra}, '
            f'activation = "{activation}" }}')


def residual(rng, norm, channels):
    extra = ', norm = "batch"' if norm else ""
    body = [f'{{ conv = {channels}, kernel = 3, padding = "same"{extra}, activation = "relu" }}',
            f'{{ conv = {channels}, kernel = {rng.choice([1, 3])}, padding = "same"{extra} }}']
    return f'{{ residual = [ {", ".join(body)} ], activation = "relu" }}'


def layers(rng, norm):
    rows = [conv(rng, norm)]
    for _ in range(rng.randint(1, 6)):
        kind = rng.choice(["conv", "conv", "pool", "residual", "branches", "depthwise", "dropout", "stride", "gate"])
        if kind == "conv":
            rows.append(conv(rng, norm))
        elif kind == "stride":
            rows.append(conv(rng, norm, stride=2))
        elif kind == "pool":
            rows.append(rng.choice(["{ maxpool = 2, ceil = true }", "{ avgpool = 2, ceil = true }"]))
        elif kind == "residual":
            channels = rng.choice([8, 16])
            rows.append(f'{{ conv = {channels}, kernel = 1, activation = "relu" }}')
            rows.append(residual(rng, norm, channels))
        elif kind == "branches":
            rows.append(f"{{ branches = [ [ {conv(rng, norm)} ], [], [ {conv(rng, norm)} ] ] }}")
        elif kind == "depthwise":
            rows.append('{ depthwise = 3, padding = "same", activation = "relu6" }')
        elif kind == "gate":
            rows.append("{ squeeze_excite = 4 }")
        else:
            rows.append("{ dropout = 0.25 }")
    if rng.random() < 0.3:
        rows += ["{ flatten = true }", f'{{ dense = {rng.choice([64, 256, 1024])}, activation = "relu" }}']
    else:
        rows.append("{ global_avgpool = true }")
    return rows + ["{ dense = 10 }"]


def optimizer(rng):
    return rng.choice(['{ name = "sgd", lr = 0.01 }',
                       '{ name = "sgd", lr = 0.01, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }',
                       '{ name = "adam", lr = 1e-3 }', '{ name = "adamw", lr = 1e-3, weight_decay = 1e-2 }'])


def computes_bf16(program):
    """Whether this processor does."""
    run = subprocess.run([program, "version", "--json"], capture_output=True, text=True, check=True)
    return any("avx512" in name for name in json.loads(run.stdout)["architectures"])


def random_config(rng, batches, sides, bf16):
    """A whole run on generated pictures; `bf16`: in that precision at times."""
    config = Config()
    batch, side = rng.choice(batches), rng.choice(sides)
    norm = rng.random() < 0.6
    config.set("name", '"truth"')
    config.set("data.train", f'{{ synthetic = "shapes", count = {3 * batch + rng.choice([0, 0, 1, batch // 2])} }}')
    if rng.random() < 0.5:
        config.set("data.val", f'{{ synthetic = "shapes", count = {batch + rng.choice([0, 3])} }}')
    if rng.random() < 0.3:
        config.set("data.augment", "[ { hflip = 0.5 } ]")
    config.set("data.workers", str(rng.choice([0, 1, 2])))
    config.set("model.input", f"[{side}, {side}, 3]")
    config.set("model.layers", "[\n  " + ",\n  ".join(layers(rng, norm)) + " ]")
    config.set("train.batch", str(batch))
    config.set("train.optimizer", optimizer(rng))
    config.set("train.seed", str(rng.randint(1, 1000)))
    if bf16 and rng.random() < 0.3:
        config.set("train.precision", '"bf16"')
    if rng.random() < 0.2:
        config.set("train.ema", "0.99")
    if rng.random() < 0.2:
        config.set("train.clip_norm", "1.0")
    if rng.random() < 0.15:
        config.set("train.accumulate", "2")
    config.set("memory.strategy", rng.choice(STRATEGIES))
    return config


def generator(seed):
    return random.Random(seed)
