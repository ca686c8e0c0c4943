# Every target installs what it needs first; PYTHON chooses the interpreter.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo compare compare-systems test test-nightly test-all lint format docs clean

install: .venv/installed

.venv/installed: setup.py pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade --constraint constraints.txt --editable '.[dev]'
	# OpenCV 5 has HOG in its contrib modules only, which take the place of opencv-python's files.
	$(BIN)/python -m pip install --no-deps --force-reinstall --constraint constraints.txt \
		opencv-contrib-python
	-$(BIN)/torchreid-occ build-ops
	touch $@

demo: install
	$(BIN)/torchreid-occ demo

# JOBS runs at a time share the cores.
JOBS ?= 2
COMPARE := $(BIN)/torchreid-occ compare --pretrain configs/pretrain/occwalk_small.yaml \
	--seeds 200 201 202 --splits 200 201 202 --jobs $(JOBS)

compare: install
	$(COMPARE) --suite configs/compare/*.yaml

compare-systems: install
	$(COMPARE) --suite configs/compare/systems/*.yaml --folder log/systems \
		--phases discarded completed joint

# One process per core, each with one thread. `loadscope` keeps a module's fixtures in one process.
# Integration tests, few and long, come first in the order of folders; reordered, they would run last.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadscope \
	--no-loadscope-reorder

# Without the plugin of hypothesis, which only the fuzzing of the nightly tests needs.
test: install
	$(PYTEST) -p no:hypothesispytest

test-nightly: install
	$(PYTEST) -m nightly tests/nightly

test-all: install
	$(PYTEST) -m "" tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Into docs/_build/html; any warning is an error.
docs: install
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --builder html \
		--doctree-dir docs/_build/doctrees docs docs/_build/html

clean:
	rm -rf .venv build docs/_build *.egg-info
