"""`python -m cnn_mnist`, and the installed command `cnn_mnist`: as `python -m cnn_mnist.main`."""

from cnn_mnist.main import main
from cnn_mnist.utils.process import end_program


def run() -> None:
    """Runs the command in `sys.argv` and ends the process with its exit code."""
    end_program(main())


if __name__ == "__main__":
    run()
