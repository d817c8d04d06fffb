"""The command: what it prints, what it leaves, and how it ends."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fastconv import ConvNetClassifier, cli, tables


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.random((90, 4)).round(3)
    y = np.where(X[:, 0] > X[:, 1], "left", "right")
    path = tmp_path / "table.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "label", "c", "d"])
        writer.writerows([row[0], row[1], name, row[2], row[3]] for row, name in zip(X.tolist(), y))
    return path, X, y


def run(capsys, *arguments):
    code = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_train_predict_and_export_a_table(table, tmp_path, capsys):
    path, X, y = table
    model = tmp_path / "model.safetensors"
    code, out, _ = run(capsys, "train", path, "--epochs", 60, "--save", model, "--json")
    found = json.loads(out)
    assert code == 0 and found["samples"] == 72 and found["epochs"] == 60 and found["test_accuracy"] > 0.5
    loaded = ConvNetClassifier.load(model)
    assert list(loaded.feature_names_in_) == ["a", "b", "c", "d"]
    del loaded.feature_names_in_

    code, out, _ = run(capsys, "predict", model, path)
    assert code == 0 and out.splitlines() == ["prediction", *loaded.predict(X)]
    code, out, _ = run(capsys, "predict", model, path, "--proba", "--json")
    assert json.loads(out)["columns"] == ["p(left)", "p(right)"]
    np.testing.assert_allclose(json.loads(out)["predictions"], loaded.predict_proba(X))

    pytest.importorskip("onnx")
    assert run(capsys, "export", model, tmp_path / "model.onnx")[0] == 0
    assert (tmp_path / "model.onnx").stat().st_size > 500


def test_train_on_arrays_and_digits(tmp_path, capsys):
    rng = np.random.default_rng(0)
    X = rng.random((60, 2, 3, 5))
    np.savez(tmp_path / "data.npz", X=X, y=X.sum(axis=(1, 2, 3)))
    code, out, err = run(
        capsys, "train", tmp_path / "data.npz", "--regression", "--epochs", 3, "--save", tmp_path / "m.safetensors"
    )
    assert code == 0 and "test_r2" in out and err.splitlines()[-1].startswith("epoch 3/3  loss")
    code, out, _ = run(capsys, "predict", tmp_path / "m.safetensors", tmp_path / "data.npz")
    assert len(out.splitlines()) == 61
    code, out, _ = run(capsys, "train", "digits", "--epochs", 2, "--json")
    assert code == 0 and json.loads(out)["image_shape"] == [1, 8, 8]


@pytest.mark.parametrize(
    "content, message",
    [
        ("a,b,y\n1,2,x\n1,2\n", "line 3 has 2 cells, the first line has 3"),
        ("a,b,y\n1,two,x\n", "line 2, column b: 'two' is not a number"),
        ("1,2,3\n4,5,6\n", "must name the columns"),
        ("a,b\n1,2\n", "nothing to predict"),
        ("", "expected a line of names"),
    ],
)
def test_a_bad_table_is_one_line(tmp_path, capsys, content, message):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    code, out, err = run(capsys, "train", path)
    assert code == 1 and out == "" and err.count("\n") == 1 and err.startswith("fastconv: ") and message in err


def test_bad_files_are_one_line(tmp_path, capsys, table):
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 no zip")
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    np.savez(tmp_path / "object.npz", X=np.array([{}], object))
    for arguments in (
        ("train", tmp_path / "bad.npz"),
        ("train", tmp_path / "object.npz"),
        ("train", tmp_path / "none.csv"),
        ("train", tmp_path / "file.txt"),
        ("train", table[0], "--target", "e"),
        ("predict", tmp_path / "model.safetensors", table[0]),
        ("export", tmp_path / "none.safetensors", tmp_path / "x.onnx"),
        ("train", table[0], "--save", tmp_path / "none" / "m.safetensors", "--epochs", 1, "--json"),
    ):
        code, out, err = run(capsys, *arguments)
        assert code == 1 and out == "" and err.count("\n") == 1 and err.startswith("fastconv: "), (arguments, err)


@pytest.mark.parametrize("arguments", [[], ["fit"], ["train"], ["train", "digits", "--epochs", "0"], ["train", "digits", "--image-shape", "a"]])  # fmt: skip
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2 and "usage:" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupted_it_ends_with_130():
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from fastconv import cli; sys.exit(cli.main())"
    command = [sys.executable, "-c", code, "train", "digits", "--epochs", "1000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=os.path.dirname(os.path.dirname(cli.__file__)))
    while not process.stderr.readline().startswith("epoch"):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.splitlines()[-1] == "fastconv: interrupted"


def test_columns_of_a_table_may_come_in_another_order(table, tmp_path, capsys):
    path, X, _ = table
    run(capsys, "train", path, "--epochs", 2, "--save", tmp_path / "m.safetensors", "--json")
    with open(tmp_path / "turned.csv", "w", newline="") as file:
        csv.writer(file).writerows([["d", "c", "b", "a"], *X[:, ::-1].tolist()])
    first = run(capsys, "predict", tmp_path / "m.safetensors", path)[1]
    assert run(capsys, "predict", tmp_path / "m.safetensors", tmp_path / "turned.csv")[1] == first
    assert tables.read_data(str(tmp_path / "turned.csv"))[1] is None
