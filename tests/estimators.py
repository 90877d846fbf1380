"""Estimators of a recipe, as a program of a user's makes them."""

from cnn_mnist import cnn_model_fn, estimator
from cnn_mnist.utils import sessions


def estimator_of(recipe, model_dir):
    config = estimator.RunConfig(
        model_dir=str(model_dir), tf_random_seed=recipe.seed, session_config=sessions.config()
    )
    return estimator.Estimator(cnn_model_fn, config=config, params=recipe.params())
