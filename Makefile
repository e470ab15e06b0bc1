# Everything a newcomer runs. Set-up is included: a target that needs the virtual environment makes it.
# Needs make, Python 3.11 or later with venv (Debian: apt install python3-venv), and a package index for pip.
#
#   make demo     the demonstration            make demo ARGS="--help"
#   make test     all tests                    make test ARGS="-m 'not slow'"
#   make check    what continuous integration checks: format, lint, types, order of imports, tests
#   make cwt      install another implementation of COSE, for the tests that exchange documents with it
#   make bench    the benchmarks, measured
#   make format   put the source into the format that "make check" expects
#   make clean    remove what these targets made

PYTHON ?= python3
ARGS ?=
WORKERS ?= auto

VENV := .venv
RUN := $(VENV)/bin/python -m
# The name holds the place of the checkout: an editable install in a copied folder would run the code of the original.
STAMP := $(VENV)/installed-$(shell pwd | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help demo test check lint lint-format lint-rules lint-types lint-order cwt bench format clean

help:
	@sed -n '/^#   /s/^# //p' Makefile

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is missing or older than 3.11; name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) has no venv module; on Debian: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check --editable '.[tools,test]'
	@rm -f $(VENV)/installed-*
	@touch $@

demo: $(STAMP)
	@$(VENV)/bin/rap-state demo $(ARGS)

test: $(STAMP)
	$(RUN) pytest -n $(WORKERS) $(ARGS)

lint: lint-format lint-rules lint-types lint-order

lint-format: $(STAMP)
	$(RUN) ruff format --check .

lint-rules: $(STAMP)
	$(RUN) ruff check .

lint-types: $(STAMP)
	$(RUN) mypy

lint-order: $(STAMP)
	$(RUN) pytest -q tests/project/test_import_order.py

check: lint test

# An environment of its own: it needs an older cbor2 than the store.
cwt: $(STAMP)
	$(PYTHON) -m venv $(VENV)/cwt
	$(VENV)/cwt/bin/python -m pip install --quiet --disable-pip-version-check 'cwt>=3.3,<4' || { rm -rf $(VENV)/cwt; exit 1; }

bench: $(STAMP)
	$(RUN) pytest tests/benchmarks --benchmark-enable --benchmark-only $(ARGS)

format: $(STAMP)
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

clean:
	rm -rf $(VENV) build dist .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
