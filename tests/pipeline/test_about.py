import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.about import PROJECT, Requirement, hearth_version, parse, requirements

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("torch>=2.13,<2.14", Requirement("torch", ">=2.13,<2.14")),
        ("numpy", Requirement("numpy", "")),
        ("ruff==0.17.5 ; extra == 'dev'", Requirement("ruff", "==0.17.5", "dev")),
        (
            "mpich>=4.3; sys_platform != 'win32' and extra == \"cluster\"",
            Requirement("mpich", ">=4.3", "cluster"),
        ),
        ("dask[complete] (>=2025.1)", Requirement("dask", ">=2025.1")),
    ],
)
def test_a_requirement_is_read_as_packages_write_it(line, expected):
    assert parse(line) == expected


@pytest.mark.parametrize(
    ("wanted", "version", "suits"),
    [
        (">=2.13,<2.14", "2.13.0+cpu", True),
        (">=2.13,<2.14", "2.14.0", False),
        (">=2.13,<2.14", "2.9.1", False),
        (">=2", "2.4.6", True),
        ("==0.17.5", "0.17.5", True),
        ("==0.17.5", "0.17.50", False),
        ("==2.13.*", "2.13.4", True),
        ("~=1.4", "1.9", True),
        ("~=1.4", "2.0", False),
        ("", "0.1", True),
    ],
)
def test_a_version_suits_by_its_numbers(wanted, version, suits):
    assert Requirement("x", wanted).suits(version) is suits


def test_the_requirements_are_those_of_the_project():
    found = requirements()
    assert str(found[0]) == "torch>=2.13,<2.14"
    assert {one.extra for one in found} >= {None, "watch", "glue", "lamb", "spm", "cluster"}


def test_the_version_is_told_without_installed_metadata(tmp_path):
    for name in ("cli.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for layer in ("pipeline", "shards", "model", "train"):
        shutil.copytree(
            ROOT / layer, tmp_path / layer, ignore=shutil.ignore_patterns("__pycache__")
        )
    code = (
        "import sys, importlib.metadata as m\n"
        "def version(name): raise m.PackageNotFoundError(name)\n"
        "m.version = version\n"
        "from cli import main; main(['--version'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"hearth {hearth_version()} (Python ")
    assert result.stdout.endswith(", no torch)\n")
    assert PROJECT.is_file()
