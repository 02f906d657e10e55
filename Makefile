# Everything one does with a checkout. `make` alone lists it.

PYTHON ?= python3
BIN := .venv/bin
SPEED ?= 1
DATA ?= data
WORKERS ?= 2

.DEFAULT_GOAL := help

.PHONY: help
help: ## list what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: .venv/run ## start all of Doorward with a demo site (SPEED=3600 runs its calendar fast, FRESH=1 starts over)
	@$(BIN)/doorward up --demo --data-dir "$(DATA)" --speed "$(SPEED)" $(if $(FRESH),--fresh)

.PHONY: test
test: check ## check, then run all tests (WORKERS=2 processes)
	$(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: check
check: lint types imports ## lint, types and imports

.PHONY: lint
lint: .venv/dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: .venv/dev ## mypy, strict
	$(BIN)/mypy .

.PHONY: imports
imports: .venv/dev ## who may import whom
	$(BIN)/lint-imports

.PHONY: bench
bench: .venv/dev ## measure against what this machine can do at best
	$(BIN)/python -m bench

.PHONY: sim
sim: .venv/run ## simulated hubs and locks for a site of yours (ARGS="--help" tells how)
	@$(BIN)/doorward sim $(ARGS)

.PHONY: lock
lock: ## pin the dependencies anew (needs uv on PATH)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -q \
	  --upgrade --extra build pyproject.toml -o requirements/run.txt
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -q \
	  --upgrade --extra build --extra dev pyproject.toml -o requirements/dev.txt

.PHONY: clean
clean: ## remove the environment and caches, not the data
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.venv/run: requirements/run.txt pyproject.toml | prerequisites
	$(call install,run)

.venv/dev: requirements/dev.txt pyproject.toml | prerequisites
	$(call install,dev)

# The dev set holds the run set, so whichever came last is complete for what asked for it.
define install
	@echo "installing the $(1) packages into .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(1).txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch .venv/$(1)
endef

.PHONY: prerequisites
prerequisites:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Doorward needs python3 >= 3.11 with venv. On Debian or Ubuntu: sudo apt-get install python3 python3-venv make git"; \
	  exit 1; }
