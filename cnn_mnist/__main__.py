"""`python -m cnn_mnist`, and the installed command `cnn_mnist`: as `python -m cnn_mnist.main`."""

from cnn_mnist.main import run

if __name__ == "__main__":
    run()
