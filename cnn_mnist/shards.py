"""Writes a data set as TFRecord shards, for data that fit neither into memory nor onto one disk.

python -m cnn_mnist.shards --output_dir=FOLDER --shards=16 [--data_dir=...]
python -m cnn_mnist.shards --check=FOLDER

The first makes `train-00000-of-00016.tfrecord` and so on, `test-00000-of-00016.tfrecord` and so on,
and `shards.json` (see `tfrecord.py` and `shard_list.py` for what is in them). The folder appears
whole or not at all. `python -m cnn_mnist.main --data_dir=FOLDER` trains on it.

Records are dealt to the shards round robin, not in blocks: a batch is drawn from one shard, which
should be a sample of the whole even where the images come sorted.

To spread shards over several disks, move them, and leave symbolic links in their place or change
"file" in `shards.json`. A run that was begun before goes on: it knows the shards by their content.

A shard stays in memory while it is trained on. Make so many that three of them fit into memory: a
batch may end one and begin the next. Shards of other programs work too, if they are listed in a
`shards.json` and hold the same features.

Training finds what is missing or of another size before it begins, and damage when it reads it, by
the checksums of the TFRecord format. The second command also compares the sha256.
"""

import argparse
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from cnn_mnist.data import dataset, shard_list, tfrecord
from cnn_mnist.data.dataset import DatasetError
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.data.shard_list import Shard
from cnn_mnist.data.splits import Split
from cnn_mnist.utils import console, files, process
from cnn_mnist.utils.errors import Parser, UsageError, shown
from cnn_mnist.utils.process import end_program


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code, see `process.code_of`; 2 also for a damaged shard."""

    return process.code_of(lambda: _run(_parser().parse_args(argv)))


def write(output_dir: str, shards: int, train: Split, test: Split, form: Form = MNIST) -> None:
    """Writes training and test images as shards, in a folder that appears whole or not at all.

    Args:
      output_dir: the folder, new or empty.
      shards: how many to write of either; of the test images at most as many as there are.
      train: all training images, in their order.
      test: the test images.
      form: what they are.

    Raises:
      InputError: the folder is not empty, or there are fewer images than shards.
    """
    most = min(len(train), shard_list.MAX_SHARDS)
    if not 1 <= shards <= most:
        raise UsageError(f"--shards={shards}: expected 1 to {most}; give a value in between")
    splits = {"train": (train, shards), "test": (test, min(shards, len(test)))}
    work = [(name, split, i, n) for name, (split, n) in splits.items() for i in range(n)]
    written: dict[str, list[Shard]] = {name: [] for name in splits}
    with files.whole_folder(output_dir, "output_dir") as folder:
        folder.mkdir()
        screen = console.stderr_console()
        hidden = not screen.is_terminal
        for name, split, i, n in track(work, "writing", console=screen, disable=hidden):
            path = folder / f"{name}-{i:05}-of-{n:05}.tfrecord"
            written[name].append(_write_shard(path, split.images[i::n], split.labels[i::n], form))
        shard_list.write(folder, **written, form=form)


def check(folder: str) -> int:
    """Reads all shards of a folder, and tells of each that is missing or damaged.

    Returns the exit code: 0, or 2 if there is such a one. Raises InputError for a folder that does
    not exist or whose `shards.json` cannot be used.
    """
    if not Path(folder or os.devnull).is_dir():
        raise UsageError(f"--check={shown(folder)}: expected a folder of shards, found none")
    shards = shard_list.read_list(Path(folder))
    every = (*shards.train, *shards.test)
    screen = console.stderr_console()
    faults = 0
    for shard in track(every, "checking", console=screen, disable=not screen.is_terminal):
        try:
            shard_list.check(shard, shards.form)
        except DatasetError as error:
            screen.print(f"error: {error}", markup=False)
            faults += 1
    images = sum(shard.records for shard in every)
    print(f"checked {len(every):,} shards, {images:,} images: {faults:,} shards are damaged")
    return 2 if faults else 0


def _run(options: argparse.Namespace) -> int:
    console.tame_environment()
    if options.check is not None:
        return check(options.check)
    files.check_folder("output_dir", options.output_dir, writable=True)
    files.check_free(options.output_dir, "output_dir")
    data = dataset.load(options.data_dir, validation_size=0)
    train = dataset.in_memory(data.train)
    write(options.output_dir, options.shards, train, data.test, data.form)
    folder = shown(options.output_dir)
    print(f"wrote {len(train):,} training and {len(data.test):,} test images: {folder}")
    return 0


def _write_shard(path: Path, images: np.ndarray, labels: np.ndarray, form: Form) -> Shard:
    content = tfrecord.encode(images, labels, form).tobytes()
    files.write_files(path.parent, {path.name: content})
    return Shard(path, len(labels), len(content), hashlib.sha256(content).hexdigest())


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m cnn_mnist.shards",
        description="Writes a data set as TFRecord shards, or checks such shards.",
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--output_dir", help="The folder to make.")
    what.add_argument("--check", metavar="FOLDER", help="A folder of shards to read whole.")
    parser.add_argument("--shards", type=int, default=16, help="How many to write.")
    parser.add_argument(
        "--data_dir", help="Folder with the images to write. Left out: the MNIST of the package."
    )
    return parser


if __name__ == "__main__":
    end_program(main())
