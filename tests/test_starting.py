"""The package starts wherever Python finds it: optimised, zipped, without sources or a home, beside caches others can write."""

import compileall
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba import config

import fastconv
from fastconv.command import _doctor as doctor
from fastconv.support.jit import is_kept, is_warm, kernel

PACKAGE = Path(fastconv.__file__).parent
compiled_only = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs the JIT")
posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX modes")

WORK = """
import sys, numpy as np
from fastconv import Adam, Sequential, explain, tiny_net, train
x, y = np.random.default_rng(0).random((20, 1, 5, 5), np.float32), np.arange(20) % 3
net = tiny_net(n_classes=3, random_state=0)
loss = train(net, x, y, epochs=1, batch_size=20, optimizer=Adam(), random_state=0).loss
explain.trace(net, x[:1], y[:1]).to_html(sys.argv[1] + "/page.html")
net.save(sys.argv[1] + "/net.safetensors")
assert (Sequential.load(sys.argv[1] + "/net.safetensors").predict(x) == net.predict(x)).all()
print(np.round(loss, 4))
"""
EVERYTHING = (
    """
import importlib, pkgutil, fastconv
for module in pkgutil.walk_packages(fastconv.__path__, "fastconv."):
    if not module.name.endswith(("__main__", "plots", "export")):
        importlib.import_module(module.name)
assert [getattr(fastconv, name) for name in fastconv.__all__ if not name.endswith("Display")]
"""
    + WORK
    + """
from fastconv import ConvNetClassifier
model = ConvNetClassifier(max_iter=1, random_state=0).fit(x[:, 0], y)
model.save(sys.argv[1] + "/model.safetensors")
assert (ConvNetClassifier.load(sys.argv[1] + "/model.safetensors").predict(x[:, 0]) == model.predict(x[:, 0])).all()
"""
)
PATCHES = "import numpy as np; from fastconv import functional as F; print(F.im2col(np.ones((1, 1, 3, 3)), 2).sum())"
NOWHERE = {"HOME": "/proc/nobody", "XDG_CACHE_HOME": None, "NUMBA_CACHE_DIR": ""}
ENGINE = "from fastconv.engine.vector import compiling, transpose; compiling.compile_aloud(transpose.transpose)"


def run(code, *arguments, options=(), path=PACKAGE.parent, timeout=300, **environment):
    """Python with `code`, the package first on its path; -> what it printed, on both streams."""
    code = f"import sys; sys.path.insert(0, {str(path)!r})\n{code}"
    settings = os.environ | {"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"} | environment
    settings = {name: value for name, value in settings.items() if value is not None}
    command = [sys.executable, *options, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=settings)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def _copied(folder, unwritable=False):
    shutil.copytree(PACKAGE, folder / "fastconv", ignore=shutil.ignore_patterns("__pycache__"))
    if unwritable:  # no folder can be made here, not even by root
        (folder / "fastconv" / "__pycache__").write_text("")
    return folder


def _zipped(folder):
    _copied(folder / "unpacked")
    return Path(shutil.make_archive(folder / "fastconv", "zip", folder / "unpacked"))


def _without_sources(folder):
    _copied(folder)
    assert compileall.compile_dir(folder, quiet=1, legacy=True)
    for source in folder.rglob("*.py"):
        source.unlink()
    return folder


INSTALLS = {"zip": _zipped, "without sources": _without_sources}


@pytest.mark.parametrize("install", INSTALLS)
def test_from_a_zip_and_without_sources(tmp_path, install):
    path = INSTALLS[install](tmp_path)
    where = f"import fastconv; assert fastconv.__file__.startswith({str(path)!r})\n"
    assert run(where + WORK, tmp_path, path=path, NUMBA_DISABLE_JIT="1")[0] == "[1.0816]\n"


@compiled_only
def test_how_long_it_compiles_is_said_once_and_only_where_it_does(tmp_path):
    first = run(ENGINE + ENGINE[ENGINE.index(";") :], NUMBA_CACHE_DIR=str(tmp_path))[1]
    assert first.startswith("fastconv: compiling for this machine, once: ") and first.count("\n") == 1
    assert run(ENGINE, NUMBA_CACHE_DIR=str(tmp_path)) == ("", "")


@compiled_only
@posix_only
def test_without_a_home_and_a_writable_folder_it_says_where_to_point(tmp_path):
    code = f"{PATCHES}\n{ENGINE}\nfrom fastconv.command.main import main; main(['doctor'])"
    out, err = run(code, path=_copied(tmp_path, unwritable=True), **NOWHERE)
    assert out.startswith("16.0\n") and "cache          off: no folder is writable" in out
    assert err.count("\n") == 1 and "compiling for this process" in err and "set NUMBA_CACHE_DIR to" in err


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """-> the folder of a cache, and what makes a function that is not compiled yet, as another process would."""
    cache = pytest.importorskip("fastconv.support.cache")
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache.KernelCache, "_has_warned", False)
    cache.folder_for.cache_clear()
    yield Path(cache.folder_for("test")), lambda: kernel(twice, key="test")
    cache.folder_for.cache_clear()


def twice(x):
    return x + x


def _compiles(function):
    """Whether it does, for whole numbers."""
    assert function(21) == 42
    return not function.stats.cache_hits


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def _sealed(value):
    data = pickle.dumps(value)
    return hashlib.sha256(data).digest() + data


@posix_only
@compiled_only
@pytest.mark.parametrize("place", ["folder", "file"])
@pytest.mark.parametrize("how", ["writable for the group", "writable for all", "somebody else's"])
def test_machine_code_that_others_can_write_is_not_run(fresh, tmp_path, place, how):
    if how == "somebody else's" and os.getuid() != 0:
        pytest.skip("only root gives files away")
    folder, make = fresh
    assert _compiles(make()) and not _compiles(make())
    (path,) = folder.iterdir()
    path.write_bytes(_sealed(Evil(tmp_path / "evil")))
    spoilt, before = path if place == "file" else folder, path.read_bytes()
    os.chown(spoilt, 12345, -1) if "else" in how else spoilt.chmod(0o775 if "group" in how else 0o777)
    with pytest.warns(
        UserWarning, match="^fastconv compiles without its cache: others can write to .*; set NUMBA_CACHE_DIR to"
    ):
        assert _compiles(make())
    assert not (tmp_path / "evil").exists()
    if place == "folder":
        assert path.read_bytes() == before and _compiles(make())  # one warning a process
        assert not is_kept(make()) and not is_warm(make())
        assert doctor._cache_state(str(folder), False).startswith("refused: others can write to")
    else:  # replaced by a file of our own
        assert not _compiles(make()) and path.stat().st_uid == os.getuid() and path.stat().st_mode & 0o777 == 0o644


@posix_only
@compiled_only
def test_what_is_written_is_for_this_user_alone_whatever_the_umask(fresh, tmp_path):
    before = os.umask(0)
    try:
        from fastconv.support.cache import folder_for

        folder = Path(folder_for("another"))
        assert _compiles(kernel(twice, key="another"))
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())] == [0o755, 0o644]
    assert folder.parent.name == f"fastconv-{os.getuid()}"  # several users can share a folder


@compiled_only
@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "a bit", "a pickle of nothing known"])
def test_damaged_machine_code_is_made_anew_with_one_warning(fresh, damage):
    folder, make = fresh
    assert _compiles(make())
    (path,) = folder.iterdir()
    data = path.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
    spoilt = {"truncated": data[:middle], "empty": b"", "garbage": b"garbage", "a bit": flipped}
    path.write_bytes(spoilt.get(damage, _sealed(1)))
    with pytest.warns(UserWarning, match="compiles it anew"):
        assert _compiles(make())
    assert not _compiles(make()) and len([*folder.iterdir()]) == 1


@compiled_only
@pytest.mark.parametrize("lost", ["_reduce", "_rebuild"])
def test_a_numba_that_is_made_differently_costs_one_warning(fresh, monkeypatch, lost):
    from numba.core.compiler import CompileResult

    _, make = fresh
    if lost == "_rebuild":
        assert _compiles(make())
    monkeypatch.delattr(CompileResult, lost)
    with pytest.warns(UserWarning, match=lost):
        assert _compiles(make())


@compiled_only
def test_a_full_disk_costs_one_warning(fresh, monkeypatch):
    _, make = fresh
    with monkeypatch.context() as context:

        def full(*_):
            raise OSError(28, "No space left on device")

        context.setattr(os, "replace", full)
        with pytest.warns(UserWarning, match="No space left"):
            assert _compiles(make())
        assert _compiles(make())
    assert not [*fresh[0].iterdir()]


@compiled_only
def test_processes_that_compile_at_once_do_not_mix_up_their_code(fresh):
    folder, make = fresh
    first, second = make(), make()  # both begin before anything is kept
    assert first(21) == 42 and second(0.5) == 1.0
    again = make()
    assert again(0.5) == 1.0 and again(21) == 42 and sum(again.stats.cache_hits.values()) == 2
    assert len([*folder.iterdir()]) == 2


@compiled_only
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_fork_while_another_thread_compiles_does_not_hang_the_child(tmp_path):
    code = """
import os, threading, time, numpy as np
from numba.core import event
from fastconv import functional as F
compiling = threading.Event()
class Listener(event.Listener):
    def on_start(self, event): compiling.set()
    def on_end(self, event): pass
with event.install_listener("numba:compile", Listener()):
    thread = threading.Thread(target=F.im2col, args=(np.ones((1, 1, 3, 3), "f4"), 2))
    thread.start()
    compiling.wait()
    child = os.fork()
if child == 0:
    os._exit(int(F.im2col(np.ones((1, 1, 3, 3), "f8"), 2).sum()))
for _ in range(300):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    time.sleep(0.1)
else:
    os.kill(child, 9)
thread.join()
assert done and os.waitstatus_to_exitcode(status) == 16, (done, status)
assert F.im2col(np.ones((1, 1, 3, 3), "f8"), 2).sum() == 16
"""
    run(code, NUMBA_CACHE_DIR=str(tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("install", [*INSTALLS, "optimised", "without a home"])
def test_everything_compiles_and_works_wherever_it_starts(tmp_path, install):
    options, cache = ["-OO"] if install == "optimised" else [], {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    path = INSTALLS.get(install, _copied)(tmp_path)
    if install == "without a home":
        path, cache = _copied(tmp_path / "unwritable", unwritable=True), NOWHERE
    expected = run(WORK, tmp_path)[0]
    out, err = run(EVERYTHING, tmp_path, path=path, options=options, **cache)
    assert out == expected and err.count("\n") == 1 and "compiling" in err
    if install != "without a home":
        assert run(EVERYTHING, tmp_path, path=path, options=options, **cache) == (expected, "")
