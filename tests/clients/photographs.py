"""torchvision's ResNet-18 (random weights), fine-tuned one epoch on photographs and run elsewhere.

Called as: photographs.py PROGRAM FOLDER PHOTOGRAPHS (with train/ and val/ of two classes). On every validation photograph
onnxruntime must predict what `snug predict` does from the files, from the model that takes pixels as they were stored and
from the one that takes them normalised; and so must torchvision's own network with the exported weights. The pixels come
out of a pack (docs/pack.md), read here by its description.
"""

import collections
import json
import pathlib
import struct
import sys

import numpy
import onnxruntime
import safetensors.torch
import torch
import torchvision

from steps import expect, runner

TOLERANCE = 1e-4  # of the largest logit
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CONFIG = f"""name = "photographs"
[data]
train = {{ folder = "train" }}
val = {{ folder = "val" }}
resize = 146
normalize = {{ mean = {MEAN}, std = {STD} }}
augment = [ {{ hflip = 0.5 }} ]
[model]
file = "models/resnet18.toml"
classes = 2
input = [128, 128, 3]
[train]
epochs = 1
batch = 10
optimizer = {{ name = "sgd", lr = 0.01, momentum = 0.9 }}
"""


def pack_pixels(folder, shape):
    """Images of a pack of pixels with class numbers, and these."""
    images, labels = [], []
    for shard in sorted(folder.glob("shard-*.pack")):
        data = shard.read_bytes()
        magic, _, _, _, records = struct.unpack_from("<8sIIQQ", data)
        expect(magic == b"SNUGPACK", shard.name)
        for record in range(records):
            offset, size, _, label, _ = struct.unpack_from("<QIIqI", data, 52 + 28 * record)
            images.append(numpy.frombuffer(data, numpy.uint8, size, offset).reshape(shape))
            labels.append(label)
    return numpy.stack(images), numpy.array(labels)


def main():
    program, work, photographs = (pathlib.Path(word).resolve() for word in sys.argv[1:4])
    folder = work / "photographs"
    folder.mkdir()
    (folder / "config.toml").write_text(CONFIG)
    torch.manual_seed(1)
    safetensors.torch.save_file(torchvision.models.resnet18().state_dict(), folder / "resnet18.safetensors")

    run = runner(program, folder)

    data = ["--data-root", photographs]
    run("train", "config.toml", *data, "--init", "resnet18.safetensors", "--out", "run", "--quiet")
    lines = run("predict", "run", photographs / "val", "--json", "--logits", "logits.npy").splitlines()
    names = [json.loads(line)["class"] for line in lines]
    ours = numpy.load(folder / "logits.npy")
    run("data", "pack", "config.toml", *data, "--keep", "pixels", "--out", "packs", "--quiet")
    pixels, labels = pack_pixels(folder / "packs/val", (128, 128, 3))
    expect(len(names) == len(pixels) > 0, f"{len(names)} photographs: {dict(collections.Counter(names))}")
    said = json.loads(run("eval", "run", *data, "--json"))["accuracy"]
    expect(abs(said - (ours.argmax(axis=1) == labels).mean()) < 1e-9, f"eval says {said} too")

    raw = pixels.transpose(0, 3, 1, 2).astype(numpy.float32)
    mean, std = (numpy.float32(values).reshape(3, 1, 1) for values in (MEAN, STD))
    normalized = (raw / numpy.float32(255) - mean) / std

    def agrees(theirs, what):
        apart = numpy.abs(theirs - ours).max() / numpy.abs(ours).max()
        same = int((theirs.argmax(axis=1) == ours.argmax(axis=1)).sum())
        expect(same == len(ours) and apart < TOLERANCE, f"{what}: {same} of {len(ours)} predictions equal, {apart:.1e} apart")

    for options, values in ((["--raw-input"], raw), ([], normalized), (["--fold-norms"], normalized)):
        file = folder / f"net{''.join(options)}.onnx"
        run("export", "run", "--to", "onnx", "--out", file, *options, "--quiet")
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        classes = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])
        theirs = numpy.concatenate([session.run(None, {"input": part})[0] for part in numpy.array_split(values, 5)])
        expect([classes[k] for k in theirs.argmax(axis=1)] == names, "the names that predict prints")
        agrees(theirs, "onnxruntime " + " ".join(options))
    run("export", "run", "--to", "safetensors", "--out", "net.safetensors", "--quiet")
    net = torchvision.models.resnet18(num_classes=2)
    net.load_state_dict(safetensors.torch.load_file(folder / "net.safetensors"), strict=True)
    with torch.no_grad():
        agrees(net.eval()(torch.from_numpy(normalized)).numpy(), "torchvision")


if __name__ == "__main__":
    main()
