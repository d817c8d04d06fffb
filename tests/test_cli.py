"""The command: what it prints, what it leaves, and how it ends."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import ConvNetClassifier, ConvNetRegressor
from fastconv.command import main as cli
from fastconv.command import tables


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
        ("1,2,3\n4,5,6\n", "no line of names; give the target's column by number"),
        ("a,b\n1,2\n", "nothing to predict"),
        ("", "expected a line of names"),
        ("a,a,y\n1,2,0\n", "two columns are called 'a'"),
        ("a,b,y\n1,inf,0\n", "line 2, column b: 'inf' is not a number"),
        ("a,b,y\n1,2,0\n\n3,4,\n", "line 4, column y: no target"),
        ("a,species\n1,cat\n", "name it: --target species"),
        ("a,b,y\n1,2,0.5\n3,4,1\n", "0.5; --regression predicts numbers"),
        ("a,y\n" + "x" * 200_000 + ",1\n", "not a table"),
        ("a,y\n1,5\n2,5\n3,5\n", "the target of every sample is 5; there is nothing to learn"),
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
    (tmp_path / "latin.csv").write_bytes("a,y\n1,\xfc\n".encode("latin-1"))
    np.savez(tmp_path / "object.npz", X=np.array([{}], object))
    np.savez(tmp_path / "scalar.npz", X=np.ones((3, 4)), y=1)
    np.savez(tmp_path / "empty.npz", X=np.ones((0, 4)), y=np.ones(0))
    for arguments in (
        ("train", tmp_path / "bad.npz"),
        ("train", tmp_path / "object.npz"),
        ("train", tmp_path / "scalar.npz"),
        ("train", tmp_path / "empty.npz"),
        ("train", tmp_path / "latin.csv"),
        ("train", table[0], "--regression"),
        ("train", "digits", "--target", "y"),
        ("train", table[0], "--save", tmp_path),
        ("train", tmp_path / "none.csv"),
        ("train", tmp_path / "file.txt"),
        ("train", table[0], "--target", "e"),
        ("predict", tmp_path / "model.safetensors", table[0]),
        ("export", tmp_path / "none.safetensors", tmp_path / "x.onnx"),
        ("train", table[0], "--save", tmp_path / "none" / "m.safetensors", "--epochs", 1, "--json"),
    ):
        code, out, err = run(capsys, *arguments)
        assert code == 1 and out == "" and err.count("\n") == 1 and err.startswith("fastconv: "), (arguments, err)


@pytest.mark.parametrize(
    "arguments",
    [["fit"], ["train"], *(["train", "digits", *wrong.split()] for wrong in (
        "--epochs 0", "--epochs x", "--image-shape a", "--image-shape 8",
        "--lr nan", "--lr -1", "--test-size 0", "--seed -1"))],
)  # fmt: skip
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    err = capsys.readouterr().err
    assert ended.value.code == 2 and "usage:" in err and err.count("\n") == 1


def test_a_folder_that_is_not_there_is_noticed_before_training(tmp_path, capsys, table):
    code, out, err = run(capsys, "train", table[0], "--save", tmp_path / "none" / "m.safetensors", "--epochs", 1)
    assert code == 1 and "epoch" not in err and err.count("\n") == 1


def test_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == f"fastconv {fastconv.__version__}\n"


def test_tables_as_they_are_met(tmp_path, capsys, table):
    path, X, _ = table
    lines = path.read_text().splitlines()
    (tmp_path / "semicolons.csv").write_text("\n".join(line.replace(",", "; ") for line in lines) + "\n\n")
    plain, other = tables.read_data(str(path)), tables.read_data(str(tmp_path / "semicolons.csv"))
    np.testing.assert_array_equal(other[0], plain[0])
    assert other[1].tolist() == plain[1].tolist() and other[2] == plain[2]
    (tmp_path / "codes.csv").write_text("a,y\n1,007\n2,7\n")
    assert tables.read_data(str(tmp_path / "codes.csv"))[1].tolist() == ["007", "7"]
    # What the model does not need may be anything, the target's texts too.
    run(capsys, "train", path, "--epochs", 2, "--save", tmp_path / "m.safetensors", "--json")
    (tmp_path / "more.csv").write_text("\n".join([lines[0] + ",id", *(line + ",x1" for line in lines[1:])]))
    first = run(capsys, "predict", tmp_path / "m.safetensors", path)
    assert first[0] == 0 and run(capsys, "predict", tmp_path / "m.safetensors", tmp_path / "more.csv") == first


def test_a_class_with_one_member_is_trained(tmp_path, capsys, table):
    path, _, _ = table
    path.write_text(path.read_text() + "0.5,0.5,lonely,0.5,0.5\n")
    code, out, _ = run(capsys, "train", path, "--epochs", 1, "--save", tmp_path / "m.safetensors", "--json")
    assert code == 0 and "lonely" in ConvNetClassifier.load(tmp_path / "m.safetensors").classes_


def test_a_model_is_explained_on_its_data(tmp_path, capsys):
    rng = np.random.default_rng(0)
    X = rng.random((60, 1, 5, 4))
    np.savez(tmp_path / "data.npz", X=X, y=X.sum(axis=(1, 2, 3)))
    model = tmp_path / "m.safetensors"
    run(capsys, "train", tmp_path / "data.npz", "--regression", "--epochs", 2, "--save", model, "--json")
    code, out, _ = run(
        capsys, "explain", "--model", model, "--data", tmp_path / "data.npz", "--samples", 2, "--why", "loss", "--json"
    )
    regressor = ConvNetRegressor.load(model)
    expected = ((regressor.predict(X[:2]) - X[:2].sum(axis=(1, 2, 3))) / regressor.y_scale_[0]) ** 2
    assert code == 0 and json.loads(out)["value"] == pytest.approx(expected.mean(), rel=1e-4)
    code, out, err = run(capsys, "explain", "--model", model)
    assert code == 1 and "--data" in err


def test_a_model_is_explained_on_the_columns_it_was_trained_on(table, tmp_path, capsys):
    path, X, y = table
    model = tmp_path / "m.safetensors"
    run(capsys, "train", path, "--epochs", 2, "--save", model, "--json")
    with open(tmp_path / "turned.csv", "w", newline="") as file:
        rows = [[row[3], "x", row[2], row[1], name, row[0]] for row, name in zip(X.tolist(), y)]
        csv.writer(file).writerows([["d", "id", "c", "b", "label", "a"], *rows])
    why = ("--samples", 3, "--why", "loss", "--json")
    expected = run(capsys, "explain", "--model", model, "--data", path, *why)
    assert expected[0] == 0 and run(capsys, "explain", "--model", model, "--data", tmp_path / "turned.csv", *why) == expected


def _signalled(number, *options, python=("-m", "fastconv")):
    """Train for ever and send a signal after the first epoch: -> exit code, last line."""
    command = [sys.executable, *python, "train", "digits", "--epochs", "1000000", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(cli.__file__).parents[2])
    while not process.stderr.readline().startswith("epoch"):
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err.splitlines()[-1]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupted_it_ends_with_130():
    # Ctrl-C may be ignored where the tests run, as in a background job.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code += "; from fastconv.command.main import main; sys.exit(main())"
    assert _signalled(signal.SIGINT, python=("-c", code)) == (130, "fastconv: interrupted")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_terminated_it_ends_with_143_and_leaves_the_old_model(tmp_path):
    model = tmp_path / "m.safetensors"
    model.write_bytes(b"old")
    assert _signalled(signal.SIGTERM, "--save", str(model)) == (143, "fastconv: terminated")
    assert model.read_bytes() == b"old" and os.listdir(tmp_path) == ["m.safetensors"]


def test_columns_of_a_table_may_come_in_another_order(table, tmp_path, capsys):
    path, X, _ = table
    run(capsys, "train", path, "--epochs", 2, "--save", tmp_path / "m.safetensors", "--json")
    with open(tmp_path / "turned.csv", "w", newline="") as file:
        csv.writer(file).writerows([["d", "c", "b", "a"], *X[:, ::-1].tolist()])
    first = run(capsys, "predict", tmp_path / "m.safetensors", path)[1]
    assert run(capsys, "predict", tmp_path / "m.safetensors", tmp_path / "turned.csv")[1] == first
    assert tables.read_data(str(tmp_path / "turned.csv"))[1] is None


def test_a_bare_command_prints_help(capsys):
    code, out, err = run(capsys)
    assert code == 0 and out.startswith("usage: fastconv") and "train" in out and err == ""


@pytest.mark.parametrize("name", ["\x1b[31mred", "\x07", "\u202e"])
def test_names_are_escaped_in_error_lines(tmp_path, capsys, name):
    path = tmp_path / "t.csv"
    path.write_text(f"a,{name},y\n1,two,0\n", encoding="utf-8")
    code, _, err = run(capsys, "train", path)
    assert code == 1 and name.encode("unicode_escape").decode() in err and name not in err


@pytest.mark.parametrize("members", [(2,) * 30, (1, 1, 9, 9), (2, 2, 2)])
def test_rare_classes_are_trained(tmp_path, capsys, members):
    rows = [f"{k / 7},{k % 3},{k % 5},c{c}" for c, n in enumerate(members) for k in range(n)]
    (tmp_path / "t.csv").write_text("a,b,d,y\n" + "\n".join(rows) + "\n")
    code, _, err = run(capsys, "train", tmp_path / "t.csv", "--epochs", 1, "--save", tmp_path / "m.safetensors", "--json")
    assert code == 0, err
    assert len(ConvNetClassifier.load(tmp_path / "m.safetensors").classes_) == len(members)


def test_what_is_read_is_not_written(table, tmp_path, capsys):
    path, before = table[0], table[0].read_bytes()
    os.symlink(path, tmp_path / "link.csv")
    for save in (path, tmp_path / "link.csv"):
        code, out, err = run(capsys, "train", path, "--save", save)
        assert code == 1 and out == "" and "is read from" in err and "epoch" not in err
    assert path.read_bytes() == before
    assert run(capsys, "train", path, "--save", tmp_path / ("n" * 300))[0] == 1


def test_an_export_does_not_replace_the_model(table, tmp_path, capsys):
    model = tmp_path / "m.safetensors"
    run(capsys, "train", table[0], "--epochs", 1, "--save", model, "--json")
    before = model.read_bytes()
    assert run(capsys, "export", model, model) == (1, "", f"fastconv: {model} is read from, it cannot be written to as well\n")
    assert model.read_bytes() == before


def test_class_names_are_escaped_on_a_terminal_alone(tmp_path, capsys, monkeypatch):
    name = "\x1b[31mred"
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(f"{k},{k % 3},{name if k % 2 else 'blue'}\n" for k in range(20)))
    run(capsys, "train", tmp_path / "t.csv", "--epochs", 1, "--save", tmp_path / "m.safetensors", "--json")
    predict = ("predict", tmp_path / "m.safetensors", tmp_path / "t.csv", "--proba")
    assert f"p({name})" in run(capsys, *predict)[1]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "p(\\x1b[31mred)" in run(capsys, *predict)[1] and name not in run(capsys, *predict)[1]


def test_a_model_that_no_file_can_describe_is_refused_before_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ConvNetClassifier, "fit", lambda *_, **__: pytest.fail("trained"))
    data = tmp_path / "wide.csv"
    header = ",".join([*(f"column {k}" for k in range(30_001)), "label"])
    np.savetxt(data, np.eye(6, 30_002) + np.arange(6)[:, None] % 2, fmt="%d", delimiter=",", header=header, comments="")
    assert cli.main(["train", str(data), "--save", str(tmp_path / "model.safetensors")]) == 1
    assert "30,001 columns" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [data]
