"""ONNX exports against their real readers: the official checker takes them, onnxruntime gives our logits.

Called as: onnx_models.py PROGRAM FOLDER [MODEL…]. Every shipped model, or those named (at small size, one step of
training, so that statistics are not those of the beginning), and a net of the rarer operations; norms kept and folded, normalised and raw input.
"""

import json
import pathlib
import subprocess
import sys

import numpy
import onnx
import onnxruntime

SAMPLES, CLASSES = 6, 5
TOLERANCE = 1e-4  # of the largest logit

CONFIG = """name = "onnx"
[data]
train = {{ images = "{images}", labels = "y.npy" }}
normalize = "per-channel"
{model}
[train]
epochs = 1
batch = 6
loss = "sparse_categorical_crossentropy"
optimizer = {{ name = "sgd", lr = 0.001 }}
"""
SHIPPED = """[model]
file = "models/{file}"
classes = {classes}
input = [{size}, {size}, {channels}]"""
RARE = """[model]
input = [33, 30, 3]
layers = [
  { conv = 8, kernel = 3, stride = 2, padding = "same", norm = "batch", activation = "gelu" },
  { conv = 8, kernel = [3, 2], dilation = 2, padding = 2, groups = 2, activation = "leaky_relu" },
  { maxpool = 3, stride = 2, ceil = true },
  { branches = [ [ { conv = 4, kernel = 1, activation = "tanh" } ], [ { avgpool = 3, stride = 1, padding = 1 } ] ] },
  { squeeze_excite = 4 },
  { batchnorm = true, activation = "relu6" },
  { residual = [ { conv = 12, kernel = 3, padding = 1 } ], activation = "silu" },
  { adaptive_avgpool = [4, 3] },
  { dropout = 0.3 },
  { flatten = true },
  { dense = 16 },
  { batchnorm = true, activation = "sigmoid" },
  { dense = 5 },
  { activation = "softmax" },
]"""


def run(program, folder, *words):
    subprocess.run([program, *map(str, words), "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def softmax(x):
    powers = numpy.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def normalized(path, images):
    """As the model's own first two nodes do it."""
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    return images * constants["normalize.scale"] + constants["normalize.shift"]


def check(program, folder, name, model, images, probabilities=False):
    (folder / "config.toml").write_text(CONFIG.format(images=images, model=model))
    run(program, folder, "train", "config.toml", "--out", name)
    run(program, folder, "predict", name, images, "--logits", "logits.npy")
    expected = numpy.load(folder / "logits.npy")
    expected = softmax(expected) if probabilities else expected
    pixels = numpy.load(folder / images).transpose(0, 3, 1, 2).astype(numpy.float32)
    worst = 0
    for options in [["--raw-input"], ["--raw-input", "--fold-norms"], [], ["--fold-norms"]]:
        file = folder / f"{name}{''.join(options)}.onnx"
        run(program, folder, "export", name, "--to", "onnx", "--out", file, *options)
        onnx.checker.check_model(onnx.load(file), full_check=True)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        if json.loads(session.get_modelmeta().custom_metadata_map["class_names"]) != [str(c) for c in range(CLASSES)]:
            raise SystemExit(f"{file.name}: class names are lost")
        raw = folder / f"{name}--raw-input.onnx"
        values = pixels if "--raw-input" in options else normalized(raw, pixels).astype(numpy.float32)
        for count in (SAMPLES, 1):  # N is free
            actual = session.run(None, {"input": values[:count]})[0]
            worst = max(worst, numpy.abs(actual - expected[:count]).max() / numpy.abs(expected).max())
    print(f"{name:18} {worst:.1e}", flush=True)
    return worst < TOLERANCE


def main():
    program, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    models = pathlib.Path(__file__).resolve().parents[2] / "configs" / "models"
    rng = numpy.random.default_rng(1)
    numpy.save(folder / "y.npy", numpy.arange(SAMPLES) % CLASSES)
    good = []
    wanted = sys.argv[3:]
    for file in sorted(models.glob("*.toml")):
        if wanted and file.stem not in wanted:
            continue
        gray = file.stem == "lenet"
        size = 28 if gray else 32 if "cifar" in file.stem or file.stem == "resnet9" else 64
        images = f"x{size}.npy"
        numpy.save(folder / images, rng.integers(0, 256, (SAMPLES, size, size, 1 if gray else 3), dtype=numpy.uint8))
        model = SHIPPED.format(file=file.name, classes=CLASSES, size=size, channels=1 if gray else 3)
        good.append(check(program, folder, file.stem, model, images))
    numpy.save(folder / "rare.npy", rng.integers(0, 256, (SAMPLES, 33, 30, 3), dtype=numpy.uint8))
    good.append(check(program, folder, "rare", RARE, "rare.npy", probabilities=True))
    if not all(good):
        sys.exit(f"onnxruntime differs by more than {TOLERANCE}")


if __name__ == "__main__":
    main()
