"""`fastconv predict`: a saved model's answers for data, as a table or as JSON."""

import csv
import json
import sys

from .models import load, samples_for
from .output import printable

ABOUT = "predict with a saved model"


def add_options(command):
    """To argparse's `command`."""
    command.add_argument("model", metavar="MODEL", help="a .safetensors file of `fastconv train`")
    command.add_argument("data", metavar="DATA", help="as for train; targets are not needed, x_test goes before x_train")
    command.add_argument("--target", metavar="NAME", help="the column or array to leave out")
    command.add_argument("--proba", action="store_true", help="probabilities of the classes")


def run(options):
    """Print a row a sample."""
    model = load(options.model)
    if not hasattr(model, "network_"):
        raise ValueError(
            f"{options.model} holds a network without preprocessing and classes; `fastconv train --save` writes them"
        )
    X, _ = samples_for(model, options, with_target=False)
    if options.proba and not hasattr(model, "classes_"):
        raise ValueError(f"{options.model} predicts numbers; --proba is for classes")
    found = (model.predict_proba if options.proba else model.predict)(X)
    rows = found.reshape(len(found), -1)
    columns = [f"prediction {k}" for k in range(rows.shape[1])] if found.ndim == 2 else ["prediction"]
    if options.proba:
        columns = [f"p({c})" for c in model.classes_.tolist()]
    if options.json:
        print(json.dumps({"columns": columns, "predictions": found.tolist()}, allow_nan=False))
    else:
        _print_table(columns, rows)


def _print_table(columns, rows):
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a class's name may have letters that a terminal has not
    table = csv.writer(sys.stdout, lineterminator="\n")
    shown = printable if sys.stdout.isatty() else str
    table.writerow([shown(column) for column in columns])
    table.writerows([f"{v:.6g}" if isinstance(v, float) else shown(v) for v in row] for row in rows.tolist())
