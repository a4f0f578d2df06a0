# Two commands matter: `make demo` and `make test`. Each does all the set-up it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCKS := requirements-ingest.txt requirements-classify.txt requirements-alert.txt requirements-local.txt requirements-dev.txt

.PHONY: help
help:  ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# A set-up is done once per lock file; a changed lock file makes it anew.
define set_up
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Presence needs Python 3.11 or newer: make $@ PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3 -m venv failed: install your system's venv package (Debian: apt-get install python3-venv)"; exit 1; }
	@echo "Installing what $(1) pins …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endef

$(VENV)/local.stamp: requirements-local.txt pyproject.toml
	$(call set_up,requirements-local.txt)
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt pyproject.toml
	$(call set_up,requirements-dev.txt)
	@touch $@ $(VENV)/local.stamp

.PHONY: setup
setup: $(VENV)/dev.stamp  ## Everything a developer needs, in .venv

.PHONY: check
check: $(VENV)/dev.stamp  ## Formatting, lint, types, layers, lock files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m deploy.locks --check
	$(BIN)/python -m deploy.artefacts --check

.PHONY: format
format: $(VENV)/dev.stamp  ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lock
lock: $(VENV)/dev.stamp  ## Write the lock files anew from pyproject.toml
	$(BIN)/python -m deploy.locks

.PHONY: artefacts
artefacts: $(VENV)/dev.stamp  ## Write anew what is made from code: AsyncAPI, JSON schema, dashboards
	$(BIN)/python -m deploy.artefacts

.PHONY: secrets
secrets:  ## Write the secret files that docker-compose.yml mounts; keeps what is there
	@$(PYTHON) -m deploy.compose_secrets

# Tests mostly wait (for a Kafka, a mailbox, a process): more of them than cores gain little more.
WORKERS ?= 2

.PHONY: test
test: $(VENV)/dev.stamp  ## All tests, on a real Kafka and PostgreSQL
	$(BIN)/pytest -m "not browser" --numprocesses=$(WORKERS) --dist=loadgroup --no-loadscope-reorder

DATA_DIR ?= presence-data

.PHONY: demo
demo: $(VENV)/local.stamp  ## The whole system on this machine, with a story; ONCE=1 ends after it
	@$(BIN)/presence up --demo --data-dir "$(DATA_DIR)" $(if $(ONCE),--once --json)

.PHONY: clean
clean:  ## Remove what was installed and cached here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
