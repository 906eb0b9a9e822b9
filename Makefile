# One command for each thing that one does with this project; `make` alone lists them.
#
#   make test PYTHON=python3.12    another interpreter than python3, for a new .venv
#
# The first call makes .venv and installs into it; later calls see at once that it is up to date.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check lint format types bench soak docs clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.core ## run the stdlib-indexing example: needs nothing but Python
	@$(BIN)/python examples/index_stdlib/demo.py

test: $(VENV)/.dev ## run the fast tests, on real servers too (about a minute)
	$(BIN)/python -m pytest -n auto -m "not slow"

test-all: check ## check, then the other versions: Python, redis-py, Redis 6.2, PostgreSQL 16
	VENV=$(VENV) bash tests/versions.sh

check: $(VENV)/.dev ## what CI runs: format, lint, types, all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/.dev ## find what ruff and mypy object to
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev ## bring the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## measure beside Huey 3.5.4; arguments in ARGS
	$(BIN)/python -m benchmarks $(ARGS)

soak: $(VENV)/.dev ## break real processes and servers for a long time; arguments in ARGS
	$(BIN)/python -m tests.soak $(ARGS)

docs: $(VENV)/.docs ## build the documentation into docs/_build/html; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

clean: ## delete what these targets made
	rm -rf $(VENV) .make build dist docs/_build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up: each stamp file says that its part of pyproject.toml is installed -------------------

$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(call install,-e .)
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(call install,-e . --group dev --group services --group neighbours)
	@touch $@ $(VENV)/.core

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(call install,-e . --group docs)
	@touch $@ $(VENV)/.core

define NEW_ENOUGH
import sys
if sys.version_info < (3, 11):
    sys.exit("Huey needs Python 3.11 or newer, and '$(PYTHON)' is %s: name another one, "
             "for example: make test PYTHON=python3.12" % sys.version.split()[0])
endef
export NEW_ENOUGH

check_python = command -v $(PYTHON) >/dev/null || { echo "There is no '$(PYTHON)': install Python \
    3.11 or newer, or name it, for example: make test PYTHON=python3.12" >&2; exit 1; }; \
    $(PYTHON) -c "$$NEW_ENOUGH"

ifneq ($(UV),)

install = $(UV) pip install --quiet --python $(BIN)/python $(1)

# uv finds a new enough Python by itself, unless one is named.
$(BIN)/python:
ifeq ($(origin PYTHON),file)
	$(UV) venv --quiet --python '>=3.11' $(VENV)
else
	@$(check_python)
	$(UV) venv --quiet --python $(PYTHON) $(VENV)
endif

else

install = $(BIN)/python -m pip install --quiet $(1)

# Dependency groups need pip 25.1. Debian splits ensurepip off: then the machine's pip helps out.
$(BIN)/python:
	@$(check_python)
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
	    && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; } || { rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

endif
