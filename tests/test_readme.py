"""README's numbers are those that were measured."""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).parent.parent


def test_the_tables_of_speed_come_from_the_results():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import readme
    finally:
        sys.path.pop(0)
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    written = (ROOT / "README.md").read_text().split(readme.BEGIN)[1].split(readme.END)[0]
    assert written.strip() == readme.section(results)
