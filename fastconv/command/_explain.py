"""`fastconv explain`: a network's numbers on the screen, on a sheet or on a page, and the terms of one of them."""

import json
from pathlib import Path

from . import options as types
from .models import load, samples_for

ABOUT = "where every number of a gradient comes from, on the 5x5 network"


def add_options(command):
    """To argparse's `command`."""
    command.add_argument("--html", metavar="FILE", help="a page that steps through the network")
    command.add_argument("--markdown", metavar="FILE", help="a sheet with LaTeX equations")
    command.add_argument(
        "--worksheet", action="store_true", help="leave the gradients blank on sheets, to be filled in by hand"
    )
    command.add_argument("--why", metavar="ENTRY", help='the terms of one number, such as "d 0.weight[0,0,1,1]"')
    command.add_argument("--samples", type=types.count, default=1)
    command.add_argument("--seed", type=types.seed, default=0, help="another number, another exercise")
    command.add_argument("--model", metavar="MODEL", help="a .safetensors file, instead of the 5x5 network in whole numbers")
    command.add_argument(
        "--data", metavar="DATA", help="what the model is traced on, as for train (default: digits of its size)"
    )
    command.add_argument("--target", metavar="NAME", help="the column or array with the answers")


def run(options):
    """Write the files that were asked for, print the terms, or without either the whole trace."""
    from .. import explain
    from ..files.writing import write_whole

    net, x, answers, loss = _explained(options)
    trace = explain.trace(net, x, answers, loss=loss)
    found = {"loss": float(trace["loss"]), "html": options.html, "markdown": options.markdown}
    if options.why:
        ledger = trace.why(options.why)
        terms = [{"value": term.value, "factors": term.factors, "sources": term.sources} for term in ledger.terms]
        found |= {"entry": ledger.entry, "value": ledger.value, "terms": terms}
    if options.html:
        trace.to_html(options.html)
    if options.markdown:
        write_whole(Path(options.markdown), trace.to_markdown(worksheet=options.worksheet).encode())
    if options.json:
        print(json.dumps(found, indent=1))
        return
    if options.why:
        print(trace.why(options.why))
    elif not (options.html or options.markdown):
        print(trace.to_text(worksheet=options.worksheet))
    for path in filter(None, (options.html, options.markdown)):
        print(path)


def _explained(options):
    """-> network, samples, labels or targets, loss"""
    if options.model is None:
        from ..explain import integer_example

        return *integer_example(samples=options.samples, random_state=options.seed), "cross_entropy"
    from ..data import SIZE, load_digits

    model = load(options.model)
    net = getattr(model, "network_", model)
    C, H, W = net.input_shape
    if options.data is not None:
        X, y = samples_for(model, options)
    elif C == 1 and H == W <= SIZE:
        X, y = load_digits(H)
    else:
        largest = (1, SIZE, SIZE)
        raise ValueError(
            f"{options.model} takes images {net.input_shape}; name the data with --data, digits are at most {largest}"
        )
    if y is None:
        raise ValueError(f"{options.data}: no answers, which a loss needs; name them with --target")
    X, y = X[: options.samples], y[: options.samples]
    return (net, *model.as_trained(X, y)) if net is not model else (net, X.reshape(-1, C, H, W), y, "cross_entropy")
