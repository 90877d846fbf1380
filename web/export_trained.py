"""Exports what was trained in `model_dir` and the folders in it, for the page to list.

python web/export_trained.py

Each becomes a folder `web/public/models/trained-NAME`; those that are newer than their checkpoints
are left as they are, and those whose checkpoints are gone are deleted.
"""

import re
import shutil
import sys
from pathlib import Path

from cnn_mnist.utils import console

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "web" / "public" / "models"
PREFIX = "trained-"


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
    """Whether there is a checkpoint that was written after the export."""
    model = exported / "model.json"
    return not model.exists() or model.stat().st_mtime <= (folder / "checkpoint").stat().st_mtime


def export(folder: Path, target: Path) -> None:
    """Exports one network; one that cannot be is told, and left out."""
    # Not before it is needed: this loads TensorFlow.
    console.start_tensorflow()
    from cnn_mnist.checkpoints import record
    from cnn_mnist.exports import tfjs
    from cnn_mnist.utils.errors import InputError

    shutil.rmtree(target, ignore_errors=True)
    try:
        found = record.read(folder)
        if found:
            tfjs.layers_model(found.recipe, str(folder), str(target), found.form)
    except InputError as error:
        print(f"{folder}: not exported: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
