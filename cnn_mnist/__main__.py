"""`python -m cnn_mnist`: the same as `python -m cnn_mnist.main`."""

from cnn_mnist.main import main
from cnn_mnist.utils.process import end_program

if __name__ == "__main__":
    end_program(main())
