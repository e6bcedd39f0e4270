"""Pictures as Pillow sees them.

  pillow_pictures.py compare PROGRAM FOLDER   holds a program that decodes one file (PROGRAM FILE OUT.npy) against Pillow,
                                              over every file of FOLDER; ends with 1 where they differ
  pillow_pictures.py record FOLDER OUT.json   writes what Pillow makes of the files: extents, mean of each channel, and
                                              the means of a grid of 4×4 cells; of refused ones the reason
  pillow_pictures.py resize OUT.json          writes a generated picture resized by Pillow's filters

The records stand in pillow_pictures.json, for machines without Pillow.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy
from PIL import Image, ImageOps

CLOSE = 2.0  # of 255, mean over the pixels


def pixels_of(path):
    """RGB after the orientation, or the reason of the refusal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                image.load()
                return numpy.asarray(ImageOps.exif_transpose(image).convert("RGB")), None
    except Exception as problem:  # whatever Pillow raises is a refusal
        return None, f"{type(problem).__name__}: {problem}"


def files_of(folder):
    return sorted(p for p in pathlib.Path(folder).iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))


def compare(program, folder):
    failures = 0
    with tempfile.TemporaryDirectory() as work:
        out = pathlib.Path(work) / "out.npy"
        for path in files_of(folder):
            out.unlink(missing_ok=True)
            done = subprocess.run([program, "data", "convert", path, out], capture_output=True, text=True, check=False)
            theirs, reason = pixels_of(path)
            ours = numpy.load(out)[0] if done.returncode == 0 else None
            if theirs is None:
                good = ours is None and done.stderr.strip() != ""
                text = f"refused by both: {done.stderr.strip()} / {reason}" if good else f"Pillow refuses it: {reason}"
            elif ours is None:
                good, text = False, f"Pillow decodes it, refused here: {done.stderr.strip()}"
            elif ours.shape != theirs.shape:
                good, text = False, f"{ours.shape} for {theirs.shape}"
            else:
                difference = numpy.abs(ours.astype(float) - theirs.astype(float)).mean()
                good, text = difference < CLOSE, f"mean difference {difference:.3f}"
            failures += not good
            print("ok  " if good else "FAIL", path.name, text)
    return 1 if failures else 0


def grid_of(pixels, cells=4):
    rows = numpy.array_split(pixels.astype(float), min(cells, pixels.shape[0]), axis=0)
    return [round(float(part.mean()), 2) for row in rows for part in numpy.array_split(row, min(cells, row.shape[1]), axis=1)]


def record(folder, out):
    records = {}
    for path in files_of(folder):
        pixels, reason = pixels_of(path)
        if pixels is None:
            records[path.name] = {"refused": reason}
            continue
        records[path.name] = {
            "shape": list(pixels.shape),
            "mean": [round(float(value), 2) for value in pixels.reshape(-1, 3).mean(0)],
            "grid": grid_of(pixels),
        }
    write(out, "odd", records)


def generated(height, width):
    """A picture by a rule that the test repeats."""
    y, x = numpy.mgrid[0:height, 0:width]
    values = [(x * 7 + y * 3) % 256, (x * y) % 256, (x * x + y * 5) % 256]
    return numpy.stack(values, axis=-1).astype(numpy.uint8)


def resize(out):
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    cases = []
    for name, which in filters.items():
        for size, target in (((40, 60), (12, 20)), ((20, 30), (33, 41)), ((37, 23), (37, 10))):
            image = Image.fromarray(generated(*size)).resize((target[1], target[0]), which)
            cases.append({"filter": name, "from": size, "to": target, "pixels": numpy.asarray(image).ravel().tolist()})
    write(out, "resize", cases)


def write(out, key, value):
    path = pathlib.Path(out)
    everything = json.loads(path.read_text()) if path.exists() else {}
    everything[key] = value
    path.write_text(json.dumps(everything, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    sys.exit({"compare": compare, "record": record, "resize": resize}[command](*words))
