"""Model files: what is saved comes back, and nothing damaged loads."""

import copy
import hashlib
import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import suppress
from functools import reduce
from itertools import product
from operator import getitem
from pathlib import Path

import numpy as np
import pytest
from examples import examples
from numpy.testing import assert_allclose, assert_array_equal

import fastconv
from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, files
from fastconv.files import safetensors


def _net(dtype="float32"):
    layers = [Conv2d(2, (1, 2), padding=((0, 1), (1, 0)), bias=False), ReLU(), MaxPool2d(2, 1), AvgPool2d((2, 1))]
    return Sequential([*layers, Dropout(0.5), Flatten(), Linear(2)], (1, 3, 4), random_state=0, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back(tmp_path, dtype):
    net = _net(dtype)
    net.save(tmp_path / "net.safetensors")
    again = Sequential.load(tmp_path / "net.safetensors")
    assert (again.layers, again.input_shape, again.dtype) == (net.layers, net.input_shape, net.dtype)
    assert_array_equal(again.buffer, net.buffer)
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_the_file_is_plain_safetensors_with_pytorchs_names(tmp_path):
    from safetensors.numpy import load_file

    net = _net()
    net.save(tmp_path / "net.safetensors")
    state = load_file(tmp_path / "net.safetensors")
    assert state.keys() == net.params.keys()
    for name, value in state.items():
        assert_array_equal(value, net.params[name])


def put(path, data):
    """Write a file anew: to cut the old one short, as opening it does, makes some file systems wait for the disk."""
    path.unlink()
    path.write_bytes(data)


def flipped(data, i, bit):
    return data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :]


def test_no_flipped_bit_and_no_cut_file_loads(tmp_path):
    path = tmp_path / "net.safetensors"
    _net().save(path)
    data = path.read_bytes()
    damaged = [flipped(data, i, (i + k) % 8) for i in range(len(data)) for k in range(examples(2, 8))]
    damaged += [data[:length] for length in range(0, len(data), 7)] + [data + b"\0"]
    for broken in damaged:
        put(path, broken)
        with pytest.raises(fastconv.ModelFileError, match=r"net\.safetensors: "):
            Sequential.load(path)


def test_saving_while_another_thread_writes_the_numbers_makes_whole_files(tmp_path):
    net, done = Sequential([Flatten(), Linear(300)], (1, 20, 20), random_state=0), threading.Event()

    def work():
        while not done.is_set():
            net.buffer += np.float32(1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(60):
            net.save(tmp_path / "net.safetensors")
            assert Sequential.load(tmp_path / "net.safetensors").layers == net.layers
    finally:
        done.set()
        thread.join()


def test_numpys_numbers_are_saved_as_plain_ones(tmp_path):
    net = _net()
    files.save_model(net, tmp_path / "net.safetensors", {"a": [np.bool_(True), np.float32(0.5), np.int64(3), np.arange(2)]})
    assert repr(files.load_model(tmp_path / "net.safetensors").estimator) == "{'a': [True, 0.5, 3, [0, 1]]}"
    before = (tmp_path / "net.safetensors").read_bytes()
    for value, error in (
        (np.nan, ValueError),
        (np.float64(np.inf), ValueError),
        (object(), TypeError),
        ("x" * 2**20, ValueError),
    ):
        with pytest.raises(error, match="^(a model file|the description of the model takes)"):
            files.save_model(net, tmp_path / "net.safetensors", {"a": value})
    with pytest.raises(ValueError, match="at most 1000 layers, the network has 1001"):
        Sequential([ReLU()] * 1001, (1, 2, 2)).save(tmp_path / "net.safetensors")
    assert (tmp_path / "net.safetensors").read_bytes() == before


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, fails):
    path = tmp_path / "net.safetensors"
    _net().save(path)
    before = path.read_bytes()

    def fault(*_):
        raise OSError("injected")

    monkeypatch.setattr(os, fails, fault)
    other = _net()
    other.buffer += np.float32(1)
    with pytest.raises(OSError, match="injected"):
        other.save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["net.safetensors"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_others_may_read_the_file_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        _net().save(tmp_path / "net.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "net.safetensors").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o640])
def test_a_file_keeps_the_mode_and_owner_of_the_one_that_it_replaces(tmp_path, mode, monkeypatch):
    path, owner = tmp_path / "net.safetensors", os.getuid()
    path.write_bytes(b"")
    if owner == 0:
        os.chown(path, owner := 12345, 23456)
    path.chmod(mode)
    seen, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append(os.fstat(handle).st_mode & 0o777), fsync(handle)))
    _net().save(path)
    assert path.stat().st_mode & 0o777 == seen[0] == mode and path.stat().st_uid == owner


def test_the_longest_name_can_be_saved_to(tmp_path):
    for name in ("n" * 243 + ".safetensors", "ü" * 121 + "x.safetensors"):
        for _ in range(2):
            _net().save(tmp_path / name)
        assert Sequential.load(tmp_path / name).layers == _net().layers
    assert len(os.listdir(tmp_path)) == 2


def _run(code, *arguments, timeout=20):
    settings = {"env": os.environ | {"PYTHONPATH": str(Path(fastconv.__file__).parents[1])}, "timeout": timeout}
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, **settings)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_what_a_killed_save_leaves_is_cleared_by_the_next_one(tmp_path):
    code = """
import os, signal, sys
from fastconv import tiny_net
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
tiny_net().save(sys.argv[1])
"""
    path = tmp_path / "net.safetensors"
    _net().save(path)
    assert _run(code, path).returncode == -9
    assert len(os.listdir(tmp_path)) == 2 and Sequential.load(path).layers == _net().layers
    _net().save(tmp_path / "other.safetensors")
    assert sorted(os.listdir(tmp_path)) == ["net.safetensors", "other.safetensors"]


def test_what_is_being_written_is_not_taken_for_left_over(tmp_path, monkeypatch):
    begun, go_on, fsync = threading.Event(), threading.Event(), os.fsync

    def slow(handle):
        if threading.current_thread() is thread:
            begun.set()
            go_on.wait()
        fsync(handle)

    monkeypatch.setattr(os, "fsync", slow)
    thread = threading.Thread(target=_net("float64").save, args=(tmp_path / "slow.safetensors",))
    thread.start()
    begun.wait()
    _net().save(tmp_path / "fast.safetensors")
    go_on.set()
    thread.join()
    assert sorted(os.listdir(tmp_path)) == ["fast.safetensors", "slow.safetensors"]
    assert Sequential.load(tmp_path / "slow.safetensors").dtype == np.float64


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's limits")
@pytest.mark.parametrize("limit, error", [("RLIMIT_AS", "MemoryError"), ("RLIMIT_FSIZE", "OSError")])
def test_without_memory_or_room_the_old_file_stays(tmp_path, limit, error):
    code = """
import resource, sys
from fastconv import Flatten, Linear, Sequential, files
net = Sequential([Flatten(), Linear(500)], (1, 200, 300), random_state=0)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = getattr(resource, sys.argv[1])
resource.setrlimit(limit, (used + 2**26 if limit == resource.RLIMIT_AS else 2**20, resource.RLIM_INFINITY))
try:
    net.save(sys.argv[2])
except (MemoryError, OSError) as found:
    print(type(found).__name__, found)
"""
    path = tmp_path / "net.safetensors"
    _net().save(path)
    before = path.read_bytes()
    run = _run(code, limit, path)
    assert run.stdout.startswith(error) and run.stdout.count("\n") == 1 and run.returncode == 0, run
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["net.safetensors"]


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Sequential.load(tmp_path / "none")


GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.safetensors")), ids=lambda path: path.stem)
def test_golden_files_load_for_ever(path):
    expected = json.loads(path.with_suffix(".json").read_text())
    loader = {"network": Sequential, "classifier": fastconv.ConvNetClassifier, "regressor": fastconv.ConvNetRegressor}
    model = loader[path.stem.split("_")[0]].load(path)
    found = model.predict(np.array(expected["X"], np.float32))
    assert_array_equal(found, expected["y"]) if found.dtype.kind == "U" else assert_allclose(found, expected["y"], rtol=1e-5)


def test_there_are_golden_files_of_this_version():
    version = safetensors.VERSION
    expected = {f"{kind}_v{version}" for kind in ("network", "classifier", "regressor")}
    assert {path.stem for path in GOLDEN.glob(f"*_v{version}.safetensors")} >= expected


def _classifier(classes=("a", "b", "c"), **settings):
    rng = np.random.default_rng(0)
    X, y = rng.random((70, 60)), np.array(classes)[np.arange(70) % len(classes)]
    layers = [Conv2d(2, (2, 1)), ReLU()]
    return fastconv.ConvNetClassifier(layers, image_shape=(2, 5, 6), max_iter=2, random_state=1, **settings).fit(X, y), X, y


@pytest.mark.parametrize(
    "classes", [(1, 7), ("no", "yes", "ümlaut"), (1.0, 4.0), (False, True)], ids=["int", "str", "float", "bool"]
)
def test_a_classifier_comes_back_and_goes_on(tmp_path, classes):
    model, X, y = _classifier(classes)
    model.save(tmp_path / "model.safetensors")
    again = fastconv.ConvNetClassifier.load(tmp_path / "model.safetensors")
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert_array_equal(again.predict(X), model.predict(X))
    assert again.classes_.dtype == model.classes_.dtype
    assert str(again.get_params()) == str(model.get_params())
    assert again.partial_fit(X, y).n_iter_ == 1
    assert_array_equal(Sequential.load(tmp_path / "model.safetensors").buffer, model.network_.buffer)


@pytest.mark.parametrize("outputs", [(), (3,)])
def test_a_regressor_comes_back(tmp_path, outputs):
    rng = np.random.default_rng(0)
    X, y = rng.random((70, 12)), rng.normal(4, 2, (70, *outputs))
    model = fastconv.ConvNetRegressor(max_iter=2, random_state=0).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    again = fastconv.ConvNetRegressor.load(tmp_path / "model.safetensors")
    assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(fastconv.ModelFileError, match="it holds ConvNetRegressor, not a ConvNetClassifier"):
        fastconv.ConvNetClassifier.load(tmp_path / "model.safetensors")


def test_no_flipped_bit_of_an_estimator_loads(tmp_path):
    path = tmp_path / "model.safetensors"
    _classifier()[0].save(path)
    data = path.read_bytes()
    for i in range(0, len(data), 3):
        put(path, flipped(data, i, i % 8))
        with pytest.raises(fastconv.ModelFileError):
            fastconv.ConvNetClassifier.load(path)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"classes": ["b", "a", "c"]}, "not in order"),
        ({"classes": [[1], [2], [3]]}, "classes of type"),
        ({"classes": ["a", "b"]}, "2 outputs for a network that returns"),
        ({"mean": "0"}, "not of type float"),
        ({"n_features": 59}, "59 features for images"),
        ({"params": {"solver": "adam", "__class__": 1}}, "does not describe a ConvNetClassifier"),
        ({"params": {"layers": [["os.system", {}]]}}, "unknown layer 'os.system'"),
        ({"classes_dtype": "V8"}, "classes of type"),
        ({"classes_dtype": "<U200000000"}, "the longest has 1 letters"),
        ({"scale": 0.0}, "a scale of 0.0"),
        ({"feature_names": ["only one"]}, "1 feature names for 60 features"),
        ({"params": {"n_threads": "x"}}, "n_threads"),
        ({"params": {"n_threads": 2**40}}, "n_threads"),
        ({"params": {"random_state": -1}}, "random_state"),
        ({"classes_dtype": "i4,("}, "classes of type"),
        ({"classes": [1, 2, 3], "classes_dtype": "<f8"}, "classes of type"),
        ({"classes": [True, 1, 2], "classes_dtype": "<i8"}, "classes of type"),
        ({"mean": [0.0] * 7}, "mean has 7 numbers for 60 features"),
        ({"scale": [0.0] + [1.0] * 59}, "a scale of 0.0"),
    ],
)
def test_a_file_made_by_others_is_checked(tmp_path, change, message):
    path = tmp_path / "model.safetensors"
    model = _classifier()[0]
    files.save_model(model.network_, path, model._description() | change)
    with pytest.raises(fastconv.ModelFileError, match=message):
        fastconv.ConvNetClassifier.load(path)


HOSTILE = (
    None,
    True,
    -1,
    0,
    0.5,
    2**40,
    2**80,
    1e308,
    -1e308,
    "",
    "x",
    "i4,(",
    "<U5,",
    [],
    [1],
    [None],
    [[1, 2]],
    {},
    {"items": [[1]]},
    {"items": 3},
)


@pytest.mark.parametrize("cls", ["ConvNetClassifier", "ConvNetRegressor"])
def test_whatever_an_estimators_fields_hold_it_loads_and_predicts_or_is_a_model_file_error(tmp_path, cls, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # hundreds of files
    path, X = tmp_path / "model.safetensors", np.random.default_rng(0).random((70, 12))
    model = getattr(fastconv, cls)([Flatten()], max_iter=1, random_state=0).fit(X, np.arange(70) % 3)
    described = model._description()
    fields = [(name,) for name in described] + [("params", name) for name in described["params"]]
    for place in fields:
        for value in HOSTILE:
            changed = copy.deepcopy(described)
            (changed if len(place) == 1 else changed["params"])[place[-1]] = value
            files.save_model(model.network_, path, changed)
            try:
                again = type(model).load(path)
            except fastconv.ModelFileError as error:
                assert "\n" not in str(error)
                continue
            with suppress(ValueError):  # X is too far from a mean of 1e308
                assert len(again.predict(X)) == 70
            again.save(path)


def test_parameters_of_every_kind_come_back(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.random((70, 12)), np.array(["no", "yes"])[np.arange(70) % 2]
    settings = {"batch_size": np.int64(16), "learning_rate_init": np.float32(0.25), "max_iter": 2, "warm_start": np.bool_(True)}
    settings |= {"image_shape": (np.int64(3), 4), "class_weight": {"no": 2.0, "yes": 1}, "random_state": np.int64(3)}
    model = fastconv.ConvNetClassifier([Flatten()], **settings).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    again = fastconv.ConvNetClassifier.load(tmp_path / "model.safetensors")
    assert all(again.get_params()[name] == value for name, value in model.get_params().items())
    again.partial_fit(X, y)
    wide = model.set_params(random_state=np.random.RandomState(0)).fit(X, y.astype("U500"))
    wide.save(tmp_path / "wide.safetensors")
    again = fastconv.ConvNetClassifier.load(tmp_path / "wide.safetensors")
    assert again.classes_.tolist() == ["no", "yes"] and again.random_state is None


@pytest.mark.skipif(os.name == "nt", reason="POSIX links and pipes")
def test_links_are_followed_and_devices_written_to(tmp_path):
    net = _net()
    (tmp_path / "real").mkdir()
    net.save(tmp_path / "real" / "net.safetensors")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "net.safetensors")
    net.buffer += np.float32(1)
    net.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert_array_equal(Sequential.load(tmp_path / "real" / "net.safetensors").buffer, net.buffer)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    net.save(tmp_path / "pipe")
    assert os.read(reader, 10**6) == (tmp_path / "link").read_bytes()
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    os.close(reader)
    with pytest.raises(FileNotFoundError, match=r"none/net.safetensors'$"):
        net.save(tmp_path / "none" / "net.safetensors")


def test_a_file_of_others_is_called_that(tmp_path):
    from safetensors.numpy import save_file

    save_file({"0.weight": np.ones((2, 2), "f4")}, tmp_path / "other.safetensors")
    with pytest.raises(fastconv.ModelFileError, match="not written by fastconv"):
        Sequential.load(tmp_path / "other.safetensors")


def forge(path, edit):
    """Let `edit` change the description and the tensors' table of a file, and put its checksums right; "RAW x" becomes x."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    about = json.loads(header.pop("__metadata__")["fastconv"])
    edit(about, header)

    def packed(checksum):
        about["header"] = checksum
        text = re.sub(r'"RAW ([^"]*)"', r"\1", json.dumps(about, sort_keys=True, separators=(",", ":")))
        head = json.dumps({"__metadata__": {"fastconv": text}} | header, separators=(",", ":")).encode()
        return len(head).to_bytes(8, "little") + head

    put(path, packed(hashlib.sha256(packed("0" * 64)).hexdigest()) + body)


def _set_last_layer(about, out_features):
    about["layers"][-1][1]["out_features"] = out_features


def _move(entry, by):
    entry["data_offsets"] = [start + by for start in entry["data_offsets"]]


@pytest.mark.parametrize(
    "edit, message",
    [
        (lambda about, table: None, None),
        (lambda about, table: _set_last_layer(about, 2**30), r"6.bias is F32 \[2\], expected float32 \(1073741824,\)"),
        (lambda about, table: _set_last_layer(about, 2**62), "out_features must be"),
        (lambda about, table: about["input_shape"].__setitem__(1, 2**28), "expected float32"),
        (
            lambda about, table: (_set_last_layer(about, 2**30), table["6.weight"].update(shape=[2**30, 12])),
            "6.weight lies at bytes|6.bias is",
        ),
        (lambda about, table: table["6.bias"].update(data_offsets=[-8, 0]), "6.bias lies at bytes -8 to 0"),
        (lambda about, table: table["6.bias"].update(data_offsets=table["6.weight"]["data_offsets"]), "lies at bytes"),
        (lambda about, table: about["layers"].append(["ReLU", {"inplace": True}]), "ReLU has no field 'inplace'"),
        (lambda about, table: about.update(version=2), "version 2, this release reads 1"),
        (lambda about, table: about.update(dtype="float16"), "unknown dtype 'float16'"),
        (lambda about, table: about["tensors"].pop("6.bias"), "checksums of"),
        (lambda about, table: about["tensors"].update(more="0"), "checksums of"),
        (lambda about, table: about.update(version=True), "version True"),
        (lambda about, table: about.update(version=1.0), "version 1.0"),
        (lambda about, table: about.update(more=1), "a description of"),
        (lambda about, table: about.update(estimator=[]), "estimator is"),
        (lambda about, table: about.update(layers={}), "layers is"),
        (lambda about, table: about.update(layers=about["layers"] + 995 * [["ReLU", {}]]), "1002 layers, at most 1000"),
        (lambda about, table: about.update(input_shape=[1, 3, True]), "input_shape must be an integer, got True"),
        (lambda about, table: about.update(input_shape=[1, 3, 4.0]), "input_shape must be an integer, got 4.0"),
        (lambda about, table: about["layers"][0][1].update(out_channels=2.0), "out_channels=2.0, expected int"),
        (lambda about, table: about["layers"][0][1].update(groups=True), "groups=True, expected int"),
        (lambda about, table: about["layers"][0][1].update(bias=0), "bias=0, expected bool"),
        (lambda about, table: about["layers"][0][1].update(kernel_size=[1, True]), "kernel_size must be an integer"),
        (lambda about, table: about["layers"][0][1].update(stride=None), "stride=None, expected int or tuple"),
        (lambda about, table: about["layers"][0][1].update(padding={"a": 1}), "expected int or tuple or str"),
        (lambda about, table: about["layers"][4][1].update(p="0.5"), "p='0.5', expected float"),
        (lambda about, table: about["layers"][4][1].update(p=True), "p=True, expected float"),
        (lambda about, table: about["layers"][4][1].update(p="RAW 1e999"), "the number 1e999"),
        (lambda about, table: about["layers"][4][1].update(p="RAW NaN"), "the number NaN"),
        (lambda about, table: _set_last_layer(about, "RAW " + 5000 * "9"), "the number 9999"),
        (
            lambda about, table: about.update(estimator={"a": "RAW " + 9000 * "[" + 9000 * "]"}),
            "does not describe a network: Recursion",
        ),
        (lambda about, table: about["layers"].append(["Layer", {}]), "unknown layer 'Layer'"),
        (lambda about, table: about["layers"].append([["ReLU"], {}]), "does not describe a network"),
        (lambda about, table: table["6.bias"].update(shape=[2.0]), "no integers"),
        (lambda about, table: table["0.weight"].update(shape=[2, True, 1, 2]), "no integers"),
        (lambda about, table: _move(table["6.bias"], 4.0), "no integers"),
        (lambda about, table: _move(table["6.bias"], 4), "without gaps"),
        (lambda about, table: about.update(estimator={"a": 2**20 * "a"}), "at most 1,048,576"),
    ],
)  # fmt: skip
def test_a_forged_header_is_checked_against_the_file_before_memory_is_taken(tmp_path, edit, message):
    path = tmp_path / "net.safetensors"
    _net().save(path)
    Sequential.load(path)  # what it imports takes memory, too
    forge(path, edit)
    if message is None:
        assert_array_equal(Sequential.load(path).buffer, _net().buffer)
        return
    tracemalloc.start()
    with pytest.raises(fastconv.ModelFileError, match=message):
        Sequential.load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX pipes")
def test_only_regular_files_are_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/tty" if os.path.exists("/dev/tty") else "/dev/null"):
        with pytest.raises((fastconv.ModelFileError, OSError)) as error:
            Sequential.load(path)
        assert "\n" not in str(error.value) and str(path) in str(error.value)
    with pytest.raises(IsADirectoryError, match=re.escape(repr(str(tmp_path)))):
        Sequential.load(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # its name may be short only
        server.bind("socket")
        with pytest.raises(OSError, match="socket"):
            Sequential.load("socket")


def test_a_huge_file_costs_nothing_unless_it_is_a_model(tmp_path):
    path = tmp_path / "net.safetensors"
    _net().save(path)
    os.truncate(path, 2**40)
    before = time.process_time()
    with pytest.raises(fastconv.ModelFileError, match="bytes of tensors, expected"):
        Sequential.load(path)
    path.write_bytes((2**40).to_bytes(8, "little"))
    os.truncate(path, 2**41)
    with pytest.raises(fastconv.ModelFileError, match="a header of 1099511627776"):
        Sequential.load(path)
    assert time.process_time() - before < 1


def test_loading_and_saving_take_little_more_memory_than_the_file(tmp_path):
    net = Sequential([Flatten(), Linear(70)], (1, 300, 300), random_state=0)
    path, size = tmp_path / "net.safetensors", net.buffer.nbytes
    tracemalloc.start()
    net.save(path)
    saved = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    Sequential.load(path)
    loaded = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert saved < 2 * size and loaded < 1.5 * size


def test_a_small_file_with_a_huge_window_predicts_at_once(tmp_path):
    code = """
import sys, time, numpy as np
from fastconv import Sequential
for path in sys.argv[1:]:
    start = time.process_time()
    net = Sequential.load(path)
    try:
        net.predict(np.ones((2, 1, 3, 4)))
    except ValueError as error:
        assert "\\n" not in str(error), path
    assert time.process_time() - start < 5, path
    print("done")
"""
    paths = []
    for pool, size, dtype in product((MaxPool2d, AvgPool2d), (2**31 - 1, 30_001), ("float32", "float64")):
        layers = [pool(size, size, padding=(size - 1) // 2), Flatten(), Linear(2)]
        paths.append(tmp_path / f"{pool.__name__} {size} {dtype}.safetensors")
        Sequential(layers, (1, 3, 4), random_state=0, dtype=dtype).save(paths[-1])
    run = _run(code, *paths, timeout=60)
    assert run.returncode == 0 and run.stdout == "done\n" * 8 and not run.stderr, run


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_small_file_whose_images_no_memory_holds_is_one_line(tmp_path, dtype, monkeypatch):
    layers = [Conv2d(1, 1, padding=2**26), MaxPool2d(2**27), Flatten(), Linear(2)]
    with monkeypatch.context() as patched:
        patched.setattr("fastconv.layers.require_memory", lambda *_: None)  # no such network can be made, but its file can
        Sequential(layers, (1, 3, 4), random_state=0, dtype=dtype).save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="^[^\n]*(memory|bytes|GB)[^\n]*$"):
        Sequential.load(tmp_path / "net.safetensors").predict(np.ones((2, 1, 3, 4), dtype))


def _leaves(value, path=()):
    """The path to everything within a JSON value."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from _leaves(value[key], (*path, key))


def test_no_value_of_another_kind_anywhere_in_the_header_loads(tmp_path):
    path, whole = tmp_path / "net.safetensors", {}
    _net().save(path)
    data = path.read_bytes()
    forge(path, lambda about, table: whole.update(about=about, table=table))
    places, odd = [*_leaves(whole)], (None, True, -1, 0, 0.5, 1e300, 2**62, "x", [], {}, [0], [[1, 1], [1]], {"a": 1})
    for place, value in ((place, value) for place in places for value in odd):
        if len(place) == 1 or place[1] in ("estimator", "header") or repr(reduce(getitem, place, whole)) == repr(value):
            continue

        def edit(about, table, place=place, value=value):
            reduce(getitem, place[:-1], {"about": about, "table": table})[place[-1]] = value

        put(path, data)
        forge(path, edit)
        try:
            net = Sequential.load(path)
        except fastconv.ModelFileError as error:
            assert "\n" not in str(error), (place, value)
        else:  # another stride, say, that suits the same parameters
            assert net.layers != _net().layers and place[:2] == ("about", "layers"), (place, value)


def test_pytorch_reads_the_file(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    net = Sequential([Conv2d(3, (2, 3)), ReLU(), Flatten(), Linear(2)], (1, 4, 5), random_state=0)
    net.save(tmp_path / "net.safetensors")
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 3, (2, 3)), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(27, 2))
    module.load_state_dict(load_file(tmp_path / "net.safetensors"))
    x = np.random.default_rng(0).random((4, 1, 4, 5), np.float32)
    with torch.no_grad():
        assert_allclose(module(torch.from_numpy(x)).numpy(), net.predict(x), rtol=1e-5, atol=1e-6)
    other = Sequential(net.layers, (1, 4, 5), random_state=1)
    other.load_state_dict(dict(module.named_parameters()))
    assert_array_equal(other.buffer, net.buffer)
    other.load_state_dict({name: value.bfloat16() for name, value in module.state_dict().items()})
    assert_allclose(other.buffer, net.buffer, rtol=1e-2)
    other.load_state_dict(module.state_dict())
    assert_array_equal(other.buffer, net.buffer)
