"""What is trained in a `model_dir`, as noted in its `recipe.json`.

A run goes on where another stopped only if recipe, images and TensorFlow are the same. Otherwise it
would end with weights that no single run gives.
"""

import dataclasses
import importlib.metadata
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from cnn_mnist.data import dataset, limits, placement
from cnn_mnist.data.dataset import Dataset
from cnn_mnist.data.form import MNIST, Form
from cnn_mnist.models.tables import require_known
from cnn_mnist.recipes import BEFORE, CLASSIC, CONSTANTS, RECIPES, Recipe, as_begun, chosen
from cnn_mnist.utils.errors import InputError
from cnn_mnist.utils.files import write_files

FILE = "recipe.json"


class RecordError(InputError):
    """A `model_dir` of another run, or a note in it that cannot be read."""


@dataclasses.dataclass(frozen=True)
class Record:
    """Everything that decides the bits of a trained network."""

    recipe: Recipe  # the hyper-parameters
    data_sha256: str  # of the training and validation images and labels; see `dataset.digest`
    tensorflow: str  # its version; another one rounds differently
    constants: int = 1  # see `recipes.CONSTANTS`; a note that lacks it is of number 1
    form: Form = MNIST  # of the images; a note that lacks it is of MNIST's
    # How pictures are brought to such images, which decides no bit. None: it was not noted.
    preprocess: str | None = None


def of(recipe: Recipe, data: Dataset) -> Record:
    """The record of a run that is about to begin."""
    tensorflow = importlib.metadata.version("tensorflow")
    preprocess = placement.preprocess(data.test.images)
    digest = dataset.digest(data)
    return Record(recipe.resolved(), digest, tensorflow, CONSTANTS, data.form, preprocess)


def load(
    recipe: Recipe, model_dir: str | Path, data_dir: str | None, fixed: Collection[str]
) -> tuple[Recipe, Dataset]:
    """The data set to train on, and the recipe with the sizes that its splits have.

    Of the two sizes in the recipe those in `fixed` are meant exactly, and so are those with which
    the run in `model_dir` began; the others give way where the data set is small, see
    `dataset.load`.
    """
    there = read(model_dir)
    sizes = {name: getattr(recipe, name) for name in dataset.SPLIT_SIZES}
    noted = [name for name in sizes if there and getattr(there.recipe, name) == sizes[name]]
    data = dataset.load(data_dir, **sizes, fixed=[*fixed, *noted])
    sizes["validation_size"] = len(data.validation)
    if sizes["train_size"]:
        sizes["train_size"] = len(data.train)
    return dataclasses.replace(recipe, **sizes), with_noted_names(data, model_dir)


def resolved(recipe: Recipe, model_dir: str | Path) -> Recipe:
    """The recipe as the run in `model_dir` began with it; of a new run, with a precision."""
    there = read(model_dir)
    if there:
        recipe = as_begun(recipe, there.recipe)
    return recipe.resolved(there.recipe if there else None)


def recipe_of(model_dir: str | Path, given: str | Recipe | None = None) -> Recipe:
    """The given recipe, or that of the given name; else the one noted in `model_dir`, or classic.

    Raises:
      RecordError: the note there cannot be read.
      RecipeError: there is no recipe of the given name.
    """
    there = read(model_dir)
    if given is not None:
        return as_begun(chosen(given), there.recipe) if there else chosen(given)
    return there.recipe if there else RECIPES[CLASSIC]


def form_of(model_dir: str | Path) -> Form | None:
    """What the images are that the network in `model_dir` takes; None where nothing is noted.

    Raises RecordError for a note that cannot be read.
    """
    there = read(model_dir)
    return there.form if there else None


def preprocess_of(model_dir: str | Path) -> str:
    """How pictures are brought to the images that the network in `model_dir` was trained on.

    Where that was not noted, it is told from the names of the classes.

    Raises RecordError for a note that cannot be read.
    """
    there = read(model_dir)
    if there and there.preprocess:
        return there.preprocess
    digits = there is None or there.form.class_names == MNIST.class_names
    return placement.DIGIT if digits else placement.PLAIN


def with_noted_names(data: Dataset, model_dir: str | Path) -> Dataset:
    """The data set, whose classes have the names noted in `model_dir` if their own are numbers."""
    form, there = data.form, form_of(model_dir)
    bare = limits.numbered(**limits.sizes(form))
    if there is None or form != bare or limits.sizes(there) != limits.sizes(form):
        return data
    return dataset.with_names(data, there.class_names)


def trained(
    model_dir: str | Path,
    recipe: str | Recipe | None,
    data: Dataset | None,
    data_dir: str | None,
    class_names: Sequence[str] | None,
) -> tuple[Recipe, Dataset]:
    """What was trained in `model_dir`, and a data set of that form, its classes named.

    Args:
      recipe: what was trained there; None for what is noted there.
      data: the images; None for those of `data_dir`.
      data_dir: a folder that `dataset.load` can read; None for the MNIST inside the package.
      class_names: in the order of the labels; None for those of the data, or, if these are mere
        numbers, those noted there.

    Raises:
      RecordError: the note cannot be read, or the data are of another form.
      RecipeError: there is no such recipe.
      DatasetError: images that cannot be read.
    """
    known = recipe_of(model_dir, recipe)
    require_known(known)
    if data is None:
        _, data = load(known, model_dir, data_dir, fixed=())
    require_form(data.form, model_dir)
    return known, dataset.with_names(with_noted_names(data, model_dir), class_names)


def require_form(form: Form, model_dir: str | Path) -> None:
    """Checks that the images are of the form that the network in `model_dir` takes.

    Raises:
      RecordError: they are of another; the message names both.
    """
    there = form_of(model_dir)
    if there and (differing := _differing_forms(there, form)):
        raise RecordError(
            f"--model_dir={model_dir}: {differing}; give the --data_dir that it was trained on, or "
            "name another --model_dir"
        )


def trained_on(data: Dataset, model_dir: str | Path) -> bool:
    """Whether the network in `model_dir` was trained on this data set, or nothing is noted of it.

    Raises RecordError for a note that cannot be read.
    """
    there = read(model_dir)
    return there is None or there.data_sha256 == dataset.digest(data)


def read(model_dir: str | Path) -> Record | None:
    """What is noted in `model_dir`, None for nothing; raises RecordError if it cannot be read."""
    path = Path(model_dir) / FILE
    try:
        fields = json.loads(path.read_bytes())
        form = limits.from_json(fields["form"]) if "form" in fields else MNIST
        record = Record(**{**fields, "recipe": _recipe(fields["recipe"]), "form": form})
        if not isinstance(record.data_sha256, str) or not isinstance(record.tensorflow, str):
            raise ValueError("data_sha256 and tensorflow are not both text")
        if type(record.constants) is not int:
            raise ValueError(f"constants is {record.constants!r}")
        if record.preprocess not in (None, *placement.WAYS):
            raise ValueError(f"preprocess is {record.preprocess!r}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())
        raise RecordError(
            f"--model_dir: {path} cannot be read: expected recipe, data_sha256 and tensorflow, "
            f"found {reason:.200}; name another --model_dir, or delete the file if you are sure "
            "what was trained there"
        ) from None
    return record


def check(record: Record, model_dir: str) -> None:
    """Checks that the run in `model_dir` is the same; only its number of steps may grow.

    It may not where the learning rate follows a schedule over all steps.

    Raises:
      RecordError: it is another; the message names every field that differs. Or a damaged note.
    """
    there = read(model_dir)
    if there is None:
        return
    schedule = there.recipe.learning_rate_schedule
    differing = []
    for name, was in there.recipe.params().items():
        now = getattr(record.recipe, name)
        grown = name == "steps" and now > was
        if now == was or (grown and schedule == "constant"):
            continue
        why = f" (it cannot grow, as the {schedule} schedule was laid over {was} steps)"
        differing.append(f"--{name} is {was}, not {now}{why if grown else ''}")
    if forms := _differing_forms(there.form, record.form):
        differing.append(forms)
    if there.data_sha256 != record.data_sha256:
        differing.append(
            f"the sha256 of the --data_dir's images is {there.data_sha256:.12}..., "
            f"not {record.data_sha256:.12}..."
        )
    if there.tensorflow != record.tensorflow:
        differing.append(f"TensorFlow is {there.tensorflow}, not {record.tensorflow}")
    if there.constants != record.constants:
        differing.append(
            f"the constants in its program are number {there.constants}, not {record.constants}, "
            "so that another version of cnn_mnist trained it"
        )
    if differing:
        raise RecordError(
            f"--model_dir={model_dir}: holds another run: {'; '.join(differing)}. "
            "Give what it was started with, or name another --model_dir"
        )


def noted(record: Record) -> dict[str, Any]:
    """The record in JSON's types."""
    return json.loads(json.dumps(dataclasses.asdict(record)))


def require_alike(own: dict[str, Any], chiefs: dict[str, Any]) -> None:
    """Checks that a worker was started to train what its chief trains.

    Args:
      own, chiefs: what each has `noted`, and what else they have to agree on.

    Raises:
      RecordError: it was not; the message names the flags.
    """

    def by_name(note: dict[str, Any]) -> dict[str, Any]:
        note = {name: value for name, value in note.items() if name != "preprocess"}
        flags = {f"--{name}": value for name, value in note.pop("recipe").items()}
        return {**flags, "data": limits.described(limits.from_json(note.pop("form"))), **note}

    ours = by_name(own)
    differing = [
        f"{name} is {ours.get(name)}, the chief's {value}"
        for name, value in by_name(chiefs).items()
        if ours.get(name) != value
    ]
    if differing:
        raise RecordError(
            f"this worker and the chief train different things: {'; '.join(differing)}; "
            "start every process with the same flags"
        )


def write(record: Record, model_dir: str | Path) -> None:
    """Notes in `model_dir` what is trained there."""
    text = json.dumps(dataclasses.asdict(record), indent=2) + "\n"
    write_files(model_dir, {FILE: text.encode()})


def _differing_forms(there: Form, now: Form) -> str:
    """In words, how the sizes of two forms differ; "" if they do not. Names change no weight."""
    if limits.sizes(there) == limits.sizes(now):
        return ""
    return f"it was trained on {limits.described(there)}, not {limits.described(now)}"


def _recipe(fields: dict[str, Any]) -> Recipe:
    """The recipe with these fields; a missing one has the value that runs had before it existed.

    Raises RecipeError for a value that is out of range, of another type, or in no table.
    """
    older = {f.name: f.metadata.get(BEFORE, f.default) for f in dataclasses.fields(Recipe)}
    recipe = Recipe(**{**older, **fields})
    require_known(recipe, but="network")  # which may be one of a program that is not loaded
    return recipe
