"""Pastes pages as a reader would: the Python and console blocks of each, in order, in a namespace and a folder of its own.

`python tests/pages.py PAGE ...`
"""

import contextlib
import itertools
import os
import re
import shlex
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).parent.parent


def blocks(text):
    """-> (line of the opening fence, language, code) of every fenced block."""
    found, language = [], None
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"\s*(?:```|~~~)(.*)", line)
        if fence and language is None:
            first, language, lines = number, fence[1].strip(), []
        elif fence:
            found.append((first, language, "\n".join(lines) + "\n"))
            language = None
        elif language is not None:
            lines.append(line)
    return found


def commands(code):
    """-> the words of every command of a console block, up to a pipe."""
    lines = (shlex.split(line, comments=True) for line in code.replace("\\\n", " ").splitlines())
    return [list(itertools.takewhile(lambda word: word != "|", words)) for words in lines if words]


def _run_command(words):
    if words[0] == "fastconv":
        from fastconv.command import main as cli

        code = cli.main(words[1:])
        if code != 0:
            raise RuntimeError(f"{shlex.join(words)} ended with {code}")
    elif words[0] == "pip" and os.environ.get("FASTCONV_CLEAN"):  # elsewhere what it would install is there
        subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True)


def paste(page):
    """Run all blocks; what one raises, or warns of, has the page's name and line in its traceback."""
    warnings.simplefilter("error")
    names = {"__name__": "__main__"}
    for line, language, code in blocks(page.read_text()):
        if language == "python":
            exec(compile("\n" * line + code, str(page), "exec"), names)
        elif language == "console":
            for words in commands(code):
                _run_command(words)


if __name__ == "__main__":
    for page in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory(dir=".") as folder, contextlib.chdir(folder):
            paste(page)
