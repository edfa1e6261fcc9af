# Each target sets up what it needs in .venv with nothing but make and a python3 of 3.11 or later with venv.
# The first run downloads from the package registries; a warm run does nothing before the command itself.

PYTHON ?= python3
# Many tests wait for a process to start or to die.
WORKERS ?= 3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
PEERS := /usr/lib/postgresql/15/bin/postgres /usr/sbin/sshd /usr/bin/sftp /usr/bin/chromium /usr/bin/php /usr/lib/*/libatomic.so.1
# libatomic: the browser is driven by a Node that needs it.
PACKAGES := postgresql-15 openssh-server openssh-client php-cli php-soap chromium fonts-dejavu-core libatomic1

unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
unexport VIRTUAL_ENV
SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: demo up setup check test proof bench lock clean system-peers

demo: .venv/.run  ## five utilities send readings, the sandbox bills them, one table
	$(BIN)/metergate demo

up: .venv/.run  ## everything in one process at http://127.0.0.1:8080
	$(BIN)/metergate up

setup: .venv/.run  ## only the environment

check: .venv/.dev  ## format, lint, types, imports, house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict gateway tests
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_house.py

test: .venv/.dev system-peers  ## everything but the bench
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup tests

proof: .venv/.dev system-peers  ## the same tests with large numbers; writes docs/proof.md
	METERGATE_PROOF=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup tests

bench: .venv/.dev .venv-bench/.run  ## ratios against the peers of tests/bench/peers.txt; ALL=1 for all of them
	METERGATE_BENCH_PEERS=$(CURDIR)/.venv-bench/bin/python ALL=$(ALL) $(BIN)/python -m tests.bench

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Metergate needs Python 3.11 or later: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up .venv (the first run takes a minute)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "python3 has no venv: on Debian, apt-get install python3-venv"; exit 1; }

.venv/.locked: requirements.lock | .venv/bin/python
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

.venv/.run: .venv/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q gateway
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.run
	@echo "Adding the tools for checks and tests"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

.venv-bench/.run: tests/bench/peers.txt
	@echo "Setting up .venv-bench: the peers of the bench"
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip --disable-pip-version-check --no-input -qq install -r tests/bench/peers.txt
	@touch $@

# Tests talk to real peers: the oldest supported PostgreSQL, OpenSSH, a foreign SOAP client, a browser. No service is started.
system-peers:
	@lacking() { for peer in $(PEERS); do [ -e $$peer ] || echo $$peer; done; }; \
	if [ -z "$$(lacking)" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing $(PACKAGES) from the system's packages for the tests"; \
	  mkdir -p /etc/postgresql-common; \
	  [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf; \
	  policy=/usr/sbin/policy-rc.d; [ -e $$policy ] && policy= || { printf '#!/bin/sh\nexit 101\n' > $$policy; chmod 755 $$policy; }; \
	  export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends $(PACKAGES); } </dev/null >.venv/apt.log 2>&1 \
	    || tail -n 5 .venv/apt.log; \
	  [ -z "$$policy" ] || rm -f $$policy; \
	fi; \
	if [ -z "$$(lacking)" ]; then exit 0; fi; \
	echo "Missing, so the tests that need them are not collected:" $$(lacking); \
	[ "$$CI" != true ]

lock:  ## for maintainers: pins and hashes, without any download address
	@[ -x .venv-lock/bin/uv ] || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip -q install uv; }
	.venv-lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  pyproject.toml --group build -o requirements.lock
	.venv-lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  pyproject.toml --group build --group dev -c requirements.lock -o requirements-dev.lock

clean:  ## environments and caches; never data
	rm -rf .venv .venv-bench .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find gateway tests -name __pycache__ -type d -prune -exec rm -rf {} +
