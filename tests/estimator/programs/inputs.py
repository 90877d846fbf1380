"""`numpy_input_fn` and `pandas_input_fn`, with a canned estimator of the first interface."""

import numpy as np
import pandas as pd
import tensorflow as tf

TABLE = pd.DataFrame({"a": np.linspace(0, 1, 40), "b": np.linspace(1, 0, 40)}, dtype=np.float32)
LABELS = pd.Series((TABLE["a"] > 0.5).astype(np.int64))
COLUMNS = [tf.feature_column.numeric_column(name) for name in TABLE]


def main():
    tf.logging.set_verbosity(tf.logging.ERROR)
    inputs = tf.estimator.inputs
    tables = inputs.pandas_input_fn(TABLE, LABELS, batch_size=40, num_epochs=None, shuffle=False)
    arrays = inputs.numpy_input_fn(
        {name: TABLE[name].to_numpy() for name in TABLE},
        LABELS.to_numpy(),
        batch_size=40,
        num_epochs=None,
        shuffle=False,
    )
    found = []
    for input_fn in (tables, arrays):
        made = tf.estimator.LinearClassifier(COLUMNS)
        made.train(input_fn, steps=30)
        found.append(made.evaluate(input_fn, steps=1))
    assert found[0] == found[1]
    print("accuracy", found[0]["accuracy"])
    assert found[0]["accuracy"] > 0.9


if __name__ == "__main__":
    main()
