"""Tests of parquet files; what needs pyarrow is left out where it is not installed."""

import io
import json
import sys

import numpy as np
import pytest
from format_files import assert_read, examples, png, put
from mnist_files import failure

from cnn_mnist.data.formats import table


def parquet(images, labels, *, struct=True, names=None, columns=("image", "label"), **options):
    """A parquet file as Hugging Face writes it."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as writer

    cells = [png(image) for image in images]
    if struct:
        cells = [{"bytes": cell, "path": f"{i}.png"} for i, cell in enumerate(cells)]
    made = pa.table({columns[0]: cells, columns[1]: pa.array([int(y) for y in labels])})
    if names:
        feature = {"names": names, "_type": "ClassLabel"}
        info = {"info": {"features": {columns[1]: feature}}}
        made = made.replace_schema_metadata({"huggingface": json.dumps(info)})
    stream = io.BytesIO()
    writer.write_table(made, stream, **options)
    return stream.getvalue()


def files(made, **options):
    return {
        f"data/{split}-00000-of-00001.parquet": parquet(
            made[f"x_{split}"], made[f"y_{split}"], **options
        )
        for split in ("train", "test")
    }


def test_without_pyarrow_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = failure(table.read, put(tmp_path, {"train.parquet": b""}))
    assert "expected pyarrow, which reads parquet, found none installed; install it: " in message
    assert message.endswith("pip install 'cnn_mnist[parquet]'")


@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 3)])
@pytest.mark.parametrize("struct", [True, False])
def test_pictures_and_labels(tmp_path, shape, struct):
    made = examples(shape)
    assert_read(put(tmp_path, files(made, struct=struct, row_group_size=4)), made)


def test_names_of_classes_and_of_columns(tmp_path):
    made = examples()
    names = ["ant", "bee", "cat", "dog"]
    options = {"names": names, "columns": ("img", "fine_label")}
    told = ["no training images of dog"]
    assert_read(put(tmp_path, files(made, **options)), made, names, told)


def test_parts_come_in_the_order_of_their_names(tmp_path):
    made = examples()
    halves = {
        f"train-0000{i}-of-00002.parquet": parquet(
            made["x_train"][7 * i : 7 * i + 7], made["y_train"][7 * i : 7 * i + 7]
        )
        for i in (1, 0)
    }
    halves["test-00000-of-00001.parquet"] = parquet(made["x_test"], made["y_test"])
    assert_read(put(tmp_path, halves), made)


def test_what_is_wrong_is_told(tmp_path):
    made = examples()
    name = "data/train-00000-of-00001.parquet"
    good = files(made)
    put(tmp_path, {**good, name: good[name][:-9]})
    message = failure(table.read, tmp_path)
    assert message.startswith(f"{tmp_path / name}: expected a readable parquet file, found ")
    put(tmp_path, files(made, columns=("photo", "label")))
    message = failure(table.read, tmp_path)
    assert "expected a column image of bytes and a column label of integers, found photo" in message
    negative = made["y_train"].astype(int) - 1
    put(tmp_path, {**good, name: parquet(made["x_train"], negative)})
    message = failure(table.read, tmp_path)
    place = np.flatnonzero(negative < 0)[0]
    assert f"{name}: row {place}: expected a label of at least 0, found -1" in message
    put(tmp_path, {**good, name: good[name].replace(b"\x89PNG", b"\x89PNX")})
    message = failure(table.read, tmp_path)
    assert message.startswith(f"{tmp_path / name}")
