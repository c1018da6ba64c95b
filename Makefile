# Everything a person or a machine does with this checkout; `make quickstart` needs nothing but
# Python 3.11 or newer. PYTHON=python3.12 make ... chooses another one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA := data/quickstart
RUN := runs/quickstart

.PHONY: quickstart test test-all check bench clean

quickstart: $(DATA)/text/docstrings/manifest.json
	$(BIN)/python cli.py tokenize --text $(DATA)/text --out $(DATA)/tokenizer --vocab-size 8000
	$(BIN)/python cli.py pack --text $(DATA)/text --tokenizer $(DATA)/tokenizer --out $(DATA)/shards --max-length 32
	$(BIN)/python cli.py pretrain --shards $(DATA)/shards --preset tiny --optimizer muon --learning-rate 0.0025 --batch-size 64 --out $(RUN) $(if $(wildcard $(RUN)/run.json),--resume)
	$(BIN)/python cli.py report $(RUN)
	$(BIN)/python cli.py fill $(RUN) "Return the [MASK] of the array."
	$(BIN)/python cli.py fill $(RUN) "Raise an error if the file does [MASK] exist."
	@echo "the report: $(RUN)/report.html; the model that transformers loads: $(RUN)/hf"
	@echo "next: source $(VENV)/bin/activate, then python cli.py play $(RUN)"

# Fetched once: another package in the environment is another corpus.
$(DATA)/text/docstrings/manifest.json: | $(VENV)/base
	$(BIN)/python cli.py fetch docstrings --data $(DATA)

test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: $(VENV)/dev
	$(BIN)/python -m pytest -n 2

check: $(VENV)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/bench
	$(BIN)/python -m benchmarks read

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/base: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Hearth needs Python 3.11 or newer: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[watch,glue]"
	touch $@

$(VENV)/dev: $(VENV)/base
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[watch,glue,hf,lamb,spm,cluster,dev]"
	touch $@

$(VENV)/bench: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	touch $@
