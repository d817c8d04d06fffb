"""The options of the `fastconv` command: `build` makes its parser from the functions that the subcommands run."""

import argparse
from math import isfinite

from .. import __version__


def printable(text):
    """`text` with control characters escaped: names come from files, and a terminal obeys what it is sent."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


class Parser(argparse.ArgumentParser):
    """As argparse's, with one line for wrong usage."""

    def error(self, message):
        """End with 2."""
        self.exit(2, f"{self.prog}: {printable(message)}; usage: {self.prog} --help\n")


def build(**commands):
    """The parser; ``commands`` are the functions of train, predict, export, explain and doctor."""
    parser = Parser(prog="fastconv", description="Train small convolutional networks fast on a CPU.")
    parser.add_argument("--version", action="version", version=f"fastconv {__version__}")
    added = parser.add_subparsers(metavar="COMMAND")
    parser.set_defaults(run=None)
    for name, run in commands.items():
        about, add_options = _COMMANDS[name]
        command = added.add_parser(name, help=about)
        add_options(command)
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=run)
    return parser


def _typed(convert, is_in, wanted):
    """A type for argparse: what `convert` makes of a text, if that is in its range."""

    def typed(text):
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not is_in(value):
            raise argparse.ArgumentTypeError(f"must be {wanted}, got {text}")
        return value

    return typed


def _sizes(text):
    return tuple(int(size) for size in text.lower().split("x"))


_count = _typed(int, lambda value: value >= 1, "a whole number of at least 1")
_seed = _typed(int, lambda value: 0 <= value < 2**32, "a whole number from 0 to 4294967295")
_rate = _typed(float, lambda value: value > 0 and isfinite(value), "a number above 0")
_share = _typed(float, lambda value: 0 < value < 1, "a number between 0 and 1")
_shape = _typed(_sizes, lambda sizes: len(sizes) in (2, 3) and min(sizes) > 0, "sizes such as 28x28 or 3x32x32")


def _train(command):
    command.add_argument(
        "data",
        metavar="DATA",
        help='"digits", a table (.csv, .tsv, .txt, .data), an .npz file with arrays X and y, or x_train, y_train, '
        "x_test and y_test, or an idx file of images with its labels beside it; tables and idx files may be gzipped",
    )
    command.add_argument(
        "--target",
        metavar="NAME",
        help="the column or array to predict (default: y, target, label or class); "
        "without names a column's number: 0 is the first, -1 the last",
    )
    command.add_argument("--regression", action="store_true", help="predict numbers, not classes")
    command.add_argument("--image-shape", metavar="CxHxW", type=_shape, help="of a flat row, such as 28x28 or 3x32x32")
    command.add_argument("--epochs", type=_count, help="default: 24 for pictures, 40 from 12x12 on, 200 for anything else")
    command.add_argument("--batch-size", type=_count)
    command.add_argument("--lr", type=_rate, default=1e-3, help="learning rate of Adam (default: 0.001)")
    command.add_argument(
        "--test-size", type=_share, default=0.2, metavar="SHARE", help="held out to measure (default: 0.2, or x_test)"
    )
    command.add_argument("--seed", type=_seed, default=0, help="of the split, the first weights and the order")
    command.add_argument("--save", metavar="FILE", help="the trained model, a .safetensors file")


def _predict(command):
    command.add_argument("model", metavar="MODEL", help="a .safetensors file of `fastconv train`")
    command.add_argument("data", metavar="DATA", help="as for train; targets are not needed, x_test goes before x_train")
    command.add_argument("--target", metavar="NAME", help="the column or array to leave out")
    command.add_argument("--proba", action="store_true", help="probabilities of the classes")


def _export(command):
    command.add_argument("model", metavar="MODEL", help="a .safetensors file")
    command.add_argument("output", metavar="FILE.onnx")


def _explain(command):
    command.add_argument("--html", metavar="FILE", help="a page that steps through the network")
    command.add_argument("--markdown", metavar="FILE", help="a sheet with LaTeX equations")
    command.add_argument(
        "--worksheet", action="store_true", help="leave the gradients blank on sheets, to be filled in by hand"
    )
    command.add_argument("--why", metavar="ENTRY", help='the terms of one number, such as "d 0.weight[0,0,1,1]"')
    command.add_argument("--samples", type=_count, default=1)
    command.add_argument("--seed", type=_seed, default=0, help="another number, another exercise")
    command.add_argument("--model", metavar="MODEL", help="a .safetensors file, instead of the 5x5 network in whole numbers")
    command.add_argument(
        "--data", metavar="DATA", help="what the model is traced on, as for train (default: digits of its size)"
    )
    command.add_argument("--target", metavar="NAME", help="the column or array with the answers")


def _doctor(command):
    command.add_argument("--warm", action="store_true", help="compile everything ahead")


_COMMANDS = {
    "train": ("train on digits, a table, or arrays", _train),
    "predict": ("predict with a saved model", _predict),
    "export": ("write a saved model as ONNX", _export),
    "explain": ("where every number of a gradient comes from, on the 5x5 network", _explain),
    "doctor": ("what was found on this machine", _doctor),
}
