"""TensorBoard without its noise: one line with the address, and real errors.

    python -m cnn_mnist.tensorboard --logdir=model_dir

Ctrl-C ends it, with exit code 0, as it is meant to. Other exit codes are those of `code_of`.
"""

import argparse
import logging
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from cnn_mnist.utils import console
from cnn_mnist.utils.curves import EVENT_FILES
from cnn_mnist.utils.errors import Parser, RunError, UsageError, shown
from cnn_mnist.utils.process import code_of, end_program

PORTS = range(2**16)


def main(argv: Sequence[str]) -> int:
    """Serves the curves and the graph of a folder until Ctrl-C.

    Raises:
      UsageError: a wrong flag, or a folder without curves.
      RunError: it cannot listen there.
    """
    flags = _parser().parse_args(argv[1:])
    if not any(Path(flags.logdir).rglob(EVENT_FILES)):
        what = "no curves in it" if Path(flags.logdir).is_dir() else "there is no such folder"
        raise UsageError(
            f"--logdir={shown(flags.logdir)}: {what}; train first (make train), or name the "
            "model_dir of a training (make tensorboard MODEL_DIR=...)"
        )
    # `load_fast` would start another program, and tell of it at length.
    options = [argv[0], f"--logdir={flags.logdir}", f"--host={flags.host}", "--load_fast=false"]
    if flags.port is not None:
        options.append(f"--port={flags.port}")
    try:
        # All the time: TensorFlow is loaded when the first file is read.
        with console.quiet_start():
            print(f"TensorBoard is at {_launched(options)} (Ctrl-C ends it)", flush=True)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0


def _launched(options: list[str]) -> str:
    """Starts TensorBoard in a thread, and returns its address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own modules, to its developers
        from tensorboard import program

        board = program.TensorBoard()
        board.configure(options)
    # It warns that a run has several graphs, as each run of an Estimator has.
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    try:
        return board.launch()
    except program.TensorBoardServerException as error:
        raise RunError(f"{error.msg}; --port=PORT names another") from None


def _parser() -> Parser:
    parser = Parser(prog="python -m cnn_mnist.tensorboard", description=__doc__.partition("\n")[0])
    parser.add_argument("--logdir", required=True, help="the model_dir, or a folder of several")
    parser.add_argument("--host", default="localhost", help="listen at this address")
    parser.add_argument("--port", type=_port, help="listen at this port, not at the first free one")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) not in PORTS:
        raise argparse.ArgumentTypeError(f"expected 0 to {PORTS[-1]}, found {shown(text)}")
    return int(text)


if __name__ == "__main__":
    end_program(code_of(lambda: main(sys.argv)))
