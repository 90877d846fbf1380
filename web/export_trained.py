"""Exports what was trained in `model_dir` and the folders in it, for the page to list.

python web/export_trained.py

Each becomes a folder `web/public/models/trained-NAME`; those that are newer than their checkpoints
and reports are left as they are, and those whose checkpoints are gone are deleted. Beside the
network lies `origin.json`: the recipe, the data, the folder, the step and, where a report was made
at this step, the test accuracy.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from cnn_mnist.checkpoints import record
from cnn_mnist.checkpoints.record import Record
from cnn_mnist.data import dataset
from cnn_mnist.data.form import MNIST
from cnn_mnist.recipes import name_of
from cnn_mnist.utils import console, curves
from cnn_mnist.utils.errors import InputError
from cnn_mnist.utils.files import write_files

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "web" / "public" / "models"
PREFIX = "trained-"
ORIGIN = "origin.json"


def main(model_dir: Path = ROOT / "model_dir", models: Path = MODELS) -> None:
    """Exports what is new, and tells what could not be."""
    trained = {}
    for folder in [model_dir, *sorted(model_dir.iterdir())]:
        if (folder / "checkpoint").is_file() and (folder / "recipe.json").is_file():
            trained[PREFIX + re.sub(r"[^\w.-]", "_", folder.name, flags=re.ASCII)] = folder
    for old in models.glob(f"{PREFIX}*"):
        if old.name not in trained:
            shutil.rmtree(old)
    outdated = [name for name, folder in trained.items() if is_outdated(folder, models / name)]
    if outdated:
        print(f"Exporting for the page: {', '.join(outdated)}")
    for name in outdated:
        export(trained[name], models / name)


def is_outdated(folder: Path, exported: Path) -> bool:
    """Whether there is a checkpoint or a report that was written after the export."""
    if not all((exported / name).exists() for name in ("model.json", ORIGIN)):
        return True
    sources = [folder / "checkpoint", folder / "report" / "report.json"]
    newest = max(source.stat().st_mtime for source in sources if source.exists())
    return (exported / ORIGIN).stat().st_mtime <= newest


def export(folder: Path, target: Path) -> None:
    """Exports one network; one that cannot be is told, and left out."""
    # Not before it is needed: this loads TensorFlow.
    console.start_tensorflow()
    from cnn_mnist.exports import tfjs

    shutil.rmtree(target, ignore_errors=True)
    try:
        found = record.read(folder)
        if found:
            tfjs.layers_model(found.recipe, str(folder), str(target), found.form)
            noted = json.loads((target / tfjs.MODEL).read_bytes())["userDefinedMetadata"]
            text = json.dumps(origin(folder, found, noted["step"]), indent=1) + "\n"
            write_files(target, {ORIGIN: text.encode()})
    except InputError as error:
        print(f"{folder}: not exported: {error}", file=sys.stderr)


def origin(folder: Path, found: Record, step: int) -> dict[str, Any]:
    """Where a network comes from; what is not known is left out."""
    accuracy = curves.read_test_accuracy(folder)
    at_steps = dict(zip(accuracy.steps, accuracy.values, strict=True))
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else Path(folder.name)
    known = {
        "recipe": name_of(found.recipe),
        "data": data_of(found),
        "folder": shown.as_posix(),
        "step": step,
        "test_accuracy": at_steps.get(step),
    }
    return {name: value for name, value in known.items() if value is not None}


def data_of(found: Record) -> str:
    """What was trained on: `MNIST` for the embedded images, else their size and classes."""
    form = found.form
    if form == MNIST:
        sizes = {name: getattr(found.recipe, name) for name in dataset.SPLIT_SIZES}
        try:
            if found.data_sha256 == dataset.digest(dataset.load(**sizes)):
                return "MNIST"
        except InputError:
            pass  # fewer images than were trained on
    kind = "grey" if form.channels == 1 else "colour"
    return f"own data: {form.height} x {form.width}, {kind}, {form.num_classes} classes"


if __name__ == "__main__":
    main()
