"""The arrows between layers, and what may not be imported for `--help` or by worker processes."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("cli", "train", "model", "pipeline", "shards", "benchmarks")
MAY_IMPORT = {
    "cli": {"train", "pipeline"},
    "train": {"model", "pipeline", "shards"},
    "pipeline": {"shards"},
    "model": set(),
    "shards": set(),
}
HEAVY = {"torch", "numpy", "pyarrow", "tokenizers", "numba", "transformers", "sklearn", "scipy"}
LIGHT_MODULES = {
    "pipeline.config",
    "pipeline.sources",
    "model.config",
    "model.presets",
    "train.config",
    "train.doctor",
    "train.glue.config",
    "train.glue.recipes",
    "train.stages",
}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every module of ours by name, with its file."""
    yield "cli", ROOT / "cli.py"
    for layer in MAY_IMPORT:
        for path in sorted((ROOT / layer).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


MODULES = dict(modules())


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports anywhere; those from its own package in full."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def loaded_by(code: str) -> set[str]:
    """Run code in a fresh Python; return the packages that it has loaded."""
    program = (
        f"{code}\nimport sys\nprint('LOADED', *{{name.split('.')[0] for name in sys.modules}})"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(result.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_the_layers_below_it(name: str):
    layer = name.partition(".")[0]
    found = {one.partition(".")[0] for one in imports(MODULES[name])}
    assert found & set(LAYERS) <= MAY_IMPORT[layer] | {layer}


@pytest.mark.parametrize("name", MODULES)
def test_no_import_is_relative(name: str):
    assert not [one for one in imports(MODULES[name]) if one.startswith(".")]


@pytest.mark.parametrize("layer", ["pipeline", "shards"])
def test_no_module_below_names_torch(layer: str):
    guilty = [
        name
        for name, path in MODULES.items()
        if name.startswith(layer)
        and {one.partition(".")[0] for one in imports(path)} & {"torch", "transformers"}
    ]
    assert guilty == []


def test_all_of_pipeline_and_shards_load_without_torch():
    below = [name for name in MODULES if name.startswith(("pipeline", "shards"))]
    loaded = loaded_by("\n".join(f"import {name}" for name in below))
    assert not loaded & {"torch", "transformers", "sklearn", "matplotlib"}


def test_a_worker_of_pack_loads_without_training_code():
    assert not loaded_by("import pipeline.shard_task") & {"torch", "train", "model", "click"}


@pytest.mark.parametrize("name", sorted(LIGHT_MODULES))
def test_a_configuration_imports_nothing_heavy(name: str):
    assert not loaded_by(f"import {name}") & HEAVY


HELP = """
import sys
from click.testing import CliRunner
from cli import main
for name in [None, *main.commands]:
    result = CliRunner().invoke(main, [name, "--help"] if name else ["--help"])
    assert result.exit_code == 0, (name, result.output)
    assert "Usage:" in result.output, name
    heavy = set({heavy!r}) & set(sys.modules)
    assert not heavy, (name, heavy)
"""


def test_help_of_every_command_imports_nothing_heavy():
    assert "click" in loaded_by(HELP.format(heavy=sorted(HEAVY)))


def test_help_works_as_a_script():
    result = subprocess.run(
        [sys.executable, "cli.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    commands = [
        "fetch",
        "tokenize",
        "pack",
        "pretrain",
        "glue",
        "verify",
        "inspect",
        "fill",
        "play",
        "export",
        "import",
        "report",
        "runs",
        "doctor",
        "completion",
    ]
    listed = {line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")}
    assert set(commands) <= listed
