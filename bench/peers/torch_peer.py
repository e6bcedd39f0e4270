"""A training step in PyTorch: torch_peer.py MODEL BATCH PRECISION THREADS [eager|compile|nchw]"""

import contextlib
import sys

import torch
import torchvision
from torch import nn

from turns import take_turns

RATE, MOMENTUM, DECAY = 1e-6, 0.9, 5e-4


def lenet():
    def block(inputs, outputs):
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
                nn.MaxPool2d(2)]
    return nn.Sequential(*block(1, 32), *block(32, 64), nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(inplace=True),
                         nn.Linear(128, 10))


def resnet18_cifar():
    net = torchvision.models.resnet18(num_classes=10)
    net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return net


# name: (network, extents of an image, classes)
MODELS = {"lenet": (lenet, (1, 28, 28), 10), "resnet18-cifar": (resnet18_cifar, (3, 32, 32), 10)}


def make(name):
    network, extents, classes = MODELS.get(name) or (getattr(torchvision.models, name), (3, 224, 224), 1000)
    return network().train(), extents, classes


def main():
    name, batch, precision, threads = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    variant = sys.argv[5] if len(sys.argv) > 5 else "eager"
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    net, extents, classes = make(name)
    images = torch.randn(batch, *extents)
    labels = torch.randint(classes, (batch,))
    if variant != "nchw":
        net = net.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), RATE, MOMENTUM, weight_decay=DECAY, nesterov=True, fused=True)
    loss_of = nn.CrossEntropyLoss()
    run = torch.compile(net) if variant == "compile" else net
    lower = precision == "bf16"

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16) if lower else contextlib.nullcontext():
            loss = loss_of(run(images), labels)
        loss.backward()
        optimizer.step()

    if variant == "compile":
        step()  # the compiler runs now
    parameters = sum(p.numel() for p in net.parameters())
    take_turns(step, version=torch.__version__, parameters=parameters, threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
