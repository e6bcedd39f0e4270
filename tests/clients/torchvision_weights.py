"""Weights both ways: torchvision's state dict into `snug train --init`, `snug export` into load_state_dict.

Called as: torchvision_weights.py PROGRAM FOLDER. Every net is given seeded weights, another number of classes and two
epochs in which only the last layer is trained. Then PyTorch must take the export, and give the same logits.
"""

import pathlib
import subprocess
import sys

import numpy
import safetensors.torch
import torch
import torchvision

NETS = ["resnet18", "mobilenet_v2", "densenet121", "efficientnet_b0", "squeezenet1_1"]
CLASSES, SIZE, SAMPLES = 5, 64, 24

CONFIG = """name = "weights"
[data]
train = {{ images = "x.npy", labels = "y.npy" }}
[model]
file = "models/{model}.toml"
classes = {classes}
input = [{size}, {size}, 3]
[train]
epochs = 2
batch = 8
freeze = ["backbone"]
optimizer = {{ name = "sgd", lr = 0.01 }}
"""


def run(program, folder, *words):
    subprocess.run([program, *map(str, words), "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def compare(program, folder, model):
    torch.manual_seed(1)
    first = torchvision.models.get_model(model).state_dict()
    safetensors.torch.save_file(first, folder / "init.safetensors")
    (folder / "config.toml").write_text(CONFIG.format(model=model, classes=CLASSES, size=SIZE))
    run(program, folder, "train", "config.toml", "--init", "init.safetensors", "--out", model)
    run(program, folder, "export", model, "--to", "safetensors", "--out", f"{model}.safetensors")
    run(program, folder, "predict", model, "x.npy", "--logits", "logits.npy")

    net = torchvision.models.get_model(model, num_classes=CLASSES)
    exported = safetensors.torch.load_file(folder / f"{model}.safetensors")
    net.load_state_dict(exported)  # strict
    trained = [name for name, parameter in net.named_parameters()
               if parameter.shape != first[name].shape or not torch.equal(parameter, first[name])]
    images = torch.from_numpy(numpy.load(folder / "x.npy")).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        logits = net.eval()(images).numpy()
    ours = numpy.load(folder / "logits.npy")
    distance = numpy.abs(logits - ours).max() / numpy.abs(logits).max()
    print(f"{model:16} logits {distance:.1e}, trained {', '.join(trained)}", flush=True)
    return distance < 1e-4 and len(trained) == 2


def main():
    program, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    rng = numpy.random.default_rng(1)
    numpy.save(folder / "x.npy", rng.integers(0, 256, (SAMPLES, SIZE, SIZE, 3), dtype=numpy.uint8))
    numpy.save(folder / "y.npy", rng.integers(0, CLASSES, SAMPLES))
    if not all([compare(program, folder, model) for model in NETS]):
        sys.exit("weights do not go both ways")


if __name__ == "__main__":
    main()
