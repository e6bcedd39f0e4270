"""M, N, and what only a run shows: memory, disk, weights, saved states, and what is watched while training."""

import os

import numpy as np

from cases_data import FX, FV, SOUND, V, W, X, Y, both, save, train_only
from harness import CONV, END, RUN, SGD, Case, config, labels, pictures

FLAT = "  { flatten = true },\n"
DEEP = '  { conv = 8, kernel = 3, padding = "same", activation = "relu" },\n'


def run(epochs, optimizer, layers=CONV + END, data="", more="", batch=20):
    return config(data=data, layers=layers, train=f"epochs = {epochs}\nbatch = {batch}\noptimizer = {optimizer}\n",
                  more=more)


def trained(**more):
    return {"command": "train c.toml --threads 1", "near_command": "train c.toml --threads 1", **more}


ONE = CONV + END  # learns well
TWO_CONVS = DEEP + "  { maxpool = 2 },\n" + DEEP + FLAT + "  { dense = 4 },\n"
WARM = 'schedule = { name = "constant", warmup_epochs = 3 }\n'
RAMP = 'schedule = { name = "constant", warmup_epochs = 5 }\n'
LINEAR = FLAT + "  { dense = 4 },\n"
NARROW = TWO_CONVS.replace("conv = 8", "conv = 2")
HEART = FLAT + '  { dense = 64, activation = "relu" },\n  { dense = 4 },\n'
RANDOM = save(train_x=X[:40], train_y=np.random.default_rng(1).integers(0, 4, 40), val_x=V,
              val_y=np.random.default_rng(2).integers(0, 4, 120))
BODY = CONV + '  { residual = [ { conv = 2, kernel = 3, padding = "same", activation = "relu" }, { conv = 8, kernel = 3, padding = "same" } ], activation = "relu" },\n' + END
GATE = CONV + '  { residual = [ { conv = 1, kernel = 1, activation = "relu" }, { conv = 8, kernel = 1 } ] },\n' + END
TWO_LAYERS = DEEP + FLAT + '  { dense = 64, activation = "leaky_relu" },\n  { dense = 4 },\n'


def noisy(count, first, share):
    """Labels of which some are wrong."""
    rng = np.random.default_rng(first)
    y = labels(count, first)
    return np.where(rng.random(count) < share, (y + rng.integers(1, 4, count)) % 4, y)


def dead_bias(folder):
    """patch.py: weights of a run, the first layer of the residual dead for good."""
    (folder / "patch.py").write_text("""
import json, struct
data = bytearray(open("seed/last.safetensors", "rb").read())
size = struct.unpack("<Q", data[:8])[0]
begin, end = json.loads(data[8:8 + size])["1.body.0.bias"]["data_offsets"]
data[8 + size + begin:8 + size + end] = struct.pack("<f", -1000) * ((end - begin) // 4)
open("dead.safetensors", "wb").write(data)
""")


SEED = "snug train c.toml --out seed --epochs 1 --quiet; python3 patch.py"
NOISY = save(train_x=X[:48], train_y=noisy(48, 0, 0.3), val_y=noisy(120, 1000, 0.3))
WATCHED = [
    Case("T301", "a rate that moves nothing", severity="warning", where="c.toml:14:",
         what=("step 60: after 5 epochs the loss has not moved: 1.45",), text=run(8, '{ name = "sgd", lr = 1.5e-5 }'),
         near=run(8, '{ name = "sgd", lr = 0.05, momentum = 0.9 }'), **trained()),
    Case("T301", "a network that died in its first epoch", severity="warning", what=("the loss has not moved: 1.39",),
         text=run(7, '{ name = "sgd", lr = 0.7 }', layers=NARROW), near=run(7, '{ name = "sgd", lr = 0.05 }',
                                                                            layers=TWO_CONVS), **trained()),
    Case("T302", "a rate that explodes", severity="warning", where="c.toml:15:34",
         what=("step 29: the loss is 32", "was 0.88"), text=run(6, '{ name = "sgd", lr = 0.3, momentum = 0.9 }',
                                                                layers=BODY),
         near=run(6, '{ name = "sgd", lr = 0.03, momentum = 0.9 }', layers=BODY), **trained()),
    Case(
        "T303", "layers behind dead relus", severity="warning", where="c.toml:8:",
        what=("layer '1.body.0': step 12: no gradient reached any of its 2 channels in 12 steps",),
        text=run(4, '{ name = "sgd", lr = 0.05 }', layers=BODY), files=dead_bias, setup=SEED,
        command="train c.toml --threads 1 --init dead.safetensors", mended=run(
            4, '{ name = "sgd", lr = 0.05 }',
            layers=BODY.replace('padding = "same", activation = "relu" }, {',
                                'padding = "same", norm = "batch", activation = "relu" }, {')),
        mended_command="train c.toml --threads 1", near=run(4, '{ name = "sgd", lr = 0.05 }',
                                                            layers=BODY), near_command="train c.toml --threads 1"),
    Case("T304", "channels that died", severity="warning", where="c.toml:7:",
         what=("layer '0': step 24: 6 of 8 channels are dead",),
         text=run(6, '{ name = "sgd", lr = 0.7 }', layers=TWO_CONVS), near=run(6, '{ name = "sgd", lr = 0.05 }',
                                                                               layers=TWO_CONVS), **trained()),
    Case("T305", "few pictures learned by heart", severity="note", where="c.toml:", what=("drift apart",),
         text=run(40, '{ name = "adam", lr = 0.003 }', layers=TWO_LAYERS,
                  batch=8), files=NOISY, near=run(10, '{ name = "adam", lr = 0.003 }', layers=TWO_LAYERS, batch=8),
         **trained()),
    Case("T306", "weights that grow", severity="warning", where="c.toml:9:",
         what=("layer '2': step 12: its weights are 1993 times as large",),
         text=run(3, '{ name = "sgd", lr = 5.0 }', layers=DEEP + LINEAR), near=run(3, '{ name = "sgd", lr = 0.01 }',
                                                                                   layers=DEEP + LINEAR), **trained()),
    Case("T307", "labels of data.val in another order", severity="warning", where="c.toml:3:7",
         what=("step 36: 100.0 % of data.train are right and 0.0 % of data.val",),
         text=run(8, '{ name = "sgd", lr = 0.05, momentum = 0.9 }'), files=save(val_y=(W + 1) % 4),
         near=run(8, '{ name = "sgd", lr = 0.05, momentum = 0.9 }'), **trained()),
    Case("N601", "a rate beyond all numbers", where="c.toml:7:", text=run(3, '{ name = "sgd", lr = 1e30 }'),
         others=("T111",), rounds=9, near=run(3, '{ name = "sgd", lr = 0.05 }'), **trained()),
]
MANY = lambda count: lambda folder: (np.save(
    folder / "train-x.npy",
    np.random.default_rng(0).integers(0, 255, (count, 64, 64, 3), dtype=np.uint8)),
                                     np.save(folder / "train-y.npy", labels(count)))
WIDE = '  { conv = 64, kernel = 3, padding = "same", activation = "relu" },\n'


def of64(data="", memory="", batch=32):
    return config(source='train = { images = "train-x.npy", labels = "train-y.npy" }\n', input="[64, 64, 3]", data=data,
                  layers=WIDE + WIDE + END, train=f"epochs = 2\nbatch = {batch}\n" + SGD,
                  more=f"[memory]\n{memory}\n" if memory else "")


def holes(folder):
    """Images of twice this machine's memory, in a file that takes no disk."""
    count = 2 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (64 * 64 * 3)
    np.lib.format.open_memmap(folder / "train-x.npy", "w+", np.uint8, (count, 64, 64, 3))
    np.save(folder / "train-y.npy", labels(count))


MEMORY = [
    Case("M611", "a batch beyond the budget", where="c.toml:", what=("batch 256 needs",),
         text=of64(memory='budget = "80MiB"',
                   batch=256), files=MANY(300), near=of64(memory='budget = "80MiB"', batch=8), near_files=MANY(300)),
    Case("M612", "scratch beyond its bound", where="c.toml:", text=of64(memory='workspace = "1KiB"'), files=MANY(64),
         near=of64(memory='workspace = "64MiB"'), near_files=MANY(64)),
    Case("M614", "images that memory does not hold", where="c.toml:", text=of64(data='cache = "ram"\n'), files=holes,
         others=("D205",), near=of64(data='cache = "ram"\n'), near_files=MANY(2_000)),
    Case("M615", "images that stream", severity="note", where="c.toml:2:", text=of64(), files=MANY(60_000),
         limit="ulimit -v 1500000", near=of64(), near_files=MANY(2_000),
         by_hand="they are bytes already: nothing is smaller"),
    Case("M616", "no disk for checkpoints", where="c.toml", what=("0 B are free in /proc",),
         command="check {here}/c.toml", cwd="/proc", fill={"CONFIG": "c.toml", "DIR": "elsewhere --quiet"},
         near=config(), near_command="check c.toml"),
]
WEIGHTS = [
    Case("T611", "weights of another network", where="", command="train c.toml --init other/last.safetensors --quiet",
         text=config(),
         setup="sed 's/conv = 8/conv = 12/' c.toml > o.toml && snug train o.toml --out other --epochs 1 --quiet",
         near_setup="snug train c.toml --out other --epochs 1 --quiet",
         near_command="train c.toml --init other/last.safetensors --quiet", others=("T611",) * 4,
         by_hand="only the user knows which weights they meant"),
    Case("T612", "a last layer of its own", severity="note", where="",
         command="train c.toml --init other/last.safetensors --quiet", text=config(),
         setup="sed 's/dense = 4/dense = 6/' c.toml > o.toml && snug train o.toml --out other --epochs 1 --quiet",
         near_setup="snug train c.toml --out other --epochs 1 --quiet",
         near_command="train c.toml --init other/last.safetensors --quiet", by_hand="nothing is to be done"),
    Case("T621", "a state of another model", where="", command="train c.toml --resume --out run --quiet",
         setup="snug train c.toml --out run --max-steps 5 --quiet; sed -i 's/conv = 8/conv = 12/' c.toml",
         by_hand="cp run/config.toml c.toml", near_setup="snug train c.toml --out run --max-steps 5 --quiet",
         near_command="train c.toml --resume --out run --quiet"),
    Case("T622", "a state of another batch", where="", command="train c.toml --resume --out run --quiet",
         setup="snug train c.toml --out run --max-steps 5 --quiet; sed -i 's/batch = 20/batch = 24/' c.toml",
         by_hand="cp run/config.toml c.toml", near_setup="snug train c.toml --out run --max-steps 5 --quiet",
         near_command="train c.toml --resume --out run --quiet --epochs 5"),
]
CASES = WATCHED + MEMORY + WEIGHTS
