# What people type. Everything lives in .venv, made from pyproject.toml by the first target that needs it.
PYTHON ?= python3
TORCH ?= torch==2.13.0
FAISS ?= cpu
BIN := .venv/bin
# A file of tests is one worker's; they begin with the longest, and share the small project.
SPREAD := -n auto --dist loadfile --no-loadscope-reorder
# Tests that rest on what a processor computes; several processes compute what one does.
NUMERICAL := $(wildcard $(addprefix tests/,test_evaluation.py test_exact.py \
	test_reproducibility.py sequential training bi_encoder \
	embeddings codebooks semantic_ids collision_report retriever rankers answers metrics final_fit \
	synthetic_queries/test_local_model.py)) $(addprefix --ignore=tests/,bi_encoder/test_processes.py retriever/test_processes.py)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test test-portable ui lint bench verify install
install: .venv/installed

.venv/installed: pyproject.toml
	@echo "Installing into .venv: a minute or two ..."
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sidmill needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[$(FAISS),dev]"
	touch $@

run: install
	$(BIN)/sidmill run

test: install
	$(BIN)/pytest $(SPREAD)

test-portable: install
	$(BIN)/python tests/other_processor.py $(BIN)/pytest $(SPREAD) $(NUMERICAL)

ui: install
	$(BIN)/sidmill ui

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy
	$(BIN)/lint-imports

verify: install
	$(BIN)/pytest -m verify

bench: install
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done
