"""`python -m cnn_mnist.cluster`: starts the processes of a cluster on this machine."""

from cnn_mnist.cluster.launcher import main
from cnn_mnist.utils.process import end_program

if __name__ == "__main__":
    end_program(main())
