"""Files as people have them: what is read from each, and the one line that answers what cannot be read."""

import gzip
import io
import json
import os
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from fastconv import ConvNetClassifier
from fastconv.command import main as cli
from fastconv.command.tables import read_data, read_test, sources


def written(path, content):
    """`content` in the file `path`, gzipped if its name says so; -> its name"""
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def run(capsys, *arguments):
    code = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


ROWS = [[1.5, 2.0, "cat"], [-3.0, 4e-2, "dog"], [0.5, 1.0, "cat"]]
COMMAS = "a,b,y\n1.5,2,cat\n-3,4e-2,dog\n.5,1.,cat\n"


@pytest.mark.parametrize(
    "name, content",
    [
        ("t.csv", COMMAS),
        ("T.CSV", COMMAS),
        ("t.csv.gz", COMMAS),
        ("t.data", COMMAS),
        ("t.tsv", COMMAS.replace(",", "\t")),
        ("t.tsv.gz", COMMAS.replace(",", "\t")),
        ("t.csv", COMMAS.replace(",", ";")),
        ("t.csv", COMMAS.replace(",", " ; ")),
        ("t.txt", COMMAS),
        ("t.txt", COMMAS.replace(",", "   ")),
        ("t.txt.gz", "# made by hand\n\n" + "".join(f"  {line.replace(',', '  ')} \n" for line in COMMAS.splitlines())),
        ("t.csv", "\ufeff" + COMMAS.replace("\n", "\r\n")),
        ("t.csv", "\ufeff" + COMMAS.replace("\n", "\r")),
        ("t.csv", COMMAS.replace("\n", "\n\n,,\n") + " \n"),
        ("t.csv", COMMAS.rstrip()),
        ("t.csv", '"a","b","y"\n"1.5","2","cat"\n"-3","4e-2","dog"\n".5","1.","cat"\n'),
        ("t.csv", '"a", "b", "y"\n"1.5", "2", "cat"\n-3,  "4e-2", "dog"\n .5 , 1. , cat \n'),
        ("t.csv", ",a,b,y\n0,1.5,2,cat\n1,-3,4e-2,dog\n2,.5,1.,cat\n"),
        ("t.csv", "Unnamed: 0,a,b,y\nr,1.5,2,cat\ns,-3,4e-2,dog\nt,.5,1.,cat\n"),
    ],
)
def test_a_table_in_every_form(tmp_path, name, content):
    X, y, names = read_data(written(tmp_path / name, content))
    np.testing.assert_array_equal(X, [row[:2] for row in ROWS])
    assert X.dtype == float and y.tolist() == ["cat", "dog", "cat"] and names == ["a", "b"]


@pytest.mark.parametrize(
    "content, target, X, y",
    [
        ("1,2,3\n4,5,6\n", "0", [[2, 3], [5, 6]], [1, 4]),
        ("1,2,3\n4,5,6\n", "-1", [[1, 2], [4, 5]], [3, 6]),
        ("1,2,3\n4,5,6\n", "1", [[1, 3], [4, 6]], [2, 5]),
        ("5.1,3.5,setosa\n4.9,3,virginica\n", "2", [[5.1, 3.5], [4.9, 3]], ["setosa", "virginica"]),
        ("5.1 3.5 0.5\n4.9 3 1\n", "-1", [[5.1, 3.5], [4.9, 3]], [0.5, 1]),
        ("0,1,2\n4,5,6\n7,8,9\n", "2", [[4, 5], [7, 8]], [6, 9]),  # pandas' names
        (",0,1,2\n0,4,5,6\n1,7,8,9\n", "0", [[5, 6], [8, 9]], [4, 7]),
        ("2019,b,c\n1,2,3\n", "2019", [[2, 3]], [1]),  # texts above numbers
        ("a,label,b\n1,2,3\n", None, [[1, 3]], [2]),
        ("a,Class\n1,007\n2,7\n", None, [[1], [2]], ["007", "7"]),
        ("a,y\n1,99999999999999999998\n2,99999999999999999999\n", None, [[1], [2]], ["9" * 19 + "8", "9" * 20]),
        ("a,y\n1,NA\n2,x\n", None, [[1], [2]], ["NA", "x"]),
        ('a,y\n1,"x, ""y""\nz"\n2,b\n', None, [[1], [2]], ['x, "y"\nz', "b"]),
    ],
)
def test_the_target_of_a_table(tmp_path, content, target, X, y):
    found = read_data(written(tmp_path / "t.txt", content), target)
    np.testing.assert_array_equal(found[0], X)
    assert found[1].tolist() == y


NO_NUMBER = "is not a number; write it as a number, or leave the column out"
ASK = "give the target's column by number, --target 0 for the first, --target -1 for the last"


@pytest.mark.parametrize(
    "content, target, answer",
    [
        ("a,b,y\n1,yes,0\n", None, f": line 2, column b: 'yes' {NO_NUMBER}"),
        ("a,b\n1,yes\n", None, ": line 2, column b: 'yes' is not a number; if b is what to predict, name it: --target b"),
        ("a,b,y\n1,2,0\n\n3,,0\n", None, ": line 4, column b: no number (''); fill it in, or leave the line out"),
        ("a,b,y\n1,2,0\n3,NA,0\n", None, ": line 3, column b: no number ('NA'); fill it in, or leave the line out"),
        ("a,b,y\n1,2,0\n3,nan,0\n", None, ": line 3, column b: no number ('nan'); fill it in, or leave the line out"),
        ("a;b;y\n1,5;2;0\n", None, ": line 2, column a: '1,5' has a comma; write numbers such as 1.5 and 1000"),
        ('a,y\n1,0\n"1,234.5",0\n', None, ": line 3, column a: '1,234.5' has a comma; write numbers such as 1.5 and 1000"),
        ("a,b,y\n1,2,0\n3,1e400,0\n", None, f": line 3, column b: '1e400' {NO_NUMBER}"),
        ("a,b,y\n1,1_0,0\n", None, f": line 2, column b: '1_0' {NO_NUMBER}"),
        ("a,b,y\n1,2,0\n1,2,\n", None, ": line 3, column y: no target"),
        ("a,b,y\n1,2,0\n1,2,nan\n", None, ": line 3, column y: no target"),
        ("a,b,y\n1,2,0\n1,2\n", None, ": line 3 has 2 cells, the first line has 3"),
        ("a,b,y\n1,2,0\n\n1\n", None, ": line 4 has 1 cell, the first line has 3"),
        ("a,b,y\n1,2,0\n1,2,3,4\n", None, ": line 3 has 4 cells, the first line has 3"),
        ("a,label,y\n1,2,0\n", None, ": label or y could be the target; choose with --target"),
        ("Y,y,a\n1,2,0\n", None, ": Y or y could be the target; choose with --target"),
        ("a,b,a\n1,2,0\n", "b", ": two columns are called 'a'"),
        ("a,b,y\n1,2,0\n", "c", ": no column 'c', only a, b, y"),
        (",".join(f"c{k}" for k in range(12)) + "\n" + "1," * 11 + "1\n", "c",
         ": no column 'c', only c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 2 more"),
        ("y\n1\n2\n", None, ": no columns to predict from"),
        ("1,2,3\n4,5,6\n", None, f": no line of names; {ASK}"),
        ("1,2,3\n4,5,6\n", "3", f": no line of names, 3 columns, so --target 3 is none; {ASK}"),
        ("1,2,3\n4,5,6\n", "y", f": no line of names, 3 columns, so --target y is none; {ASK}"),
        ("1,2,3\n4,x,6\n", "0", f": line 2, column 1 (the first is 0): 'x' {NO_NUMBER}"),
        ("", None, ": expected a line of names and at least one row"),
        ("a,b,y\n", None, ": expected a line of names and at least one row"),
        ("\n\n,,\n", None, ": expected a line of names and at least one row"),
        ("a,y\n" + "z" * 999 + ",1\n", None, f": line 2, column a: '{'z' * 57}...' {NO_NUMBER}"),
        (b"a,y\n\xfc,1\n", None, ": not UTF-8 text"),
        ("a,y\n1,2\n".encode("utf-16"), None, ": not UTF-8 text"),
    ],
)  # fmt: skip
def test_a_table_that_is_none(tmp_path, content, target, answer):
    path = written(tmp_path / "t.csv", content)
    with pytest.raises(ValueError) as raised:
        read_data(path, target)
    assert str(raised.value) == path + answer


@pytest.mark.parametrize("features, X", [(["c", "a"], [[3, 1], [6, 4]]), (["a", "c"], [[1, 3], [4, 6]]), (["b"], [[2], [5]])])
def test_predictions_need_the_features_alone(tmp_path, features, X):
    path = written(tmp_path / "t.csv", "id,a,y,b,label,c\nx,1,,2,,3\ny,4,NA,5,no,6\n")
    found, y, names = read_data(path, None, features, with_target=False)
    np.testing.assert_array_equal(found, X)
    assert y is None and names == features


def test_empty_targets_are_predicted(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{b:.3f},{a > b:d}" for a, b in rng.random((30, 2))]
    model = tmp_path / "m.safetensors"
    train = written(tmp_path / "train.csv", "\n".join(["a,b,y", *lines]))
    assert run(capsys, "train", train, "--epochs", 1, "--save", model, "--json")[0] == 0
    empty = written(tmp_path / "empty.csv", "\n".join(["a,b,y", *(line[:-1] for line in lines)]))
    first = run(capsys, "predict", model, train)
    assert first[0] == 0 and run(capsys, "predict", model, empty) == first
    assert run(capsys, "train", empty) == (1, "", f"fastconv: {empty}: line 2, column y: no target\n")
    headless = written(tmp_path / "headless.csv", "\n".join(lines))
    assert run(capsys, "predict", model, headless) == (
        1, "", f"fastconv: {headless}: no line of names; the model was trained on columns named a, b\n")  # fmt: skip


@pytest.mark.parametrize("first", [0, 1])
def test_kaggle_s_pixels_are_images(tmp_path, capsys, first):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (40, 6, 6)), np.arange(40) % 3
    names = [f"pixel{k}" for k in range(first, first + 36)]
    rows = [",".join(map(str, [label, *image.flat])) for label, image in zip(labels, images)]
    path = written(tmp_path / "train.csv.gz", "\n".join([",".join(["label", *names]), *rows]))
    X, y, found = read_data(path)
    np.testing.assert_array_equal(X, images)
    assert y.tolist() == labels.tolist() and found == names
    code, out, err = run(capsys, "train", path, "--epochs", 1, "--save", tmp_path / "m.safetensors", "--json")
    assert code == 0 and json.loads(out)["image_shape"] == [1, 6, 6], err
    shaped = ("--image-shape", "3x3x4", "--epochs", 1, "--save", tmp_path / "shaped", "--json")
    assert json.loads(run(capsys, "train", path, *shaped)[1])["image_shape"] == [3, 3, 4]
    assert run(capsys, "predict", tmp_path / "shaped", path)[0] == 0
    test = written(tmp_path / "test.csv", "\n".join([",".join(names), *(row.split(",", 1)[1] for row in rows)]))
    loaded = ConvNetClassifier.load(tmp_path / "m.safetensors")
    del loaded.feature_names_in_  # an array has none
    expected = loaded.predict(images)
    assert run(capsys, "predict", tmp_path / "m.safetensors", test)[1].split()[1:] == [str(label) for label in expected]
    assert read_data(written(tmp_path / "not.csv", "y,p1,p2,p3,p4,p5,p6,p7,p8,p9\n" + "1," * 9 + "1\n"))[0].shape == (1, 9)


# --- arrays ---


def test_keras_archives_bring_their_own_test_set(tmp_path, capsys):
    rng = np.random.default_rng(0)
    arrays = {"x_train": rng.integers(0, 256, (30, 6, 7, 3)), "y_train": np.arange(30)[:, None] % 2}
    arrays |= {"x_test": rng.integers(0, 256, (11, 6, 7, 3)), "y_test": np.arange(11)[:, None] % 2}
    path = str(tmp_path / "data.npz")
    np.savez_compressed(path, **{name: array.astype("u1") for name, array in arrays.items()})
    X, y, _ = read_data(path)
    np.testing.assert_array_equal(X, np.moveaxis(arrays["x_train"], 3, 1))
    assert y.tolist() == arrays["y_train"][:, 0].tolist()
    X_test, y_test = read_test(path)
    np.testing.assert_array_equal(X_test, np.moveaxis(arrays["x_test"], 3, 1))
    assert len(y_test) == 11
    np.testing.assert_array_equal(read_data(path, with_target=False)[0], X_test)
    code, out, err = run(capsys, "train", path, "--epochs", 1, "--json", "--save", tmp_path / "m.safetensors")
    found = json.loads(out)
    assert code == 0 and (found["samples"], found["test_samples"], found["image_shape"]) == (30, 11, [3, 6, 7])
    assert len(run(capsys, "predict", tmp_path / "m.safetensors", path)[1].splitlines()) == 12
    np.savez(path, **{name: arrays[name] for name in ("x_train", "y_train")})
    assert read_test(path) is None and len(read_data(path, with_target=False)[0]) == 30


def test_arrays_that_are_not_needed_may_be_anything(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.ones((3, 2)), other=np.array([{}], object), answer=np.arange(3), y=np.arange(2))
    assert read_data(str(tmp_path / "data.npz"), "answer")[1].tolist() == [0, 1, 2]
    assert read_data(str(tmp_path / "data.npz"), with_target=False)[1] is None


@pytest.mark.parametrize(
    "arrays, target, answer",
    [
        ({"X": np.ones((3, 2)), "y": np.ones(2)}, None, ": y has shape (2,) for X (3, 2)"),
        ({"x_train": np.ones((3, 2)), "y_train": np.ones(2)}, None, ": y_train has shape (2,) for x_train (3, 2)"),
        ({"X": np.ones((0, 2))}, None, ": X has shape (0, 2), expected rows or images, at least one"),
        ({"X": np.ones((2, 0))}, None, ": X has shape (2, 0), expected rows or images, at least one"),
        ({"X": np.ones((2, 1), complex)}, None, ": X has dtype complex128, expected numbers"),
        ({"X": np.ones((2, 1)), "y": np.ones(2, "M8[s]")}, None, ": y has dtype datetime64[s], expected numbers or texts"),
        ({"X": np.array([[{}]], object)}, None, ": X.npy is damaged, or no array of numbers"),
        ({"Z": np.ones((2, 1))}, None, ": no array X, only Z"),
        ({"X": np.ones((2, 1))}, "z", ": no array z, only X"),
    ],
)
def test_arrays_that_are_none(tmp_path, arrays, target, answer):
    path = str(tmp_path / "data.npz")
    np.savez(path, **arrays)
    with pytest.raises(ValueError) as raised:
        read_data(path, target)
    assert str(raised.value) == path + answer


def _npy(shape, content=b"", descr="<f8"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


@pytest.mark.parametrize("shape", [(2**50, 2), (2**62, 2**62), (3, 2), (1, 1), (-1, -2)])
def test_an_array_whose_header_lies_is_refused_before_there_is_room_for_it(tmp_path, shape):
    path = str(tmp_path / "data.npz")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", _npy(shape, bytes(32)))
    with pytest.raises(ValueError, match=r"data.npz: X.npy is damaged, or no array of numbers$"):
        read_data(path)


def idx(array, kind=8):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize(
    "images, labels",
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
    ],
)
def test_idx_files(tmp_path, capsys, images, labels):
    X, y = np.random.default_rng(0).integers(0, 256, (30, 7, 6)).astype("u1"), (np.arange(30) % 3).astype("u1")
    path = written(tmp_path / images, idx(X))
    np.testing.assert_array_equal(read_data(path, with_target=False)[0], X)
    expected = labels.removesuffix(".gz")
    assert run(capsys, "train", path) == (
        1,
        "",
        f"fastconv: {path}: no labels beside it, expected {expected} or {expected}.gz\n",
    )
    beside = written(tmp_path / labels, idx(y))
    found = read_data(path)
    np.testing.assert_array_equal(found[0], X)
    assert found[1].tolist() == y.tolist()
    code, out, err = run(capsys, "train", path, "--epochs", 1, "--json")
    assert code == 0 and json.loads(out)["image_shape"] == [1, 7, 6], err
    answer = " has shape (30,), expected images, at least one; name the file of images, not the labels'\n"
    assert run(capsys, "train", beside) == (1, "", f"fastconv: {beside}{answer}")


def test_idx_numbers_are_big_endian(tmp_path):
    X = np.array([[1, 2], [300, -4]])
    for kind, dtype in ((9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")):
        path = written(tmp_path / "a-images-idx2-ubyte", idx(X.astype(dtype), kind))
        np.testing.assert_array_equal(read_data(path, with_target=False)[0], X.astype(dtype))


@pytest.mark.parametrize(
    "content, answer",
    [
        (b"", ": not an idx file"),
        (b"\0\0\x07\x03" + bytes(12), ": not an idx file"),
        (b"\0\0\x08\x03\0\0", " has shape (0, 0, 0), expected images, at least one; name the file of images, not the labels'"),
        (idx(np.ones((2, 2, 2), "u1"))[:-1], ": its header says (2, 2, 2), 8 bytes, it holds 7"),
        (idx(np.ones((2, 2, 2), "u1")) + b"x", ": its header says (2, 2, 2), 8 bytes, it holds more"),
        (struct.pack(">HBB3I", 0, 14, 3, 2**31, 2**31, 2**31), f": 16 bytes that unpack to {2**96:,} or more; refused"),
    ],
)
def test_an_idx_file_that_is_none(tmp_path, content, answer):
    path = written(tmp_path / "train-images-idx3-ubyte", content)
    with pytest.raises(ValueError) as raised:
        read_data(path)
    assert str(raised.value) == path + answer


# --- hostile files ---

NAMES = ["t.csv", "t.csv.gz", "t.tsv", "t.txt", "t.npz", "t-images-idx3-ubyte", "t-images-idx3-ubyte.gz"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX files")
@pytest.mark.parametrize("name", [*NAMES, "pipe"])
def test_only_regular_files(tmp_path, capsys, name):
    def answers(what):
        return run(capsys, "train", tmp_path / name) == (
            1,
            "",
            f"fastconv: {tmp_path / name} is {what}, expected a regular file\n",
        )

    os.mkfifo(tmp_path / name)
    assert answers("a pipe or device")
    os.unlink(tmp_path / name)
    os.symlink("/dev/zero", tmp_path / name)
    assert answers("a pipe or device")
    os.unlink(tmp_path / name)
    os.mkdir(tmp_path / name)
    assert answers("a folder")


@pytest.mark.parametrize("name", NAMES)
def test_bombs_and_stumps(tmp_path, name, monkeypatch):
    monkeypatch.setattr(sources, "SUSPECT_SIZE", 2**18)
    path, zeros = tmp_path / name, bytes(2**20)
    if "npz" in name:
        np.savez_compressed(path, X=np.zeros((2**10, 2**9)))
    else:
        content = idx(np.zeros((4, 2**10, 2**10), "u1")) if "idx" in name else b"a,y\n" + b"0,1\n" * 2**17
        path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=r" bytes that unpack to [\d,]+ or more; refused$"):
        read_data(str(path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="refused|does not unpack|not a .npz file"):
        read_data(str(path))
    monkeypatch.setattr(sources, "SUSPECT_SIZE", 2**30)
    if "npz" not in name:
        with pytest.raises(ValueError, match="damaged, or cut off: it does not unpack$"):
            read_data(str(path))
    monkeypatch.setattr("fastconv.command.tables.lines.LONGEST_LINE", 2**20)
    if "npz" not in name and "idx" not in name:
        path.write_bytes(zeros)
        with pytest.raises(ValueError, match="a line of more than 1,048,576 characters; not a table$"):
            read_data(str(path))


@pytest.mark.parametrize("name", ["t.csv", "t.npz", "t-images-idx3-ubyte"])
def test_what_memory_cannot_hold_is_refused(tmp_path, name, monkeypatch):
    monkeypatch.setattr(sources, "physical_memory", lambda: 2**20)
    X = np.random.default_rng(0).integers(0, 9, (600, 1200)).astype("u1")
    if "npz" in name:
        np.savez(tmp_path / name, X=X)
    else:
        written(tmp_path / name, idx(X) if "idx" in name else "a,y\n" + "1,2\n" * 2**17)
    with pytest.raises(ValueError, match="over half of this machine's memory$"):
        read_data(str(tmp_path / name))


# --- size and numbers ---


@pytest.mark.parametrize("place", [0, 300, 784])
def test_a_table_is_parsed_once_and_held_once(tmp_path, place):
    """Against NumPy's own reader of numbers alone, which takes the room of one table and a quarter."""
    table = np.random.default_rng(0).integers(0, 256, (800, 785))
    names = [f"c{k}" for k in range(785)]
    names[place] = "label"
    path = written(tmp_path / "t.csv", "\n".join([",".join(names), *(",".join(map(str, row)) for row in table.tolist())]))
    times = []
    for read in (lambda: np.loadtxt(path, delimiter=",", skiprows=1), lambda: read_data(path)[0]):
        start = time.process_time()
        X = read()
        times.append(time.process_time() - start)
    np.testing.assert_array_equal(X, np.delete(table, place, axis=1))
    assert times[1] < 3 * times[0]
    del X
    tracemalloc.start()
    try:
        read_data(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.6 * 8 * table.size


def test_wide_tables_take_seconds(tmp_path):
    n = 40_000
    content = ",".join(["y", *(f"c{k}" for k in range(n))]) + "\n" + (",".join(["1"] + ["2.5"] * n) + "\n") * 3
    path = written(tmp_path / "wide.csv", content)
    start = time.process_time()
    assert read_data(path)[0].shape == (3, n)
    assert read_data(path, None, [f"c{k}" for k in range(n)][::-2], with_target=False)[0].shape == (3, n // 2)
    with pytest.raises(ValueError, match="two columns are called 'c39998'"):
        read_data(written(tmp_path / "twice.csv", content.replace("c39999", "c39998")))
    assert time.process_time() - start < 10


def test_a_cell_that_is_too_large_is_a_warning(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{b:.3f},{a > b:d}" for a, b in rng.random((30, 2))]
    model = tmp_path / "m.safetensors"
    run(capsys, "train", written(tmp_path / "t.csv", "\n".join(["a,b,y", *lines])), "--epochs", 1, "--save", model, "--json")
    path = written(tmp_path / "large.csv", "\n".join(["a,b,y", lines[0], "", "0.5,-1e300,1", *lines[1:]]))
    answer = f"fastconv: warning: {path}: line 4, column b: -1e+300 is too large to be squared in 32 bits"
    answer += "; is it a mark for a missing number?\n"
    far = written(tmp_path / "far.csv", "a,y\n1,2\n3,1e160\n4,5\n")
    with pytest.warns(UserWarning, match=r"far.csv: line 3, column y: 1e\+160 is too large"):
        assert read_data(far)[1].tolist() == [2, 1e160, 5]
    for arguments in (("predict", model, path), ("train", path, "--epochs", 1, "--json")):
        assert answer in run(capsys, *arguments)[2]


def test_warnings_are_one_line_each_and_none_twice(tmp_path, capsys, monkeypatch):
    import warnings

    def examine():
        for text in ("two\nlines \x1b[31m", "two\nlines \x1b[31m", "another"):
            warnings.warn(text, UserWarning, stacklevel=1)
        return {}

    monkeypatch.setattr("fastconv.command._doctor.examine", examine)
    assert run(capsys, "doctor") == (0, "", "fastconv: warning: two lines \\x1b[31m\nfastconv: warning: another\n")


def test_a_score_of_one_sample_is_null(tmp_path, capsys):
    path = written(tmp_path / "t.csv", "a,b,y\n1,2,0.5\n2,3,1.5\n4,5,2.5\n5,5,3\n")
    code, out, err = run(capsys, "train", path, "--regression", "--epochs", 1, "--json")
    assert code == 0 and json.loads(out)["test_r2"] is None and json.loads(out)["test_samples"] == 1
    assert all(line.startswith("fastconv: warning: ") for line in err.splitlines())
