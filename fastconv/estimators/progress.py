"""Progress: a bar on a terminal, plain lines elsewhere."""

import sys
from contextlib import contextmanager


@contextmanager
def progress(total, is_on=True, file=None):
    """A function that takes the line of each finished epoch.

    Parameters
    ----------
    total : int
        Epochs at most.
    is_on : bool
        False: nothing is written.
    file : text file, optional
        stderr if it is not given.
    """
    file = file or sys.stderr
    if not is_on or file is None:
        yield lambda line: None
    elif file.isatty():
        from tqdm import tqdm

        with tqdm(total=total, unit="epoch", file=file) as bar:

            def advance(line):
                bar.set_postfix_str(line, refresh=False)
                bar.update()

            yield advance
    else:
        epochs = iter(range(1, total + 1))

        def write(line):
            file.write(f"epoch {next(epochs)}/{total}  {line}\n")
            file.flush()

        yield write
