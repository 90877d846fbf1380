import os

import pytest

from cnn_mnist import recipes
from cnn_mnist.utils import console, processor


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16 avx512_vnni", "bfloat16"),
        ("fpu amx_bf16 amx_tile", "bfloat16"),
        ("fpu avx2 avx512f avx512_vnni", "float32"),
        ("fpu not_amx_bf16x", "float32"),
    ],
)
def test_precision_follows_the_processors_flags(tmp_path, flags, expected):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nvendor_id\t: Some\nflags\t\t: {flags}\nbugs\t\t: amx_bf16\n")
    assert processor.precision(path) == expected


def test_a_processor_that_cannot_be_asked_gets_float32(tmp_path):
    assert processor.precision(tmp_path / "missing") == "float32"
    (tmp_path / "empty").write_text("")
    assert processor.precision(tmp_path / "empty") == "float32"


def test_this_processors_answer_is_a_precision():
    assert processor.precision() in recipes.PRECISIONS


@pytest.mark.parametrize(
    ("flags", "pays"), [("fpu avx avx2 fma", True), ("fpu avx2 avx512f", True), ("fpu avx", False)]
)
def test_onednn_pays_from_avx2_on(tmp_path, flags, pays):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert processor.onednn_pays(path) is pays
    assert not processor.onednn_pays(tmp_path / "missing")


@pytest.mark.parametrize(
    ("flags", "unasked", "wide"),
    [
        ("fpu avx2", False, False),
        ("fpu avx2 avx512f", False, True),
        ("fpu avx2 avx_vnni", True, False),
        ("fpu avx2 avx512f avx512_vnni", True, True),
        ("fpu amx_tile avx512f", True, True),
    ],
)
def test_what_else_a_processor_has(tmp_path, flags, unasked, wide):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert processor.onednn_unasked(path) is unasked
    assert processor.has_avx512(path) is wide


@pytest.mark.parametrize(("given", "found"), [("", "1"), ("0", "0")])
def test_tensorflow_starts_with_onednn_unless_told_otherwise(tmp_path, monkeypatch, given, found):
    (tmp_path / "cpuinfo").write_text("flags\t\t: avx2\n")
    monkeypatch.setattr(processor.onednn_pays, "__defaults__", (tmp_path / "cpuinfo",))
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
    if not given:
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    with console.quiet_start():
        assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == found
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", found)  # so that it is taken back
