"""What a run tells TensorBoard, read by TensorBoard itself.

Called as: tensorboard_events.py PROGRAM FOLDER. A run in one piece and one that was stopped and resumed must show the
same curves, once; and of the second every kind of event must be there: scalars, histograms, pictures, the graph with
shapes, hyper-parameters.
"""

import io
import pathlib
import subprocess
import sys

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

EPOCHS, STEPS = 3, 10
CONFIG = f"""name = "events"
[data]
train = {{ synthetic = "shapes", count = 320 }}
val = {{ synthetic = "shapes", count = 100 }}
[model]
input = [16, 16, 3]
layers = [
  {{ conv = 8, kernel = 3, norm = "batch", activation = "relu", name = "stem" }},
  {{ residual = [ {{ conv = 8, kernel = 3, padding = 1 }} ], activation = "relu" }},
  {{ global_avgpool = true }},
  {{ dense = 10, name = "head" }},
]
[train]
epochs = {EPOCHS}
batch = 32
optimizer = {{ name = "sgd", lr = 0.05, momentum = 0.9 }}
histograms = true
"""
LAST = [STEPS * epoch - 1 for epoch in range(1, EPOCHS + 1)]  # steps of the epochs' ends
EXACT = ["loss/train", "loss/val", "accuracy/train", "accuracy/val"]


def expect(condition, what):
    print(("ok   " if condition else "FAIL ") + what, flush=True)
    if not condition:
        sys.exit(1)


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
    events.Reload()
    return events


def curve(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def main():
    program, work = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    folder = work / "events"
    folder.mkdir()
    (folder / "config.toml").write_text(CONFIG)

    def train(*words):
        subprocess.run([program, "train", "config.toml", "--quiet", *words], cwd=folder, check=True)

    train("--out", "whole")
    train("--out", "parts", "--max-steps", str(STEPS + 5))
    train("--out", "parts", "--resume")
    whole, parts = read(folder / "whole"), read(folder / "parts")
    for tag in EXACT:
        expect(curve(whole, tag) == curve(parts, tag) and [step for step, _ in curve(parts, tag)] == LAST,
               f"{tag}: resumed, the same curve: {curve(parts, tag)}")
    for tag in ("loss/step", "learning_rate", "images_per_second", "memory/planned_bytes", "memory/used_bytes"):
        steps = [step for step, _ in curve(parts, tag)]
        expect(steps and steps == sorted(set(steps)), f"{tag}: each step once: {steps}")

    for tag in ("weights/stem.weight", "weights/head.bias", "gradients/stem.weight", "gradients/head.bias"):
        found = parts.Histograms(tag)
        values = [event.histogram_value for event in found]
        sound = all(sum(value.bucket) == value.num > 0 and value.min < value.max for value in values)
        expect([event.step for event in found] == LAST and sound, f"{tag}: {[value.num for value in values]} values")
    for tag in ("samples", "confusion_matrix"):
        found = parts.Images(tag)
        sizes = [Image.open(io.BytesIO(event.encoded_image_string)).size for event in found]
        expect([event.step for event in found] == LAST and sizes == [(e.width, e.height) for e in found],
               f"{tag}: PNGs of {sizes}")
    nodes = {node.name: node for node in parts.Graph().node}
    inputs = [name for node in nodes.values() for name in node.input]
    expect(inputs and all(name in nodes for name in inputs), f"graph: {sorted(nodes)}")
    shape = [dim.size for dim in nodes["stem/conv"].attr["_output_shapes"].list.shape[0].dim]
    expect(shape == [-1, 14, 14, 8], f"the first convolution makes {shape}")

    start = metadata.parse_session_start_info_plugin_data(
        parts.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content)
    expect(start.hparams["train.optimizer.lr"].number_value == 0.05
           and start.hparams["train.optimizer.name"].string_value == "sgd"
           and start.hparams["train.batch"].number_value == 32, f"hyper-parameters: {sorted(start.hparams)}")
    end = metadata.parse_session_end_info_plugin_data(
        parts.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content)
    expect(end.status == 1, "the run ended well")


if __name__ == "__main__":
    main()
