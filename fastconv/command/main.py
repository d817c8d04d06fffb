"""The `fastconv` command: its subcommands, and how it ends."""

import signal
import sys
import threading
import warnings
from contextlib import contextmanager

from .. import __version__
from . import _doctor, _explain, _export, _predict, _train
from .options import Parser
from .output import printable

FAILED, INTERRUPTED, TERMINATED = 1, 128 + signal.SIGINT, 128 + signal.SIGTERM
"""Exit codes, as shells count them; argparse ends with 2."""
COMMANDS = {"train": _train, "predict": _predict, "export": _export, "explain": _explain, "doctor": _doctor}
"""A file each, with what it is ABOUT, its options, and what it runs."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: what cleans up after Ctrl-C cleans up after it, too."""


def main(arguments=None):
    """Run the command; -> its exit code: 0, 1 failed, 2 wrong usage, 130 interrupted, 143 terminated."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help()
        return 0
    try:
        with _terminable(), warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _warn_once(set())
            options.run(options)
    except Terminated:
        print("fastconv: terminated", file=sys.stderr)
        return TERMINATED
    except KeyboardInterrupt:
        print("fastconv: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `fastconv predict ... | head`
        sys.stderr.close()
        return 0
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        print(f"fastconv: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return FAILED
    return 0


def _parser():
    parser = Parser(prog="fastconv", description="Train small convolutional networks fast on a CPU.")
    parser.add_argument("--version", action="version", version=f"fastconv {__version__}")
    added = parser.add_subparsers(metavar="COMMAND")
    parser.set_defaults(run=None)
    for name, file in COMMANDS.items():
        command = added.add_parser(name, help=file.ABOUT)
        file.add_options(command)
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=file.run)
    return parser


def _warn_once(said):
    """What shows a warning, as one line, and none twice."""

    def show(message, *_):
        line = printable(" ".join(str(message).split()))
        if line not in said:
            said.add(line)
            print(f"fastconv: warning: {line}", file=sys.stderr)

    return show


@contextmanager
def _terminable():
    """SIGTERM raises `Terminated` meanwhile; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_):
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
