"""Generated photographs of 500 to 2,000 pixels, and what torchvision makes of them: photos.py FOLDER [COUNT].

Prints torchvision's pictures a second on one core: decode (Pillow), resize the short side to 224, center crop.
"""

import pathlib
import sys
import time

import numpy
import torch
import torchvision
from PIL import Image

folder = pathlib.Path(sys.argv[1])
count = int(sys.argv[2]) if len(sys.argv) > 2 else 64
torch.set_num_threads(1)
random = numpy.random.default_rng(1)
for i in range(count):
    path = folder / ("even" if i % 2 == 0 else "odd") / f"{i:03}.jpg"
    if path.exists():
        continue
    path.parent.mkdir(parents=True, exist_ok=True)
    long = int(random.integers(500, 2001))
    height, width = (long, long * 3 // 4) if i % 3 == 0 else (long * 3 // 4, long)
    # Noise of three sizes: areas, shapes, and grain, as photographs have them.
    pixels = numpy.zeros((height, width, 3))
    for cells, strength in ((6, 60), (60, 30), (height // 2, 8)):
        noise = random.normal(0, strength, (cells, cells * 4 // 3, 3))
        layers = [Image.fromarray(noise[..., c].astype(numpy.float32)).resize((width, height), Image.BICUBIC) for c in range(3)]
        pixels += numpy.stack([numpy.asarray(layer) for layer in layers], -1)
    Image.fromarray(numpy.clip(pixels + 128, 0, 255).astype(numpy.uint8)).save(path, quality=90)

pipeline = torchvision.transforms.Compose([torchvision.transforms.Resize(224), torchvision.transforms.CenterCrop(224)])
data = torchvision.datasets.ImageFolder(folder, pipeline)
for sample in range(4):
    data[sample]
begin = time.perf_counter()
for sample in range(len(data)):
    data[sample]
print(f"torchvision: {len(data) / (time.perf_counter() - begin):.1f} pictures/s")
