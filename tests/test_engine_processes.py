"""The engine beside other threads and processes, under Ctrl-C, and with a cache that fails."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from numba import config
from numba.core import event

from fastconv import SGD, Adam, AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, train
from fastconv.command import main as cli

LAYERS = [Conv2d(6, 3, padding=1), ReLU(), MaxPool2d(2), Dropout(0.2), Flatten(), Linear(10)]
ROOT = pathlib.Path(__file__).parent.parent
compiled_only = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs the JIT")


def digest(seed, n_threads=2):
    rng = np.random.default_rng(seed)
    net = Sequential(LAYERS, (1, 9, 8), random_state=seed)
    X, y = rng.random((200, 1, 9, 8), np.float32), rng.integers(10, size=200)
    train(net, X, y, epochs=2, batch_size=64, optimizer=Adam(0.01), random_state=seed, n_threads=n_threads)
    return hashlib.sha256(net.buffer.tobytes() + net.predict(X, n_threads=n_threads).tobytes()).hexdigest()


def run_python(code, timeout=120, **environment):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout,
                          env=os.environ | {"PYTHONPATH": path} | environment)  # fmt: skip


def test_threads_that_train_at_once_get_what_they_get_alone():
    expected, found = [digest(seed) for seed in range(4)], [None] * 4

    def work(seed):
        found[seed] = digest(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


@compiled_only
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_trains_on():
    code = """
import os, warnings, test_engine_processes as t
warnings.simplefilter("ignore")
first = t.digest(1)
child = os.fork()
if child == 0:
    os._exit(0 if t.digest(1) == first else 1)
assert os.waitpid(child, 0)[1] == 0 and t.digest(1) == first
"""
    run = run_python(code)
    assert run.returncode == 0, run.stderr


@compiled_only
def test_joblib_processes_and_threads_get_what_a_serial_run_gets():
    code = """
import test_engine_processes as t
from joblib import Parallel, delayed
serial = [t.digest(seed) for seed in range(3)]
for backend in ("loky", "threading"):
    assert Parallel(n_jobs=2, backend=backend)(delayed(t.digest)(seed) for seed in range(3)) == serial, backend
"""
    run = run_python(code)
    assert run.returncode == 0, run.stderr


@compiled_only
def test_ctrl_c_is_obeyed_soon_and_leaves_the_network_whole():
    code = """
import signal, threading, time, os, numpy as np
from fastconv import *
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in a shell's background inherits that it be ignored
X, y = np.random.default_rng(0).random((2000, 1, 28, 28), np.float32), np.arange(2000) % 10
make = lambda: Sequential([Conv2d(16, 5), ReLU(), MaxPool2d(2), Flatten(), Linear(10)], (1, 28, 28), random_state=0)
net, optimizer = make(), Adam(0.001)
train(net, X[:64], y[:64], epochs=1, batch_size=64, optimizer=optimizer, shuffle=False)
sent = []
def interrupt():
    time.sleep(0.3); sent.append(time.perf_counter()); os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    train(net, X, y, epochs=10_000, batch_size=50, optimizer=optimizer, shuffle=False)
except KeyboardInterrupt:
    late = time.perf_counter() - sent[0]
steps = optimizer.state(net)["steps"]
again, other = make(), Adam(0.001)
train(again, X[:64], y[:64], epochs=1, batch_size=64, optimizer=other, shuffle=False)
full, rest = divmod(steps - 1, 40)
if full:
    train(again, X, y, epochs=full, batch_size=50, optimizer=other, shuffle=False)
if rest:
    train(again, X[: 50 * rest], y[: 50 * rest], epochs=1, batch_size=50, optimizer=other, shuffle=False)
print(late, steps, np.array_equal(again.buffer, net.buffer))
"""
    run = run_python(code)
    late, steps, same = run.stdout.split()
    assert float(late) < 0.5 and int(steps) > 1 and same == "True", run.stdout + run.stderr


class _Compilations(event.Listener):
    def __init__(self):
        self.count = 0

    def on_start(self, event):
        self.count += 1

    def on_end(self, event):
        pass


@compiled_only
def test_nothing_compiles_for_another_architecture_or_size():
    digest(0)
    listener = _Compilations()
    other = [Conv2d(12, 3, stride=2, padding=1), AvgPool2d(2), Dropout(0.5), Flatten(), Linear(7), ReLU(), Linear(3)]
    shapes = [((1, 5, 5), [Conv2d(8, 2), ReLU(), MaxPool2d(2), Flatten(), Linear(3)]), ((3, 12, 10), other)]
    with event.install_listener("numba:compile", listener):
        for shape, layers in shapes:
            for n, batch_size in ((5, 1), (70, 32), (33, 70)):
                net = Sequential(layers, shape, random_state=0)
                X, y = np.ones((n, *shape), np.float32), np.arange(n) % 3
                for optimizer in (SGD(0.1), SGD(0.1, momentum=0.9, nesterov=True), Adam()):
                    train(net, X, y, epochs=1, batch_size=batch_size, optimizer=optimizer)
                net.predict(X)
    assert listener.count == 0


@compiled_only
@pytest.mark.parametrize(
    "damage",  # test_starting damages one kernel in this process
    [*(pytest.param(damage, marks=pytest.mark.long) for damage in ("truncated", "garbage")), "a file in the folder's place"],
)
def test_a_damaged_cache_costs_one_warning_at_most(damage, tmp_path):
    code = "from fastconv import functional as F; import numpy as np; print(F.im2col(np.ones((1, 1, 3, 3)), 2).sum())"
    cache = tmp_path / "cache"
    if damage == "a file in the folder's place":
        cache.write_text("")
    else:
        assert run_python(code, NUMBA_CACHE_DIR=str(cache)).stdout == "16.0\n"
        for path in cache.rglob("*.nb?"):
            path.write_bytes(path.read_bytes()[:20] if damage == "truncated" else b"garbage")
    run = run_python(code, NUMBA_CACHE_DIR=str(cache))
    assert run.stdout == "16.0\n" and run.stderr.count("Warning") <= 1, run.stderr


@compiled_only
@pytest.mark.parametrize("kernel", ["relu", pytest.param("work", marks=pytest.mark.long)])  # what calls it takes long
def test_a_changed_source_is_compiled_anew(tmp_path, kernel):
    shutil.copytree(ROOT / "fastconv", tmp_path / "fastconv", ignore=shutil.ignore_patterns("__pycache__"))
    code = f"""
import numpy as np
from fastconv.engine.machine.loops import {kernel}
from fastconv.engine.program import lines
from fastconv.engine.program.table import table_of
mem = np.arange(64, dtype=np.float32) - 9; tile = np.zeros(8, np.int64)
{kernel}(mem, table_of([(0, lines.ReLU(x=0, out=32, size=16))])[0], tile); print(mem[32:36])
"""
    settings = {
        "cwd": tmp_path,
        "capture_output": True,
        "text": True,
        "env": os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")},
    }
    before = subprocess.run([sys.executable, "-c", code], **settings)
    source = tmp_path / "fastconv" / "engine" / "machine" / "loops.py"
    text = source.read_text()
    assert "y[i] = np.float32(0) if x[i] <= 0" in text
    source.write_text(text.replace("y[i] = np.float32(0) if x[i] <= 0", "y[i] = np.float32(7) if x[i] <= 0"))
    after = subprocess.run([sys.executable, "-c", code], **settings)
    assert "0. 0. 0. 0." in before.stdout and "7. 7. 7. 7." in after.stdout, before.stderr + after.stderr


def test_the_doctor_says_what_it_found(capsys):
    assert cli.main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("numba", "vectors", "threads", "cache folder"))


def test_a_wrong_command_is_usage():
    with pytest.raises(SystemExit) as error:
        cli.main(["nothing"])
    assert error.value.code == 2
