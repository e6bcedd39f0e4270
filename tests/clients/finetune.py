"""Fine-tuning as a user does it, in an empty folder: configs/examples/finetune.toml on real digits, with the state dict
of torchvision's ResNet-18 for 1,000 classes.

Called as: finetune.py PROGRAM FOLDER MNIST. A note must say that the last layer is new; two epochs must get well above
chance; a run that is stopped and resumed must give the same bits; the export must load in PyTorch, with every tensor but
the last layer's as it came; and `eval` must say what training said.
"""

import gzip
import json
import pathlib
import shutil
import sys

import numpy
import safetensors.torch
import torch
import torchvision

from steps import expect, runner

TRAIN, VAL, CHANCE, ENOUGH = 1600, 400, 0.1, 0.5
STOP = 70  # of 100 steps: in the second epoch


def idx(path, offset):
    return numpy.frombuffer(gzip.decompress(path.read_bytes()), numpy.uint8, offset=offset)


def save_arrays(mnist, folder):
    """Digits as the config expects pictures: 64×64, three channels."""
    folder.mkdir()
    for split, file, count in (("train", "train", TRAIN), ("val", "t10k", VAL)):
        images = idx(mnist / f"{file}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)[:count]
        images = numpy.pad(images, ((0, 0), (2, 2), (2, 2))).repeat(2, axis=1).repeat(2, axis=2)
        numpy.save(folder / f"{split}-images.npy", numpy.repeat(images[..., None], 3, axis=-1))
        numpy.save(folder / f"{split}-labels.npy", idx(mnist / f"{file}-labels-idx1-ubyte.gz", 8)[:count])


def main():
    program, work, mnist = (pathlib.Path(word).resolve() for word in sys.argv[1:4])
    folder = work / "finetune"
    folder.mkdir()
    save_arrays(mnist, folder / "digits")
    shutil.copy(pathlib.Path(__file__).parents[2] / "configs/examples/finetune.toml", folder)
    torch.manual_seed(1)
    first = torchvision.models.resnet18().state_dict()
    safetensors.torch.save_file(first, folder / "resnet18.safetensors")

    run = runner(program, folder)

    # Digits are not the same seen in a mirror, and on features that nobody trained two epochs want a higher rate.
    run_of = ["train", "finetune.toml", "--data-root", "digits", "--set", "data.augment=[]", "--set",
              "train.optimizer.lr=0.03"]
    train = [*run_of, "--init", "resnet18.safetensors"]
    events = [json.loads(line) for line in run(*train, "--out", "whole", "--json").splitlines()]
    notes = [event["what"] for event in events if event["event"] == "finding" and event["code"] == "T612"]
    expect(len(notes) == 2 and "fc.weight" in notes[0] and "fc.bias" in notes[1], f"notes: {notes}")
    accuracies = [event["val_accuracy"] for event in events if event["event"] == "epoch"]
    expect(len(accuracies) == 2 and accuracies[-1] > ENOUGH, f"accuracy {accuracies}, by chance {CHANCE}")

    run(*train, "--out", "parts", "--max-steps", str(STOP), "--quiet")
    run(*run_of, "--resume", "--out", "parts", "--quiet")
    whole, parts = (safetensors.torch.load_file(folder / name / "last.safetensors") for name in ("whole", "parts"))
    expect(whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole),
           f"stopped after {STOP} steps and resumed: the same bits")

    said = json.loads(run("eval", "whole/last.safetensors", "--data-root", "digits", "--json"))
    expect(abs(said["accuracy"] - accuracies[-1]) < 1e-9, f"eval says {said['accuracy']}")
    run("export", "whole/last.safetensors", "--to", "safetensors", "--out", "digits.safetensors", "--quiet")
    tuned = safetensors.torch.load_file(folder / "digits.safetensors")
    torchvision.models.resnet18(num_classes=10).load_state_dict(tuned)  # strict
    changed = [name for name in tuned if tuned[name].shape != first[name].shape or
               not torch.equal(tuned[name], first[name])]
    expect(sorted(changed) == ["fc.bias", "fc.weight"], f"PyTorch loads the export; other than before: {changed}")


if __name__ == "__main__":
    main()
