"""What `snug check` costs: CIFAR-10, 100,000 JPEG files, a .npy of 10 GB. Prints a line for each and its bound.

  python3 bench/check_cost.py PROGRAM [--data ../shared/data] [--folder /tmp/check-cost] [--json FILE] [--realtime]

The JPEG files are small ones under many names, and, where Pillow is installed, 100,000 files of 50 KB each (5 GB of disk
in --folder): copies of 400 generated pictures, once as they lie in the page cache and once without it.
"""

import argparse
import array
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import time

from common import conditions, go_first

NET = """[model]
input = [{side}, {side}, 3]
layers = [
  {{ conv = 16, kernel = 3, padding = "same", norm = "batch", activation = "relu" }},
  {{ maxpool = 2 }},
  {{ global_avgpool = true }},
  {{ dense = {classes} }},
]
[train]
batch = 64
"""


MEASURED = []
FIRST = None  # what each run of the program does before it begins


def header(descr, shape):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape})
    text += " " * (63 - (len(text) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def tree(path):
    """Names, sizes and times of everything below a folder."""
    return sorted((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in path.rglob("*"))


def measure(program, name, config, bound, words=(), data=None):
    before = tree(data) if data else None
    begin = time.time()
    run = subprocess.run([program, "check", str(config), "--json", *words], capture_output=True, text=True,
                         preexec_fn=FIRST)
    seconds = time.time() - begin
    found = json.loads(run.stdout)["findings"] if run.stdout.startswith("{") else [{"code": run.stderr[:200]}]
    untouched = before is None or before == tree(data)
    verdict = "ok" if seconds < bound and untouched else "TOO SLOW" if untouched else "WROTE INTO THE DATA"
    codes = sorted({f["code"] for f in found})
    print(f"{name:32} {seconds:6.2f} s of {bound} s  exit {run.returncode}  {codes}  {verdict}", flush=True)
    MEASURED.append({"case": name, "seconds": round(seconds, 2), "bound_seconds": bound, "exit": run.returncode,
                     "findings": codes})
    return verdict == "ok"


def cifar(options, folder):
    archive = options.data / "cifar10/cifar10-jpeg.tar.xz"
    binary = folder / "cifar"
    if not binary.is_dir():
        if not archive.exists():
            print(f"skipped CIFAR-10: {archive} is not there")
            return True
        subprocess.run([options.program, "data", "convert", str(archive), str(binary), "--quiet"], check=True)
    return measure(options.program, "CIFAR-10", "configs/cifar10.toml", 3, ["--data-root", str(binary)], binary)


def jpegs(options, folder):
    photos = sorted((options.data / "catsdogs/train").rglob("*.jpg"))
    if not photos:
        print("skipped 100,000 JPEG files: no photos")
        return True
    root = folder / "photos"
    if not root.is_dir():
        for i in range(100_000):  # links: the same pictures under many names
            photo = photos[i % len(photos)]
            (root / photo.parent.name).mkdir(parents=True, exist_ok=True)
            os.symlink(photo.resolve(), root / photo.parent.name / f"{i:06}.jpg")
    config = folder / "photos.toml"
    config.write_text(f'[data]\ntrain = {{ folder = "{root}" }}\nresize = 110\n' + NET.format(side=96, classes=2))
    return measure(options.program, "100,000 JPEG files", config, 20, [], root)


def photograph(number):
    """A picture with the detail of a photograph: 500×375, about 50 KB as a JPEG of quality 80."""
    from PIL import Image, ImageChops, ImageFilter  # pylint: disable=import-outside-toplevel
    rng = random.Random(number)
    size = (500, 375)
    bands = []
    for _ in range(3):
        coarse = Image.new("L", (9, 7))
        coarse.putdata([rng.randrange(256) for _ in range(63)])
        fine = Image.effect_noise((250, 188), 60).filter(ImageFilter.GaussianBlur(0.6)).resize(size, Image.BICUBIC)
        bands.append(ImageChops.overlay(coarse.resize(size, Image.BICUBIC), fine))
    return Image.merge("RGB", bands)


def photographs(options, folder):
    try:
        import PIL  # noqa: F401  pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        print("skipped 100,000 JPEG files of 50 KB: Pillow is not installed")
        return True
    root, count = folder / "photographs", 100_000
    if not root.is_dir():
        originals = folder / "originals"
        originals.mkdir(exist_ok=True)
        for i in range(400):
            photograph(i).save(originals / f"{i}.jpg", quality=80)
        for i in range(count):
            of_class = root / f"class{i % 10}"
            of_class.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(originals / f"{i % 400}.jpg", of_class / f"{i:06}.jpg")
    files = [f for f in root.rglob("*.jpg")]
    print(f"{len(files):,} files of {sum(f.stat().st_size for f in files[:400]) / 400 / 1000:.1f} KB", flush=True)
    config = folder / "photographs.toml"
    config.write_text(f'[data]\ntrain = {{ folder = "{root}" }}\nresize = 256\nnormalize = "per-channel"\n'
                      + NET.format(side=224, classes=10))
    fine = measure(options.program, "100,000 JPEG files of 50 KB", config, 20, [], root)
    os.sync()
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    return measure(options.program, "… that are not in the page cache", config, 20, [], root) and fine


def large(options, folder):
    data = folder / "large"
    data.mkdir(exist_ok=True)
    count, side = 16_600, 224
    images = data / "x.npy"
    if not images.exists():  # mostly a hole: every 50th image is there
        with open(images, "wb") as file:
            start = header("<f4", (count, side, side, 3))
            file.write(start)
            size = side * side * 3 * 4
            for i in range(0, count, 50):
                file.seek(len(start) + i * size)
                file.write(array.array("f", [b / 255 for b in os.urandom(size // 4 // 49)]).tobytes() * 49)
            file.truncate(len(start) + count * size)
        with open(data / "y.npy", "wb") as file:
            file.write(header("<i8", (count,)))
            file.write(b"".join(struct.pack("<q", i % 10) for i in range(count)))
    config = folder / "large.toml"
    config.write_text('[data]\ntrain = { images = "large/x.npy", labels = "large/y.npy" }\n'
                      + NET.format(side=side, classes=10))
    return measure(options.program, "10 GB of .npy", config, 5, [], data)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/tmp/check-cost"))
    parser.add_argument("--json", type=pathlib.Path, help="the figures, with their conditions")
    parser.add_argument("--realtime", action="store_true", help="the program runs before all others (root)")
    options = parser.parse_args()
    if options.realtime:
        global FIRST  # pylint: disable=global-statement
        FIRST = go_first
    options.folder.mkdir(parents=True, exist_ok=True)
    fine = [part(options, options.folder) for part in (cifar, jpegs, photographs, large)]
    if options.json:
        figures = conditions("bench/check_cost.py") | {"load": round(os.getloadavg()[0], 1), "measured": MEASURED}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    raise SystemExit(0 if all(fine) else 1)


main()
