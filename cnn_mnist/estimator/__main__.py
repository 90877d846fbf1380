"""`python -m cnn_mnist.estimator PROGRAM.py ARGS...`: runs an Estimator program as it is."""

from cnn_mnist.estimator.runner import main

if __name__ == "__main__":
    main()
