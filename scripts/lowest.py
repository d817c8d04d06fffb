"""The lowest versions that pyproject.toml names, as constraints for pip: ``python scripts/lowest.py > constraints.txt``."""

import re
import tomllib
from itertools import chain
from pathlib import Path


def constraints(project):
    """name -> version; every requirement has a floor, and the same one wherever it is named."""
    found = {}
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        name, extras, how, version = re.fullmatch(r"([\w.-]+)(\[.*\])?(?:(>=|==)([\w.]+))?", requirement).groups()
        if name == project["name"]:
            continue
        if version is None or found.setdefault(name, version) != version:
            raise SystemExit(f"{requirement} needs a lowest version, the same everywhere")
    return found


if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    print("\n".join(f"{name}=={version}" for name, version in constraints(project).items()))
