"""Data sets of other sizes, channels and classes, all the way from files to exports."""

import dataclasses
import json

import numpy as np
import pytest
from form_data import FORMS, LETTERS, arrays
from layers_models import Exported
from mnist_files import write_idx

import cnn_mnist as package
from cnn_mnist import shards
from cnn_mnist.checkpoints import record, saver
from cnn_mnist.data import dataset, limits
from cnn_mnist.data.form import MNIST
from cnn_mnist.exports import saved_model
from cnn_mnist.recipes import Recipe
from cnn_mnist.utils.errors import InputError

STEPS = 6
RECIPE = Recipe(
    network="small_cnn",
    optimizer="adam",
    learning_rate=0.01,
    batch_size=17,
    steps=STEPS,
    dropout_rate=0.3,
    augment="shift_and_mirror",
    average_decay=0.9,
    validation_size=33,
    eval_every_steps=3,
)
QUIET = {"progress": False, "log_every_n_iter": 0}
every_form = pytest.mark.parametrize("trained", list(FORMS), indirect=True)
# Grey and in colour, of sizes and numbers of classes unlike MNIST's; the long tests have all.
QUICK = ("letters", "unlike")
some_forms = pytest.mark.parametrize(
    "trained",
    [form if form in QUICK else pytest.param(form, marks=pytest.mark.long) for form in FORMS],
    indirect=True,
)


class Trained:
    def __init__(self, name, mnist, folder):
        self.form, self.arrays = FORMS[name], arrays(mnist, FORMS[name])
        self.data_dir, self.model_dir = folder / "data", folder / "model"
        self.data_dir.mkdir()
        write_idx(self.data_dir, self.arrays)
        package.train(RECIPE, self.model_dir, data_dir=str(self.data_dir), **QUIET)

    def predicted(self, images):
        with package.Predictor(self.model_dir) as predictor:
            assert predictor.form == self.form
            return predictor.predict(images)


@pytest.fixture(scope="module")
def trained(request, mnist, tmp_path_factory):
    return Trained(request.param, mnist, tmp_path_factory.mktemp("form"))


def variables(folder, step=STEPS):
    return saver.read(folder / f"model.ckpt-{step}")


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].tobytes() == value.tobytes(), name


@every_form
def test_a_data_set_says_what_it_is(trained, tmp_path):
    np.savez(tmp_path / "mnist.npz", **trained.arrays)
    data, of_npz = package.load(trained.data_dir, 33), package.load(tmp_path, 33)
    assert data.form == of_npz.form == trained.form
    assert dataset.digest(data) == dataset.digest(of_npz)
    np.testing.assert_array_equal(data.train.images, trained.arrays["x_train"][33:])
    np.testing.assert_array_equal(of_npz.test.labels, trained.arrays["y_test"])
    noted = json.loads((trained.model_dir / record.FILE).read_bytes())["form"]
    assert limits.from_json(noted) == record.form_of(trained.model_dir) == trained.form


@some_forms
def test_a_training_that_stops_goes_on_with_the_same_bits(trained, tmp_path):
    class Stop(Exception):  # noqa: N818
        pass

    from cnn_mnist import estimator

    class StopAt(estimator.SessionRunHook):
        calls = 0

        def after_run(self, run_context, run_values):
            self.calls += 1
            if self.calls == 4:
                raise Stop

    options = {"data_dir": str(trained.data_dir), "save_checkpoints_steps": 2, **QUIET}
    with pytest.raises(Stop):
        package.train(RECIPE, tmp_path, hooks=[StopAt()], **options)
    assert 0 < saver.steps(tmp_path)[-1] < STEPS
    package.train(RECIPE, tmp_path, steps_per_call=2, **options)
    assert_same(variables(tmp_path), variables(trained.model_dir))


@some_forms
def test_the_report_counts_what_the_predictor_sees(trained):
    report = package.evaluate(trained.model_dir, data_dir=str(trained.data_dir))
    classes, probabilities = trained.predicted(trained.arrays["x_test"])
    labels = trained.arrays["y_test"]
    assert report.class_names == trained.form.class_names
    assert report.accuracy == np.mean(classes == labels)
    count = trained.form.num_classes
    expected = np.bincount(labels.astype(int) * count + classes, minlength=count**2)
    np.testing.assert_array_equal(report.confusion, expected.reshape(count, count))
    assert report.loss == pytest.approx(-np.log(probabilities[range(60), labels]).mean(), rel=1e-5)
    assert all(m.image.shape == trained.form.image_shape for m in report.mistakes)
    assert report.page.stat().st_size > 10_000


@every_form
def test_exports_compute_what_the_predictor_does(trained, tmp_path):
    import tensorflow as tf

    images = trained.arrays["x_test"]
    classes, expected = trained.predicted(images)
    assert expected.std(axis=0).max() > 1e-3
    package.export(trained.model_dir, tmp_path / "saved", data_dir=str(trained.data_dir))
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures
    found = served["serving_default"](images=tf.constant(images))
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found["classes"], classes)
    files = [tf.io.encode_png(i if i.ndim == 3 else i[..., None]).numpy() for i in images]
    found = served["encoded"](images=tf.constant(files))
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(np.load(tmp_path / "saved" / saved_model.EXAMPLES), images[:10])

    package.export(trained.model_dir, tmp_path / "tfjs", format="tfjs")
    model = Exported(RECIPE, str(trained.model_dir), tmp_path / "tfjs")
    np.testing.assert_allclose(model.run(images / 255), expected, rtol=0, atol=1e-5)
    noted, form = model.model["userDefinedMetadata"], trained.form
    assert noted["image_shape"] == [form.height, form.width, form.channels]
    assert noted["class_names"] == list(form.class_names)
    assert noted["output"].startswith(f"float32 [B, {form.num_classes}], ")


@some_forms
def test_shards_train_the_same_images(trained, tmp_path):
    data = package.load(trained.data_dir, 0)
    shards.write(str(tmp_path / "shards"), 3, data.train, data.test, data.form)
    assert shards.check(str(tmp_path / "shards")) == 0
    again = package.load(tmp_path / "shards", 33)
    assert again.form == trained.form
    for split in ("validation", "test"):
        whole = getattr(package.load(trained.data_dir, 33), split)
        np.testing.assert_array_equal(getattr(again, split).images, whole.images)
        np.testing.assert_array_equal(getattr(again, split).labels, whole.labels)
    run = package.train(RECIPE, tmp_path / "model", data=again, **QUIET)
    report = package.evaluate(tmp_path / "model", data=again)
    assert (run.step, report.images, report.class_names) == (STEPS, 60, trained.form.class_names)


@pytest.mark.parametrize("trained", ["letters"], indirect=True)
def test_images_of_another_form_are_refused_with_both_named(trained, mnist, tmp_path):
    both = r"was trained on 28 x 28 pixels, grey, 26 classes, not 28 x 28 pixels, grey, 10 classes"
    with pytest.raises(InputError, match=both):
        package.train(RECIPE, trained.model_dir, data=mnist, **QUIET)
    with pytest.raises(InputError, match=both):
        package.evaluate(trained.model_dir, data=mnist)
    with pytest.raises(InputError, match=both):
        package.export(trained.model_dir, tmp_path / "out", data=mnist)
    assert not (tmp_path / "out").exists()
    with (
        package.Predictor(trained.model_dir) as predictor,
        pytest.raises(ValueError, match=r"one of \(\(28, 28\), \(28, 28, 1\), \(784,\)\)"),
    ):
        predictor.predict(np.zeros([2, 32, 32], np.uint8))


@pytest.mark.parametrize("trained", ["letters"], indirect=True)
def test_names_of_classes_are_noted_and_travel(trained, tmp_path):
    data = dataset.with_names(package.load(trained.data_dir, 33), LETTERS)
    package.train(RECIPE, tmp_path / "m", data=data, steps=1, **QUIET)
    report = package.evaluate(tmp_path / "m", data_dir=str(trained.data_dir))
    assert report.class_names == LETTERS
    assert (
        package.evaluate(tmp_path / "m", data=data, class_names=LETTERS[::-1]).class_names
        == (LETTERS[::-1])
    )
    package.export(tmp_path / "m", tmp_path / "out", format="tfjs")
    model = json.loads((tmp_path / "out" / "model.json").read_bytes())
    assert model["userDefinedMetadata"]["class_names"] == list(LETTERS)
    with pytest.raises(InputError, match="--class_names: expected 26 names, .* found 3: "):
        package.evaluate(tmp_path / "m", data=data, class_names=["a", "b", "c"])


def test_a_note_without_a_form_is_of_mnists(tmp_path):
    fields = dataclasses.asdict(record.Record(Recipe(), "ab" * 32, "2.21.0"))
    del fields["form"]
    (tmp_path / record.FILE).write_text(json.dumps(fields))
    assert record.form_of(tmp_path) == MNIST
    for damaged in (3, {"height": 28}, {**dataclasses.asdict(MNIST), "height": 7}):
        (tmp_path / record.FILE).write_text(json.dumps({**fields, "form": damaged}))
        with pytest.raises(record.RecordError, match=r"recipe.json cannot be read: expected "):
            record.read(tmp_path)
