# What a fresh clone needs: Python 3.11 or newer, and make.
.PHONY: help run test test-all check bench docs clean
.DEFAULT_GOAL := help

PYTHONS ?= 3.11 3.12 3.13
ARGS ?=
NO_PYTHON = { echo "no Python 3.11 or newer was found: install one and try again" >&2; exit 2; }

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: ## start a node with the handlers of examples/ (ARGS="--port 8080" and the like)
	@sh .ci/env .venv web any || [ $$? -ne 3 ] || $(NO_PYTHON)
	@exec .venv/bin/schedule-zero run examples $(ARGS)

test: ## what needs nothing installed beside Python, on each Python of PYTHONS that is found
	@PYTHONS="$(PYTHONS)" sh tests/run.sh $(ARGS)

test-all: ## all tests; a missing service fails
	@SCHEDULE_ZERO_REQUIRE_SERVICES=1 PYTHONS="$(PYTHONS)" sh tests/run.sh $(ARGS)

check: ## lint, format, types, import rules
	@sh .ci/env .venv-3.11 dev 3.11 any
	.venv-3.11/bin/ruff check
	.venv-3.11/bin/ruff format --check
	.venv-3.11/bin/mypy
	.venv-3.11/bin/lint-imports

bench: ## one JSON line a figure
	@sh .ci/env .venv-3.11 dev 3.11 any
	@.venv-3.11/bin/python tests/benchmarks/run.py $(ARGS)

docs: ## the documentation, into site/
	@sh .ci/env .venv-docs docs any
	.venv-docs/bin/mkdocs build --strict --quiet
	@echo "made site/index.html"

clean: ## remove what the other targets made (not var/, where the database is)
	rm -rf .venv .venv-* .editable dist build site .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
