# Two commands for a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
# They make .venv and install what they need into it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Where this is set, each of the many processes of a run and of the tests would compile all of the code again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test pictures check lint types docs attacks bench screenshots package clean

demo: $(VENV)/.demo
	@if [ -t 0 ] && [ -t 1 ]; then $(BIN)/infraconsole demo; else PATH="$(abspath $(BIN)):$$PATH" sh assets/demo-walk.sh; fi

# Four for two processors: half of the time a test waits for a process of its own.
test: $(VENV)/.dev
	$(BIN)/pytest -m "not bench and not pictures" -n 4 --dist worksteal $(TESTS)

# How every screen looks, against what was recorded; with RECORD=1 it is recorded again.
pictures: $(VENV)/.dev
	$(BIN)/pytest -m pictures -n 4 tests/screens/pictures $(if $(RECORD),--snapshot-update)

# The one command before a commit.
check: lint types
	$(BIN)/pytest -q -m "not bench and not slow and not pictures" tests/unit tests/screens

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# A link that leads nowhere, or a page that no other leads to, fails.
docs: $(VENV)/.docs
	$(BIN)/sphinx-build -W -n --keep-going -q -b html docs docs/_build

# Random kills, faults and interrupts for an hour, on two worlds; a broken law names the seed that repeats it.
attacks: SECONDS ?= 3600
attacks: $(VENV)/.dev
	ATTACK_SEED=random ATTACK_SECONDS=$(SECONDS) $(BIN)/pytest -q -s -n 2 -k laws_hold tests/attacks

# The peers that are measured against, each in a virtual environment of its own: they pin what we use.
bench: $(VENV)/.dev $(VENV)-peers/.made
	INFRACONSOLE_AWS_CLI="$(abspath $(VENV))-peers/bin/aws" $(BIN)/pytest -q -s -m bench tests/bench

screenshots: $(VENV)/.dev
	$(BIN)/python -m tests.screenshots docs/screenshots

# sdist, wheel made from the sdist, and that wheel in a clean environment with nothing of this folder in reach.
package: $(VENV)/.dev
	rm -rf dist $(VENV)-package
	$(BIN)/python -m build --quiet
	$(PYTHON) -m venv $(VENV)-package
	$(VENV)-package/bin/pip install --quiet dist/*.whl
	cd / && $(abspath $(VENV))-package/bin/python -I $(abspath tests/package_check.py)
	$(VENV)-package/bin/infraconsole --version
	rm -rf $(VENV)-package

clean:
	rm -rf $(VENV) $(VENV)-package $(VENV)-peers dist build docs/_build .mypy_cache .ruff_cache .pytest_cache

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)-peers/.made:
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/pip install --quiet --disable-pip-version-check awscli
	@touch $@

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@
