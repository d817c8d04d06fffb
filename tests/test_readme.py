"""README and documentation: every block runs as pasted, commands and packages exist, the numbers are those measured."""

import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import numba
import pytest
from pages import blocks, commands

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md.in"))]
# A page that is rendered from a .md.in is read there.
PAGES += [page for page in sorted(ROOT.glob("docs/*.md")) if not page.with_suffix(".md.in").exists()]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PASTED = [page for page in PAGES if blocks(page.read_text())]


def _environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _paste(pages, folder, python=sys.executable, environment=None):
    command = [python, ROOT / "tests" / "pages.py", *pages]
    environment = environment or _environment()
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="the kernels as Python would take minutes")
@pytest.mark.parametrize("folder", sorted({page.parent for page in PASTED}), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_every_block_runs_as_pasted(folder, tmp_path):
    """A folder's pages in one process, to start once; below each has its own."""
    run = _paste([page for page in PASTED if page.parent == folder], tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not os.environ.get("FASTCONV_CLEAN"), reason="installs the package and what it needs anew: minutes")
def test_every_block_runs_where_nothing_was_installed(tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "."], cwd=ROOT, check=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for page in PASTED:
        run = _paste([page], tmp_path, python, environment)
        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "page, complaint",
    [
        ("```python\nx = 1\n```\n\n```python\nx + z\n```\n", "line 6, in <module>\nNameError: name 'z'"),
        ("```python\nimport warnings\nwarnings.warn('old')\n```\n", "UserWarning: old"),
        ("```console\nfastconv predict nothing nothing | head\n```\n", "fastconv predict nothing nothing ended with 1"),
        ("```console\nfastconv explain --wyh 'x'\n```\n", "unrecognized arguments"),
    ],
)
def test_a_block_that_fails_is_noticed(page, complaint, tmp_path):
    (tmp_path / "page.md").write_text(page)
    run = _paste([tmp_path / "page.md"], tmp_path)
    assert run.returncode and complaint in re.sub(r"  File.*?, (line \d+)", r"\1", re.sub(r"\n    .*", "", run.stderr))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page):
    text = page.read_text()
    shown = {"{toctree}", "text", "asm", "py"}  # all others are pasted; py is what a source file holds
    assert {language for _, language, _ in blocks(text)} <= {"python", "console"} | shown
    pasted = [words for _, language, code in blocks(text) if language == "console" for words in commands(code)]
    named = re.findall(r"`((?:make|python|pip|fastconv) [^`\n]*)`", text)
    for words in pasted + [words for code in named for words in commands(code)]:
        _CHECKS[words[0]](words[1:])


def _check_make(targets):
    assert set(targets) <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))


def _check_python(words):
    if words[0] != "-m":
        assert (ROOT / words[0]).is_file(), words
        _check_options(words, ROOT / words[0])


def _check_fastconv(words):
    """Those of a block are run as well."""
    _check_options(words, "-c", "from fastconv.command import main as cli; cli.main()", words[0])


def _check_options(words, *command):
    options = {word for word in words if word.startswith("--")}
    assert not options or options <= set(re.findall(r"--[\w-]+", _help(command))), words


@functools.cache
def _help(command):
    run = subprocess.run([sys.executable, *command, "--help"], env=_environment(), capture_output=True, text=True, check=True)
    return run.stdout


def _check_pip(words):
    assert words[0] == "install"
    extras = PROJECT["optional-dependencies"]
    listed = [*PROJECT["dependencies"], *(package for extra in extras.values() for package in extra)]
    packages = {re.match(r"[\w-]+", package)[0] for package in listed} - {"fastconv"}
    assert set(words[1:]) <= {".", *packages, *(f".[{extra}]" for extra in extras)}, words


_CHECKS = {"make": _check_make, "python": _check_python, "fastconv": _check_fastconv, "pip": _check_pip}


def test_nobody_is_told_to_install_from_where_it_is_not():
    code = (file for folder in ("fastconv", "scripts", "benchmarks") for file in (ROOT / folder).rglob("*.py"))
    for file in [*PAGES, ROOT / "Makefile", *ROOT.glob("docs/examples/*"), *code]:
        told = re.findall(r"pip install[^`#\n]*?[ '\"]fastconv\b.*|(?<![\w./-])fastconv\[.*", file.read_text())
        assert not told, (file, told)


def test_the_tables_of_speed_come_from_the_results():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import readme
    finally:
        sys.path.pop(0)
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    written = (ROOT / "README.md").read_text().split(readme.BEGIN)[1].split(readme.END)[0]
    assert written.strip() == readme.section(results)
