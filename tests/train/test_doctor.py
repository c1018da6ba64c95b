import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.about import Requirement, requirements
from tests.commands import run
from train.doctor import USES, examine, look
from train.doctor_text import doctor_text

ROOT = Path(__file__).parents[2]


@pytest.fixture
def modules(tmp_path, monkeypatch) -> Path:
    """A folder whose modules come before all others in new processes."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_module_that_ends_python_is_named_and_the_others_are_looked_at(modules):
    (modules / "kills.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    (modules / "leaves.py").write_text("import os\nprint('so long')\nos._exit(3)\n")
    (modules / "fails.py").write_text("raise OSError('libx.so.1:\\n no such file')\n")
    found = look(["json", "kills", "fails", "leaves", "no_such_module", "csv"])
    assert found.errors == {
        "kills": "ends Python (SIGKILL)",
        "fails": "OSError: libx.so.1: no such file",
        "leaves": "ends Python (exit code 3)",
        "no_such_module": "ModuleNotFoundError: No module named 'no_such_module'",
    }
    assert found.facts == {}


def test_it_is_useful_where_hardly_any_package_can_be_imported(modules):
    names = [one.name for one in requirements() if one.extra is None and one.name != "click"]
    for name in names:
        (modules / f"{name}.py").write_text("raise ImportError('libc is too old')\n")
    command = [sys.executable, str(ROOT / "cli.py"), "doctor", "--json"]
    result = subprocess.run(command, cwd=modules, capture_output=True, text=True)
    assert result.returncode == 1
    document = json.loads(result.stdout)
    assert document["is_ready"] is False
    by_name = {one["name"]: one for one in document["packages"]}
    assert by_name["click"]["fault"] is None
    assert [name for name, one in by_name.items() if one["fault"]] == names
    assert by_name["torch"]["fault"] == "cannot be imported (ImportError: libc is too old)"
    assert by_name["torch"]["mend"] == 'pip install --force-reinstall "torch>=2.13,<2.14"'
    assert document["device"] is None
    assert document["disk"]["data"]["free"] > 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: torch cannot be imported (ImportError: libc is too old): `pip ")


def test_this_installation_has_what_it_needs():
    result = run("doctor")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Hearth ")
    assert any(line.startswith("precision   auto is ") for line in lines)
    assert any(line.startswith("memory ") for line in lines)
    assert [line for line in lines if line.startswith("torch ")]
    ready = "the five stages have all they need" in lines
    assert result.exit_code == (0 if ready else 1)


def test_what_is_missing_or_too_old_is_told_with_its_command(tmp_path, monkeypatch):
    wanted = [
        Requirement("no-such-package", ">=1"),
        Requirement("click", ">=99"),
        Requirement("no-such-scores", "", "glue"),
        Requirement("no-such-pictures", "", "watch"),
    ]
    monkeypatch.setattr("train.doctor.requirements", lambda: wanted)
    monkeypatch.setattr("train.doctor.DEVICE", "json")  # importing torch takes long
    found = examine({"runs": tmp_path / "runs"})
    missing, old = found.packages
    assert (missing.fault, missing.mend) == ("is missing", 'pip install "no-such-package>=1"')
    assert old.fault is not None
    assert old.fault.endswith(", not >=99")
    assert found.faults[-1] == 'glue needs no-such-scores: `pip install -e ".[glue]"`'
    assert len(found.faults) == 3  # what is only for curves is no fault
    text = doctor_text(found)
    use = "`report`'s curves.png, pictures of `glue` and `inspect --plot`, TensorBoard's files"
    assert re.search(rf"no +{use}: `pip", text)
    assert "the stages lack something" in text
    assert "\x1b[31m" in doctor_text(found, in_colour=True)


def test_every_extra_says_what_needs_it():
    assert {one.extra for one in requirements()} - {None} == set(USES)
