"""Trains configs/catsdogs.toml's network in PyTorch with crop and flip, and tells how many pictures of the validation
split it names rightly after the last epoch: torch_photos.py TRAIN.csv VAL.csv SEED EPOCHS THREADS"""

import csv
import json
import math
import pathlib
import sys

import torch
from PIL import Image
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize

RESIZE, SIDE, BATCH = 110, 96, 50
RATE, MOMENTUM, DECAY, SMOOTHING, WARM_UP = 0.05, 0.9, 5e-4, 0.1, 9


def conv(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs),
                         nn.ReLU(inplace=True))


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def network():
    return nn.Sequential(
        conv(3, 32), nn.MaxPool2d(2), conv(32, 64), nn.MaxPool2d(2), Residual(conv(64, 64), conv(64, 64)),
        conv(64, 128), nn.MaxPool2d(2), conv(128, 256), nn.MaxPool2d(2), Residual(conv(256, 256), conv(256, 256)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 2))


def load(path):
    """(N, 3, RESIZE, RESIZE) of the short side resized, and the classes in the order of their names."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    classes = sorted({row["label"] for row in rows})
    images = []
    for row in rows:
        picture = resize(Image.open(pathlib.Path(path).parent / row["path"]).convert("RGB"), RESIZE,
                         InterpolationMode.BILINEAR, antialias=True)
        images.append(torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
                      .view(picture.height, picture.width, 3).permute(2, 0, 1))
    return torch.stack(images).float() / 255, torch.tensor([classes.index(row["label"]) for row in rows])


def varied(images):
    """A random square of each, mirrored half the time."""
    made = []
    for image in images:
        top, left = (int(torch.randint(extent - SIDE + 1, ())) for extent in image.shape[1:])
        part = image[:, top:top + SIDE, left:left + SIDE]
        made.append(part.flip(2) if torch.rand(()) < 0.5 else part)
    return torch.stack(made)


def rate_at(step, per_epoch, steps):
    warm = WARM_UP * per_epoch
    if step < warm:
        return RATE * (step + 1) / warm
    return RATE * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def main():
    train_file, val_file = sys.argv[1:3]
    seed, epochs, threads = map(int, sys.argv[3:6])
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    images, labels = load(train_file)
    mean, deviation = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True)
    net = network().to(memory_format=torch.channels_last)
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    optimizer = torch.optim.SGD([{"params": decayed}, {"params": others, "weight_decay": 0}], RATE, MOMENTUM,
                                weight_decay=DECAY, nesterov=True)
    loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    per_epoch = math.ceil(len(images) / BATCH)
    step = 0
    for _ in range(epochs):
        net.train()
        for chosen in torch.randperm(len(images)).split(BATCH):
            for group in optimizer.param_groups:
                group["lr"] = rate_at(step, per_epoch, epochs * per_epoch)
            batch = ((varied(images[chosen]) - mean) / deviation).contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad(set_to_none=True)
            loss_of(net(batch), labels[chosen]).backward()
            optimizer.step()
            step += 1
    net.eval()
    images, labels = load(val_file)
    border = (RESIZE - SIDE) // 2
    with torch.no_grad():
        seen = ((images[:, :, border:border + SIDE, border:border + SIDE] - mean) / deviation)
        right = int((net(seen.contiguous(memory_format=torch.channels_last)).argmax(1) == labels).sum())
    print(json.dumps({"right": right, "of": len(labels), "parameters": sum(p.numel() for p in net.parameters()),
                      "version": torch.__version__}))


if __name__ == "__main__":
    main()
