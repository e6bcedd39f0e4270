"""D and L: faults of data and labels in real files."""

import gzip
import shutil
import struct
import tarfile
import zipfile
import zlib

import numpy as np

from harness import CONV, DATA, END, RUN, SGD, SIDE, Case, config, labels, pictures


def save(**arrays):
    """files(folder): train_x=… is train-x.npy."""

    def write(folder):
        for name, value in arrays.items():
            np.save(folder / (name.replace("_", "-") + ".npy"), value)

    return write


def both(*changes):

    def write(folder):
        for change in changes:
            change(folder)

    return write


def raw(name, content):
    return lambda folder: (folder / name).write_bytes(content(folder) if callable(content) else content)


def cut(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


X, V = pictures(240), pictures(120, 1000)
Y, W = labels(240), labels(120, 1000)
FX, FV = (X / 255).astype(np.float32), (V / 255).astype(np.float32)
SOUND = save(train_x=X, train_y=Y, val_x=V, val_y=W)
FLOATS = save(train_x=FX, val_x=FV)
GRAY = save(train_x=X[..., 0], val_x=V[..., 0])
NCHW = save(train_x=X.transpose(0, 3, 1, 2).copy(), val_x=V.transpose(0, 3, 1, 2).copy())
ROWS = lambda width, value: save(train_y=value(240, width), val_y=value(120, width))


def one_hot(count, width):
    return np.eye(width, dtype=np.float32)[np.arange(count) % width]


def train_only(**more):
    return config(source='train = { images = "train-x.npy", labels = "train-y.npy" }\n', **more)


def loss(name):
    return config(more=f'loss = "{name}"\n')


def nan_at(sample):
    x = FX.copy()
    x[sample, 3, 4, 1] = np.nan
    return x


def copies(x):
    x = x.copy()
    x[200:] = x[:40]
    return x


def npz(name, **arrays):

    def write(folder):
        np.savez(folder / name, **arrays)

    return write


# ---- pictures in files --------------------------------------------------------------------------------------------


def png(x):
    """A PNG of an array h×w×3, h×w (gray)."""
    x = np.ascontiguousarray(x)
    kind = 2 if x.ndim == 3 else 0
    rows = b"".join(b"\0" + row.tobytes() for row in x)

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", x.shape[1], x.shape[0], 8, kind, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


KINDS = ("cats", "dogs")
FOLDERS = 'train = { folder = "train" }\nval = { folder = "val" }\n'
TWO = CONV + "  { global_avgpool = true },\n  { dense = 2 },\n"


def folders(folder, of_class=30, splits=("train", "val"), side=SIDE, gray=False):
    first = 0
    for split in splits:
        for kind in KINDS:
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
            x = pictures(of_class * 4, first, side)[KINDS.index(kind)::4]
            for i in range(of_class):
                (folder / split / kind / f"{10 + i}.png").write_bytes(png(x[i, ..., 0] if gray else x[i]))
            first += of_class * 4


def photos(data="", source=FOLDERS, layers=TWO, **more):
    return config(data=data, source=source, layers=layers, **more)


def copy(old, new):
    return lambda folder: (folder / new).write_bytes((folder / old).read_bytes())


def remove(*names):

    def write(folder):
        for name in names:
            (folder / name).unlink()

    return write


def listed(*rows, header="path,label"):

    def write(folder):
        lines = [header] + [f"train/{k}/{10 + i}.png,{k}" for k in KINDS for i in range(30)] + list(rows)
        (folder / "train.csv").write_text("\n".join(lines) + "\n")

    return both(folders, write)


LIST = 'train = { csv = "train.csv" }\nval = { folder = "val" }\n'


def archive(damage=0, twice=False):

    def write(folder):
        folders(folder)
        names = sorted((folder / "train").rglob("*.png"))
        with tarfile.open(folder / "train.tar.gz", "w:gz") as tar:
            for name in names:
                tar.add(name, str(name.relative_to(folder)))
            if twice:
                for name in names[:4]:
                    tar.add(name, str(name.relative_to(folder)).replace(".png", "-again.png"))
        if damage:
            whole = (folder / "train.tar.gz").read_bytes()
            (folder / "train.tar.gz").write_bytes(whole[:damage])

    return write


PACK = "sed 's/pack = .pack.train./folder = \"train\"/' c.toml > p.toml; snug data pack p.toml --out pack --quiet"
TAR = 'train = { folder = "train.tar.gz:train" }\nval = { folder = "val" }\n'

DATA_CASES = [
    Case("D004", "a hue beyond half a turn", where="c.toml:4:", what=("2",),
         text=config(data="augment = [ { color_jitter = [0.4, 0.4, 0.4, 2] } ]\n"),
         near=config(data="augment = [ { color_jitter = [0.4, 0.4, 0.4, 0.5] } ]\n")),
    Case("D101", "a name mistyped", where="trian-x.npy", what=("trian-x.npy is not there", "train-x.npy"),
         text=config(source=DATA.replace("train-x", "trian-x"))),
    Case("D101", "the folder mistyped", where="imags", what=("did you mean images?",), words="--data-root imags",
         setup="mkdir images && cp *.npy images", near_words="--data-root images",
         near_setup="mkdir images && cp *.npy images"),
    Case("D101", "an array that the archive lacks", where="all.npz", what=("train_x",),
         files=npz("all.npz", train_x=X,
                   train_y=Y), text=train_only().replace("train-x.npy",
                                                         "all.npz:x").replace("train-y.npy", "all.npz:train_y"),
         near_files=npz("all.npz", x=X,
                        y=Y), near=train_only().replace("train-x.npy", "all.npz:x").replace("train-y.npy",
                                                                                            "all.npz:y")),
    Case("D102", "a folder for a file", where="arrays.npy", what=("is a folder",),
         setup="mkdir arrays.npy; cp train-x.npy arrays.npy/x.npy",
         text=config(source=DATA.replace("train-x.npy", "arrays.npy")), fill={"FILE": "x.npy"},
         near_setup="mkdir arrays.npy; cp train-x.npy arrays.npy/x.npy",
         near=config(source=DATA.replace("train-x.npy", "arrays.npy/x.npy"))),
    Case("D103", "a web page saved as an array", where="train-x.npy", what=("not a NumPy array",), again=SOUND,
         files=raw("train-x.npy", b"<!DOCTYPE html><html><body>404</body></html>" * 9),
         near_files=lambda f: np.save(f / "train-x.npy", np.asfortranarray(X))),
    Case("D104", "a copy that broke off", where="train-x.npy", what=("103,808", "50,000"), again=SOUND,
         files=cut("train-x.npy", 50_000), near_files=save(train_x=X[:120], train_y=Y[:120])),
    Case("D105", "images without pixels", where="train-x.npy", what=("240×0×12×3",), fill={"FILE": "good.npy"},
         files=both(save(good=X), save(train_x=X[:, :0])), near_files=save(train_x=X[:40], train_y=Y[:40])),
    Case(
        "D106", "a .gz cut in the middle", where="train.gz", what=("damaged",), again=lambda f: idx(f, False),
        files=lambda f: idx(f, True),
        text=config(source='train = { images = "train.gz", labels = "labels.gz" }\n'
                    'val = { images = "train.gz", labels = "labels.gz" }\n'.split("val")[0]),
        near_files=lambda f: idx(f, False),
        near=config(source='train = { images = "train.gz", labels = "labels.gz" }\n')),
    Case("M101", "a .gz that inflates beyond memory", where="train.gz", files=lambda f: inflating(f, 1 << 22),
         text=config(source='train = { images = "train.gz", labels = "labels.gz" }\n'), limit="ulimit -v 1200000",
         near_files=lambda f: idx(f, False), by_hand="another machine, or fewer images",
         near=config(source='train = { images = "train.gz", labels = "labels.gz" }\n')),
    Case("L106", "labels cut in the middle", where="labels.gz", what=("damaged",), again=lambda f: idx(f, False),
         files=lambda f: idx(f, "labels.gz"), near_files=lambda f: idx(f, False),
         text=config(source='train = { images = "train.gz", labels = "labels.gz" }\n'),
         near=config(source='train = { images = "train.gz", labels = "labels.gz" }\n')),
    Case("D107", "a list of arrays", where="train-x.npy", what=("object",),
         files=lambda f: np.save(f / "train-x.npy",
                                 np.array([*X, None], dtype=object)[:-1], allow_pickle=True),
         near_files=save(train_x=np.array(list(X)))),
    Case("D108", "no images", where="val-x.npy", what=("0 images",), files=save(val_x=V[:0], val_y=W, good=V),
         fill={"FILE": "good.npy"}, near_files=save(val_x=V[:40], val_y=W[:40])),
    Case("D109", "flat images", where="train-x.npy", what=("2 axes (240×432)",), files=save(train_x=X.reshape(240, -1)),
         near_files=save(train_x=X.reshape(240, -1).reshape(-1, 12, 12, 3))),
    Case(
        "D109", "images and labels swapped", where="train-y.npy", what=("swapped", "240×12×12×3"), text=config(
            source=DATA.replace('"train-x.npy", labels = "train-y.npy"', '"train-y.npy", labels = "train-x.npy"'))),
    Case("D110", "channels first", where="train-x.npy", what=("240×3×12×12", "12×12×3"), files=NCHW,
         near=config(data='layout = "nchw"\n'), near_files=NCHW),
    Case("D110", "channels last called first", where="train-x.npy", what=("240×12×12×3",),
         text=config(data='layout = "nchw"\n')),
    Case("D111", "no channel axis", where="train-x.npy[0]", what=("12×12×1 (gray)", "12×12×3"), files=GRAY,
         near_files=GRAY, near=config(input="[12, 12, 1]")),
    Case("D111", "another size", where="train-x.npy[0]", what=("12×12×3", "16×16×3"), text=config(input="[16, 16, 3]"),
         near=config(input="[16, 16, 3]", data="resize = [16, 16]\n")),
    Case("D111", "the count for the height", where="train-x.npy[0]",
         what=("240×12×12: the number of images is no part of it",), text=config(input="[240, 12, 12]")),
    Case("D111", "an alpha channel", where="train-x.npy[0]", what=("12×12×4", "12×12×3"),
         files=save(train_x=np.concatenate([X, X[..., :1]], 3), val_x=np.concatenate([V, V[..., :1]], 3))),
    Case(
        "D111", "photographs of many sizes", where="cats", what=("12×12", "16×16"), text=photos(), files=both(
            folders, lambda f: [(f / "train/cats" / f"big{i}.png").write_bytes(png(x))
                                for i, x in enumerate(pictures(4, 77, 16))]), near=photos(data="resize = 12\n"),
        near_files=both(
            folders, lambda f: [(f / "train/cats" / f"big{i}.png").write_bytes(png(x))
                                for i, x in enumerate(pictures(4, 77, 16))])),
    Case("D112", "nothing left for validation", where="train-x.npy[0]", what=("val_split = 0.001 of 40",),
         files=save(train_x=X[:40], train_y=Y[:40]), text=train_only(data="val_split = 0.001\n"),
         near=train_only(data="val_split = 0.1\n")),
    Case("D113", "three means for gray images", where="train-x.npy[0]", what=("3 values", "1 channel"), files=GRAY,
         text=config(input="[12, 12, 1]", data="normalize = { mean = [0.5, 0.4, 0.3], std = [0.2, 0.2, 0.2] }\n"),
         near_files=GRAY, near=config(input="[12, 12, 1]", data="normalize = { mean = [0.3], std = [0.25] }\n")),
    Case(
        "D114", "a channel of one value", where="train-x.npy[0]", what=("channel 2 is 255",),
        files=save(train_x=np.where(np.arange(3) == 2, 255, X).astype(np.uint8),
                   val_x=np.where(np.arange(3) == 2, 255,
                                  V).astype(np.uint8)), text=config(data='normalize = "per-channel"\n'),
        near_files=save(train_x=np.where(np.arange(3) == 2, 255, X).astype(np.uint8),
                        val_x=np.where(np.arange(3) == 2, 255, V).astype(np.uint8)), near=config()),
    Case("D116", "a crop larger than the images", where="c.toml:4:", what=("64", "12×12"),
         text=config(data="augment = [ { random_crop = 64 } ]\n"),
         near=config(data="augment = [ { random_crop = 12, pad = 2 } ]\n")),
    Case("D117", "splits of two types", where="val-x.npy[0]", what=("data.val holds float32, data.train uint8",),
         files=save(val_x=V.astype(np.float32))),
    Case("D111", "splits of two sizes", where="val-x.npy", what=("12×10×3", "model.input and data.train are 12×12×3"),
         files=save(val_x=V[:, :, :10].copy())),
    Case("D130", "a list with semicolons", where="train.csv:1:1", what=("begins with file,class",),
         text=photos(source=LIST), files=listed(header="file,class"), near_files=listed(), near=photos(source=LIST)),
    Case("D131", "a row of three fields", where="train.csv", text=photos(source=LIST),
         files=listed("train/cats/10.png,cats,1"),
         near_files=listed(""),
         near=photos(source=LIST)),
    Case("D140", "a picture cut short", where="train/cats/12.png", text=photos(),
         files=both(folders, cut("train/cats/12.png", 200)), near_files=folders, near=photos(data='on_bad = "skip"\n')),
    Case("D140", "a text named .jpg", where="train/dogs/a.jpg", what=("neither",), text=photos(),
         files=both(folders, raw("train/dogs/a.jpg", b"hello"))),
    Case("D141", "gray files among colour files", severity="note", where="train/cats/gray.png",
         what=("1 of 61", "gray"), text=photos(),
         files=both(folders, lambda f: (f / "train/cats/gray.png").write_bytes(png(pictures(1, 99)[0, ..., 0]))),
         near_files=lambda f: folders(f, gray=True), near=photos(input="[12, 12, 1]")),
    Case("D142", "files that are no pictures", severity="note", where="notes.txt", text=photos(),
         files=both(folders, raw("train/cats/notes.txt", b"x")), near_files=both(folders,
                                                                                 raw("train/cats/.DS_Store",
                                                                                     b"x")), near=photos()),
    Case("D143", "a class folder without pictures", severity="warning", others=("F104",), where="train/birds",
         text=photos(), setup="mkdir train/birds", files=folders, near_files=folders, near_setup="mkdir train/.hidden",
         near=photos()),
    Case("D144", "an archive cut short", where="train.tar.gz", text=photos(source=TAR), files=archive(damage=4000),
         again=archive(), near_files=archive(), near=photos(source=TAR)),
    Case("D150", "a pack whose shard was cut short", where="shard-00000.pack",
         text=photos(source='train = { pack = "pack/train" }\nval = { folder = "val" }\n'), files=folders,
         fill={"CONFIG": "p.toml", "NEW": "again"}, again=lambda f: (shutil.rmtree(f / "pack"),
                                                                     (f / "again").rename(f / "pack")),
         setup=PACK + "; truncate -s 100 pack/train/*.pack", near_files=folders,
         near=photos(source='train = { pack = "pack/train" }\nval = { folder = "val" }\n'), near_setup=PACK),
    Case("D204", "a NaN", where="train-x.npy[17]", what=("image 17", "432 values"),
         files=both(FLOATS, save(train_x=nan_at(17))), near_files=FLOATS),
    Case(
        "D204", "Inf in data.val", where="val-x.npy[3]", what=("data.val",), files=both(
            FLOATS,
            lambda f: np.save(f / "val-x.npy",
                              np.where(np.arange(120)[:, None, None, None] == 3, np.inf, FV).astype(np.float32)))),
    Case("D205", "every pixel is 7", where="train-x.npy[0]", what=("240 images", "is 7"),
         files=both(save(IMAGES=X), save(train_x=np.full_like(X, 7))), fill={"IMAGES": "np.load_named('IMAGES.npy')"},
         near_files=save(train_x=np.maximum(X, 60))),
    Case("D206", "more pictures than a check decodes", severity="note", where="train/", what=("1,000 of 1,040",),
         text=photos(), files=lambda f: folders(f, of_class=520, splits=("train", "val")), fill={"CONFIG": "c.toml"},
         again=lambda f: None, by_hand="--full is an option of one run", near_files=folders, near=photos()),
    Case("D207", "unscaled floats", severity="warning", where="train-x.npy[0]",
         what=("float32", "20 to 229", "nothing scales"), files=save(train_x=X.astype(np.float32),
                                                                     val_x=V.astype(np.float32)),
         near_files=save(train_x=X.astype(np.float32),
                         val_x=V.astype(np.float32)), near=config(data='normalize = "0-1"\n')),
    Case("D207", "bytes that nothing scales", severity="warning", where="c.toml:4:", what=("20 to 229",),
         text=config(data='normalize = "none"\n'), near=config(data='normalize = "0-1"\n')),
    Case("D208", "scaled twice", severity="warning", where="c.toml:4:13", what=("0.07843 to 0.898", "scaled twice"),
         files=FLOATS, text=config(data='normalize = "0-1"\n'), near_files=FLOATS),
    Case("D209", "train divided, val not", where="val-x.npy[0]",
         what=("data.val is 20 to 229", "data.train 0.07843 to 0.898"),
         files=save(train_x=FX, val_x=V.astype(np.float32)), near_files=save(train_x=FX,
                                                                             val_x=(V / 300).astype(np.float32))),
    Case("D209", "one split centered", where="val-x.npy[0]", files=save(train_x=X.astype(np.float32) / 64 - 2,
                                                                        val_x=V.astype(np.float32) / 64),
         fill={"SAME(x)": "(x - 2).astype(np.float32)"}),
    Case("D210", "mean and std of 0..255 on bytes", where="c.toml:4",
         what=("mean 117", "values of 0.0784 to 0.898", "0 to 255"),
         text=config(data="normalize = { mean = [123.7, 116.8, 110.0], std = [58.4, 57.1, 57.4] }\n"),
         near=config(data="normalize = { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }\n")),
    Case("D210", "mean and std of 0..1 on 0..255", where="c.toml:4", what=("mean 0.449", "20 to 229", "0 to 1"),
         files=save(train_x=X.astype(np.float32), val_x=V.astype(np.float32)),
         text=config(data="normalize = { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }\n")),
    Case("D211", "a mean from nowhere", severity="warning", where="c.toml:4", what=("mean 50",), files=FLOATS,
         text=config(data="normalize = { mean = [50.0], std = [3.0] }\n"), near_files=FLOATS,
         near=config(data="normalize = { mean = [0.4], std = [0.3] }\n")),
    Case(
        "D212", "blank images", severity="warning", where="train-x.npy[40]", what=("5 of 240", "first image 40"),
        files=save(train_x=np.where(((np.arange(240) % 40 == 0) & (np.arange(240) > 0))[:, None, None,
                                                                                        None], 9, X).astype(np.uint8)),
        near_files=save(train_x=np.where((np.arange(240) == 7)[:, None, None, None] &
                                         (np.arange(12) > 0)[:, None, None], 9, X).astype(np.uint8))),
    Case("D213", "copies", severity="warning", where="train-x.npy[200]", what=("40 of 240", "image 200 of image 0"),
         files=save(train_x=copies(X))),
    Case(
        "D213", "copies among photographs", severity="warning", where="Copy of 12.png", what=("2 of 62",),
        text=photos(), files=both(folders, copy("train/cats/12.png", "train/cats/Copy of 12.png"),
                                  copy("train/dogs/13.png", "train/dogs/99.png")), near_files=folders, near=photos()),
    Case("D213", "copies in an archive", severity="warning", where="train.tar.gz", what=("4 of 64",),
         text=photos(source=TAR), files=archive(twice=True), near_files=archive(), near=photos(source=TAR)),
    Case("D214", "the training images again", severity="warning", where="val-x.npy[0]", what=("120 of 120",),
         files=save(val_x=X[60:180], val_y=Y[60:180]),
         near_files=save(val_x=np.minimum(X[60:180] + 1, 255).astype(np.uint8), val_y=Y[60:180])),
    Case("D214", "some of them", severity="warning", where="val-x.npy[0]", what=("20 of 120",),
         files=save(val_x=np.concatenate([X[:20], V[20:]]), val_y=np.concatenate([Y[:20], W[20:]]))),
    Case(
        "D214", "a photograph of both", severity="warning", where="val/cats/13b.png", what=("2 of 62",),
        text=photos(), files=both(folders, copy("train/cats/12.png", "val/cats/it's.png"),
                                  copy("train/cats/13.png", "val/cats/13b.png"))),
    Case(
        "D215", "one image with two labels", severity="warning", where="train-y.npy[200]", what=("40 images", "200 is"),
        files=save(train_x=copies(X), train_y=np.concatenate([Y[:200], (Y[200:] + 1) % 4])),
        near_files=save(train_x=np.where((np.arange(240) >= 200)[:, None, None, None] &
                                         (np.arange(12) == 0)[:, None, None],
                                         copies(X) + 1, copies(X)).astype(np.uint8))),
    Case("D216", "bytes in int64", where="train-x.npy[0]", what=("int64", "20 to 229", "9.223e+18"),
         files=save(train_x=X.astype(np.int64), val_x=V.astype(np.int64)), left=(),
         near_files=save(train_x=X.astype(np.int64),
                         val_x=V.astype(np.int64)), near=config(data='normalize = "per-channel"\n')),
    Case("D216", "zeros and ones in bytes", severity="warning", where="train-x.npy[0]",
         what=("0 to 1", "divided by 255"), files=save(train_x=(X % 2), val_x=(V % 2))),
    Case("D217", "axes that fit both ways", severity="note", where="train-x.npy[0]", what=("12×12×12",),
         text=config(input="[12, 12, 12]"), files=save(train_x=np.repeat(X, 4, 3), val_x=np.repeat(V, 4, 3)),
         near=config(input="[12, 12, 12]",
                     data='layout = "nhwc"\n'), near_files=save(train_x=np.repeat(X, 4, 3), val_x=np.repeat(V, 4, 3))),
    Case("D218", "float64", severity="note", where="train-x.npy[0]", what=("float64", "float32"),
         files=save(train_x=X / 255, val_x=V / 255), near_files=FLOATS),
]


def idx(folder, damaged):
    damaged = "train.gz" if damaged is True else damaged

    def file(name, values):
        head = struct.pack(">BBBB", 0, 0, 8, values.ndim) + b"".join(struct.pack(">I", n) for n in values.shape)
        whole = gzip.compress(head + values.astype(np.uint8).tobytes())
        (folder / name).write_bytes(whole[:len(whole) // 2] if damaged == name else whole)

    file("train.gz", X)
    file("labels.gz", Y)


def inflating(folder, images):
    """Zeros for so many images: a thousandth of that on the disk."""
    idx(folder, False)
    head = struct.pack(">BBBBIIII", 0, 0, 8, 4, images, *X.shape[1:])
    block = gzip.compress(bytes(1 << 24), 1)
    blocks = images * 432 >> 24
    (folder / "train.gz").write_bytes(gzip.compress(head) + block * blocks)


LABEL_CASES = [
    Case("L103", "labels that are text", where="train-y.npy", files=raw("train-y.npy", b"0 1 2 3\n" * 60), again=SOUND,
         near_files=save(train_y=Y.astype(np.uint8))),
    Case("L104", "labels cut short", where="train-y.npy", files=cut("train-y.npy", 900), again=SOUND,
         near_files=save(train_y=Y.astype(">i2"))),
    Case("L105", "rows without columns", where="train-y.npy", what=("240×0",),
         files=both(save(good=Y),
                    save(train_y=np.zeros((240, 0)))), fill={"FILE": "good.npy"}, near_files=save(train_y=Y[:, None])),
    Case("L107", "strings", where="train-y.npy", files=save(train_y=np.array(["cat", "dog", "bird", "fish"])[Y]),
         near_files=save(train_y=Y.astype(np.int8))),
    Case("L108", "all labels of data.val ignored", where="val-y.npy", what=("all 120 labels are 2",),
         text=config(data="ignore_label = 2\n"), files=save(val_y=W * 0 + 2), left=("L209",),
         near_files=save(val_y=np.where(np.arange(120) % 30 == 2, 9, W)), near=config(data="ignore_label = 9\n")),
    Case("L109", "labels of three axes", where="train-y.npy", what=("240×4×1",), text=loss("categorical_crossentropy"),
         files=both(ROWS(4, one_hot), save(train_y=one_hot(240, 4)[..., None])), near_files=ROWS(4, one_hot),
         near=loss("categorical_crossentropy")),
    Case(
        "L115", "a NaN target", where="train-y.npy[5]", text=loss("categorical_crossentropy"),
        files=both(ROWS(4, one_hot),
                   save(train_y=np.where(np.arange(240)[:, None] == 5, np.nan, one_hot(240, 4)).astype(np.float32))),
        near_files=ROWS(4, one_hot), near=loss("categorical_crossentropy")),
    Case("L117", "numbers in one split, rows in the other", where="val-y.npy", what=("rows of 4",),
         files=save(val_y=one_hot(120, 4)), near_files=save(val_y=W[:, None])),
    Case("L120", "fewer labels than images", where="train-y.npy", what=("200 labels", "240 images"),
         files=both(save(good=Y), save(train_y=Y[:200])), fill={"FILE": "good.npy"},
         near_files=save(train_x=X[:200], train_y=Y[:200])),
    Case("L121", "a marker below 0", where="train-y.npy[12]", what=("label -1",),
         files=save(train_y=np.where(np.arange(240) == 12, -1, Y)),
         near_files=save(train_y=np.where(np.arange(240) == 12, -1, Y)), near=config(data="ignore_label = -1\n")),
    Case(
        "L121", "minus one and one", where="train-y.npy",
        text=config(layers=CONV + "  { global_avgpool = true },\n  { dense = 1, activation = \"sigmoid\" },\n",
                    more='loss = "binary_crossentropy"\n'), files=save(train_y=Y % 2 * 2 - 1, val_y=W % 2 * 2 - 1),
        near_files=save(train_y=Y % 2, val_y=W % 2),
        near=config(layers=CONV + "  { global_avgpool = true },\n  { dense = 1, activation = \"sigmoid\" },\n",
                    more='loss = "binary_crossentropy"\n')),
    Case(
        "L122", "labels of CIFAR-100 read as CIFAR-10", where="batch.bin[0]",
        text=config(source='train = { files = ["batch.bin"], format = "cifar10" }\n', input="[32, 32, 3]",
                    layers=CONV + "  { global_avgpool = true },\n  { dense = 10 },\n"), files=lambda f: cifar(f, 33),
        near_files=lambda f: cifar(f, 10),
        near=config(source='train = { files = ["batch.bin"], format = "cifar10" }\n', input="[32, 32, 3]",
                    layers=CONV + "  { global_avgpool = true },\n  { dense = 10 },\n"), by_hand="the file is neither"),
    Case("D131", "a row without a label", where="train.csv:62:1", what=("empty path or label",),
         text=photos(source=LIST), files=listed("train/cats/10.png,")),
    Case(
        "L143", "a class that data.train lacks", where="val", what=("zebra",), text=photos(),
        files=both(folders, lambda f: (f / "val/zebra").mkdir(), copy("val/cats/12.png", "val/zebra/1.png"),
                   remove("val/cats/12.png")), near_files=folders, near=photos()),
    Case("L201", "class numbers for a loss of rows", where="c.toml:15:8", what=("rows of 4 values", "0 to 3"),
         text=loss("categorical_crossentropy"), near=loss("sparse_categorical_crossentropy")),
    Case("L201", "rows for a loss of class numbers", where="c.toml", what=("rows of 4",), files=ROWS(4, one_hot),
         near_files=ROWS(4, one_hot), near=loss("categorical_crossentropy")),
    Case("L201", "fractions for class numbers", where="c.toml", what=("floats",),
         files=save(train_y=(0.5 * Y).astype(np.float32), val_y=(0.5 * W).astype(np.float32)),
         by_hand="what they mean is not known: halves become other classes"),
    Case("L202", "beyond the outputs", where="train-y.npy[33]", what=("label 9", "0 to 3", "4 outputs"),
         files=save(train_y=np.where(np.arange(240) == 33, 9, Y)),
         near_files=save(train_y=np.where(np.arange(240) == 33, 3, Y))),
    Case("L202", "255 for what is not labelled", where="train-y.npy", what=("label 255",),
         files=save(train_y=np.where(np.arange(240) % 50 == 7, 255, Y))),
    Case("L203", "counted from 1", where="train-y.npy[3]", what=("labels are 1 to 4 for 4 outputs",),
         files=save(train_y=Y + 1, val_y=W + 1), near_files=save(train_y=Y + 1,
                                                                 val_y=W + 1), near=config(data="label_offset = -1\n")),
    Case("L204", "one class only", where="train-y.npy[0]", what=("all 240 labels", "are 2"),
         files=both(save(good=Y),
                    save(train_y=Y * 0 + 2)), fill={"FILE": "good.npy"}, near_files=save(train_y=(Y + 1) % 4)),
    Case("L204", "one class in rows", where="train-y.npy[0]", what=("all 240 labels",),
         text=loss("categorical_crossentropy"),
         files=both(ROWS(4, one_hot), save(good=one_hot(240, 4),
                                           train_y=np.eye(4, dtype=np.float32)[Y * 0 + 1])), fill={"FILE": "good.npy"}),
    Case("L205", "rows that sum to 2", where="train-y.npy[0]", what=("sums to 2",),
         text=loss("categorical_crossentropy"),
         files=ROWS(4, lambda n, w: np.clip(one_hot(n, w) + np.roll(one_hot(n, w), 1, 1), 0, 1)),
         near_files=ROWS(4, lambda n, w:
                         (one_hot(n, w) * 0.6 + 0.1).astype(np.float32)), near=loss("categorical_crossentropy")),
    Case("L205", "percent for shares", where="train-y.npy[0]", what=("0 to 100",),
         text=loss("categorical_crossentropy"), files=ROWS(4, lambda n, w: one_hot(n, w) * 100)),
    Case("L206", "rows of another width", where="train-y.npy[0]", what=("rows of 5 values", "4 outputs"),
         text=loss("categorical_crossentropy"), files=ROWS(5, one_hot),
         near=config(layers=CONV + END.replace("4", "5"),
                     more='loss = "categorical_crossentropy"\n'), near_files=ROWS(5, one_hot)),
    Case("L207", "imbalance", severity="warning", where="train-y.npy[0]",
         what=("class 0 has 210 of 240", "class 1 has 10", "87.5 %"),
         files=save(train_y=np.where(np.arange(240) < 210, 0, 1 + np.arange(240) % 3)),
         near_files=save(train_y=np.where(np.arange(240) < 120, 0, 1 + np.arange(240) % 3))),
    Case("L208", "sorted and not shuffled", severity="warning", where="c.toml:4:11", what=("3 changes in 240",),
         text=config(data="shuffle = false\n"), files=save(train_y=np.arange(240) // 60),
         near=config(data="shuffle = false\n")),
    Case("L209", "a validation split of one class", severity="warning", where="val-y.npy[0]",
         what=("all 120 samples of data.val are class 3", "4 classes"), files=save(val_y=W * 0 + 3),
         near_files=save(val_y=np.where(np.arange(120) < 5, 2, W))),
    Case("L210", "a class without samples", severity="warning", where="train-y.npy[0]",
         what=("1 of 4 classes", "class 2"), files=save(train_y=np.where(Y == 2, 3, Y), val_y=np.where(W == 2, 3, W)),
         left=("F104",), near_files=save(train_y=np.where((Y == 2) & (np.arange(240) > 60), 3, Y))),
    Case("L211", "a class that only val has", severity="warning", where="val-y.npy[3]",
         what=("class 3 of data.val has 30 samples",), files=save(train_y=np.arange(240) % 3), left=("F104",),
         near_files=save(train_y=np.where(np.arange(240) % 12 == 3, 3,
                                          np.arange(240) % 3))),
    Case(
        "L212", "labels shuffled against the images", severity="warning", where="train-y.npy[0]", words="--deep",
        what=("labels look shuffled",), files=both(save(train_x=pictures(900, 3000), good=labels(900, 3000)),
                                                   save(train_y=np.random.default_rng(5).integers(0, 4, 900))),
        fill={"FILE": "good.npy"}, near_files=save(train_x=pictures(900, 3000),
                                                   train_y=labels(900, 3000)), near_words="--deep"),
]


def cifar(folder, classes):
    rng = np.random.default_rng(3)
    with open(folder / "batch.bin", "wb") as file:
        for i in range(80):
            file.write(bytes([(i * 7 + classes - 1) % classes]) + rng.integers(0, 255, 3072, dtype=np.uint8).tobytes())


BINARY = config(layers=CONV + '  { global_avgpool = true },\n  { dense = 1, activation = "sigmoid" },\n',
                more='loss = "binary_crossentropy"\n')
ALONE = 'train = { images = "%s", labels = "train-y.npy" }\n'


def in_zip(twice):
    def write(folder):
        folders(folder)
        with zipfile.ZipFile(folder / "train.zip", "w") as archive_file:
            for name in sorted((folder / "train").rglob("*.png")):
                inside = str(name.relative_to(folder))
                archive_file.write(name, inside)
                if twice and name.name in ("12.png", "13.png"):
                    archive_file.write(name, inside.replace(".png", " again's.png"))

    return write


def repacked(folder):
    """What a person does when the line has stopped, and when it has made a new pack."""
    if (folder / "again").exists():
        shutil.rmtree(folder / "pack")
        (folder / "again").rename(folder / "pack")
    else:
        remove("train/cats/c.png", "train/dogs/d.png")(folder)


# One cause that once was two findings, or whose fix did not stand alone.
SINGLE = [
    Case("D110", "one split with channels first", where="val-x.npy", what=("120×3×12×12",),
         files=save(val_x=V.transpose(0, 3, 1, 2).copy()), near_files=NCHW, near=config(data='layout = "nchw"\n')),
    Case("D110", "channels first in config and data", severity="warning", where="c.toml:5:9", what=("3×12×12 is 3 high",),
         text=config(input="[3, 12, 12]"), files=NCHW, near_files=NCHW, near=config(data='layout = "nchw"\n')),
    Case("D109", "labels for images", where="train-y.npy", what=("1 axis (240)",),
         text=config(source=ALONE % "train-y.npy"), fill={"FILE": "train-x.npy"}, near=config(source=ALONE % "train-x.npy")),
    Case("D101", "a file for the folder of data", where="train-x.npy", what=("is a file",),
         words="--data-root train-x.npy", near_words="--data-root ."),
    Case("D208", "divided by 255 twice, and saved", severity="warning", where="train-x.npy[0]", what=("0.003522",),
         files=save(train_x=FX / 255, val_x=FV / 255), near_files=save(train_x=FX / 16, val_x=FV / 16)),
    Case("D209", "one split divided twice", where="val-x.npy[0]", files=save(train_x=FX / 255, val_x=FV), others=(),
         mended=config(data='normalize = "per-channel"\n'), by_hand="the split that is right is not known"),
    Case("L201", "class numbers as floats", where="c.toml:11:1", what=("floats",),
         files=save(train_y=Y.astype(np.float32), val_y=W.astype(np.float32)),
         near_files=save(train_y=Y.astype(np.int32), val_y=W.astype(np.int32))),
    Case("L117", "one split's numbers as floats", where="val-y.npy", files=save(val_y=W.astype(np.float64)),
         near_files=save(val_y=W.astype(np.uint8))),
    Case("L203", "one split counts from 1", where="val-y.npy[3]", what=("1 to 4", "0 to 3"), files=save(val_y=W + 1),
         near_files=save(train_y=Y + 1, val_y=W + 1), near=config(data="label_offset = -1\n")),
    Case("L202", "ids that were never made class numbers", where="train-y.npy[1]", what=("label 10",),
         files=save(train_y=Y * 10, val_y=W * 10), near_files=save(train_y=Y, val_y=W)),
    Case("L202", "0 and 255 for two classes", where="train-y.npy[1]", what=("0 and 255",), text=BINARY,
         files=save(train_y=Y % 2 * 255, val_y=W % 2 * 255), near=BINARY, near_files=save(train_y=Y % 2, val_y=W % 2)),
    Case("L210", "counted from 1 with an output to spare", severity="warning", where="train-y.npy[0]",
         what=("class 0", "1 to 4"), text=config(layers=CONV + END.replace("4", "5")),
         files=save(train_y=Y + 1, val_y=W + 1), left=("F104",),
         near=config(layers=CONV + END.replace("4", "5")), near_files=save(train_y=np.arange(240) % 5, val_y=np.arange(120) % 5)),
    Case("L205", "a row of zeros", where="train-y.npy[9]", what=("sums to 0",), text=loss("categorical_crossentropy"),
         files=both(ROWS(4, one_hot),
                    save(train_y=np.where(np.arange(240)[:, None] == 9, 0, one_hot(240, 4)).astype(np.float32))),
         near=loss("categorical_crossentropy"), near_files=ROWS(4, one_hot)),
    Case("L121", "half of the numbers below 0", where="train-y.npy", what=("label -2", "120 of 240"),
         files=save(train_y=Y - 2, val_y=W - 2), near_files=save(train_y=Y, val_y=W)),
    Case("L204", "one target for all", where="train-y.npy[0]", what=("all 240 targets",),
         text=config(layers=CONV + "  { global_avgpool = true },\n  { dense = 1 },\n", more='loss = "mse"\n'),
         files=both(ROWS(1, lambda n, w: np.arange(n * w).reshape(n, w).astype(np.float32) % 7 / 7),
                    save(good=(np.arange(240)[:, None] % 7 / 7).astype(np.float32),
                         train_y=np.full((240, 1), 3, np.float32))), fill={"FILE": "good.npy"},
         near=config(layers=CONV + "  { global_avgpool = true },\n  { dense = 1 },\n", more='loss = "mse"\n'),
         near_files=ROWS(1, lambda n, w: np.arange(n * w).reshape(n, w).astype(np.float32) % 7 / 7)),
    Case("D213", "copies in a zip archive", severity="warning", where="train.zip", what=("4 of 64",),
         text=photos(source=TAR.replace("tar.gz", "zip")), files=in_zip(True), near_files=in_zip(False),
         near=photos(source=TAR.replace("tar.gz", "zip"))),
    Case("D213", "copies in a pack", severity="warning", where="pack", what=("2 of 62",),
         text=photos(source='train = { pack = "pack/train" }\nval = { folder = "val" }\n'), setup=PACK,
         files=both(folders, copy("train/cats/12.png", "train/cats/c.png"), copy("train/dogs/13.png", "train/dogs/d.png")),
         near_files=folders, near=photos(source='train = { pack = "pack/train" }\nval = { folder = "val" }\n'),
         near_setup=PACK, fill={"CONFIG": "p.toml", "NEW": "again"}, again=repacked),
    Case("D213", "copies in a pack of files", severity="warning", where="pack", what=("2 of 62",),
         text=photos(source='train = { pack = "pack/train" }\nval = { folder = "val" }\n'),
         setup=PACK + " --keep files",
         files=both(folders, copy("train/cats/12.png", "train/cats/c.png"), copy("train/dogs/13.png", "train/dogs/d.png")),
         near_files=folders, near=photos(source='train = { pack = "pack/train" }\nval = { folder = "val" }\n'),
         near_setup=PACK + " --keep files", fill={"CONFIG": "p.toml", "NEW": "again"}, again=repacked),
]

CASES = DATA_CASES + LABEL_CASES + SINGLE
