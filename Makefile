# What a fresh clone needs: Python 3.11 or newer, and make.
.PHONY: help run test test-all check bench docs clean
.DEFAULT_GOAL := help

PYTHONS ?= 3.11 3.12 3.13
ARGS ?=
PEERS ?=

# $(call environment,FOLDER,EXTRA): made with the newest of our Pythons that is found.
environment = sh .ci/env $(1) $(2) 3.13 3.12 3.11 any || { [ $$? -ne 3 ] || $(NO_PYTHON) >&2; exit 2; }
NO_PYTHON = echo "no Python 3.11 or newer was found (python3 is: $$(python3 --version 2>/dev/null || echo missing)): install one and try again"

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: ## start a node with the handlers of examples/ (ARGS="--port 8080" and the like)
	@$(call environment,.venv,web)
	@exec .venv/bin/schedule-zero run examples $(ARGS)

test: ## what needs nothing installed beside Python, on each Python of PYTHONS that is found
	@PYTHONS="$(PYTHONS)" sh tests/run.sh $(ARGS)

test-all: ## all tests; a missing service fails
	@SCHEDULE_ZERO_REQUIRE_SERVICES=1 PYTHONS="$(PYTHONS)" sh tests/run.sh $(ARGS)

check: ## lint, format, types, import rules
	@$(call environment,.venv-dev,dev)
	.venv-dev/bin/ruff check
	.venv-dev/bin/ruff format --check
	.venv-dev/bin/mypy
	.venv-dev/bin/lint-imports

bench: ## one JSON line a figure (PEERS=1: beside Pykka, xoscar, Thespian and Erlang)
ifeq ($(PEERS),)
	@$(call environment,.venv-dev,dev)
	@.venv-dev/bin/python tests/benchmarks/run.py $(ARGS)
else
	@$(call environment,.venv-bench,bench)
	@.venv-bench/bin/python -m tests.benchmarks.side_by_side $(ARGS)
endif

docs: ## the documentation, into site/
	@$(call environment,.venv-docs,docs)
	.venv-docs/bin/mkdocs build --strict --quiet
	@echo "made site/index.html"

clean: ## remove what the other targets made (not var/, where the database is)
	rm -rf .venv .venv-* .editable dist build site .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
