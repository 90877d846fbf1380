"""What TensorBoard draws at the top level of a training's graph."""

import dataclasses

import pytest
import tensorflow as tf

from cnn_mnist import estimator
from cnn_mnist.recipes import RECIPES
from cnn_mnist.training.train import train

# Made by the Estimator and its sessions; TensorBoard puts them beside the graph.
OF_THE_ESTIMATOR = ("init", "report_uninitialized", "concat", "group_deps", "Merge")

ADAM = "beta1_power beta2_power"
# Of each recipe: the layers one after the other; the curves and the step; what lies beside.
LAYERS = {
    "estimator": "conv2d max_pool conv2d_1 max_pool_1 flatten dense dropout dense_1 logits",
    "fast": "conv2d max_pool conv2d_1 max_pool_1 flatten dense dense_1 logits",
    "keras_mlp": "unit_columns flatten dense dense_1 dropout dense_2 logits",
    "accurate": "column_0 columns logits",
}
OTHERS = {"fast": ADAM, "estimator": "", "keras_mlp": ADAM, "accurate": "column_1 column_2"}
ALWAYS = "global_step input image predictions softmax_tensor accuracy loss train save"


class BuiltError(Exception):
    """The graph is complete."""


class KeepGraph(estimator.SessionRunHook):
    def begin(self):
        self.graph = tf.compat.v1.get_default_graph()

    def after_create_session(self, session, coord):
        raise BuiltError


def graph_of(recipe, data, model_dir, steps_per_call=1):
    """The graph that a training writes into its event file, before its first step."""
    small = {"batch_size": 2, "steps": 10, "validation_size": 37, "precision": "float32"}
    recipe = dataclasses.replace(recipe, **small)
    hook = KeepGraph()
    with pytest.raises(BuiltError):
        train(
            recipe,
            model_dir,
            data=data,
            progress=False,
            log_every_n_iter=0,
            hooks=[hook],
            steps_per_call=steps_per_call,
        )
    return hook.graph


def top_level(op):
    return op.name.partition("/")[0]


@pytest.fixture(scope="module", params=LAYERS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def graph(name, small, tmp_path_factory):
    return graph_of(RECIPES[name], small, tmp_path_factory.mktemp("graph"))


def test_the_top_level_holds_what_a_person_has_names_for(name, graph):
    found = {top_level(op) for op in graph.get_operations()}
    ours = {each for each in found if not each.startswith(OF_THE_ESTIMATOR)}
    assert ours == {*ALWAYS.split(), *LAYERS[name].split(), *OTHERS[name].split()}


def test_each_box_feeds_the_next(name, graph):
    fed = {(top_level(i.op), top_level(op)) for op in graph.get_operations() for i in op.inputs}
    before_the_loss = LAYERS[name].split()
    if name == "accurate":  # each member learns by its own loss
        before_the_loss.remove("logits")
    chain = ["global_step", "input", "image", *before_the_loss, "loss", "train"]
    assert set(zip(chain, chain[1:], strict=False)) <= fed
    to_the_shown = [LAYERS[name].split()[-1], "predictions", "accuracy"]
    assert set(zip(to_the_shown, to_the_shown[1:], strict=False)) <= fed


def test_scopes_number_no_curve_and_are_in_no_variables_name(name, graph):
    curves = [op.name for op in graph.get_operations() if op.type == "ScalarSummary"]
    assert curves == ["accuracy", "loss"]
    with graph.as_default():
        variables = {v.op.name.partition("/")[0] for v in tf.compat.v1.global_variables()}
    layers = {*LAYERS[name].split(), *OTHERS[name].split(), "global_step"}
    assert variables <= layers


def test_there_are_no_functions_but_those_of_the_input_and_the_estimator(graph):
    functions = graph.as_graph_def().library.function
    assert len(functions) == 4


def test_several_steps_a_call_are_one_box(small, tmp_path):
    graph = graph_of(RECIPES["keras_mlp"], small, tmp_path, steps_per_call=5)
    found = {top_level(op) for op in graph.get_operations()}
    ours = {each for each in found if not each.startswith(OF_THE_ESTIMATOR)}
    boxes = "global_step input steps softmax_tensor accuracy loss call save"
    of_variables = f"dense dense_1 dense_2 {ADAM}"
    assert ours == {*boxes.split(), *of_variables.split()}
