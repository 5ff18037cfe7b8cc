# What this needs: make, and a Python 3.11, 3.12 or 3.13 with its venv module.
#   Debian:  apt-get install make python3 python3-venv
# Everything else goes into .venv; nothing is installed outside of this folder.
#
#   make demo     a playground on this machine: two users, photos trickling in      (ARGS="--once" and others)
#   make test     style, types and all tests; names what this machine lacks         (ARGS="-k words" and others)
#   make torture  kills, power cuts and faults by the thousand: docs/torture.md       (ARGS="-k power" and others)
#   make soak     an hour of a real daemon under load, killed and lied to            (SECONDS=600, ARGS="--seed 7")
#   make million  a home of a million photos, relayed one by one; needs 10 GB, and hours (ARGS="--files 100000")
#   make bench    one table of figures, each beside its goal; needs rsync            (ARGS="--quick", "--help")
#   make image    the container image photon-relay:latest; needs a Docker engine     (BASE=, PLATFORM= for buildx)
#   make e2e      the image, the Compose and the stack file on a real engine         (ARGS="-k swarm" and others)
#   make image-figures   its size, start-up time and memory, measured here
#   make screenshots   the README's pictures, the moving one too, from the real page; needs Chromium
#   make walk     a newcomer's walk through the README in an empty folder, timed; needs a Docker engine
#   make audit    known vulnerabilities of what requirements.lock names; asks PyPI
#   make lock     requirements.lock anew from pyproject.toml, newest versions
#   make lint | types | format | compat | clean
#
# PYTHON=/path/to/python3.13 chooses the interpreter, VENV=folder where to install.

VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
ARGS ?=
# Tests wait more than they work: one process more than there are cores takes two thirds of the time.
WORKERS ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 1) + 1)))

.DELETE_ON_ERROR:
.PHONY: help demo test torture soak million bench image e2e image-figures screenshots walk audit lock lint types format compat clean

help:
	@awk '/^#/ { sub(/^# ?/, ""); print; next } { exit }' Makefile

$(VENV)/bin/python:
	@set -eu; \
	for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  echo "Photon Relay needs Python 3.11, 3.12 or 3.13 and found none." >&2; \
	  echo "On Debian 12 or newer: apt-get install python3 python3-venv. Elsewhere: make $(MAKECMDGOALS) PYTHON=/path/to/python3.13" >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	  version=$$("$$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "This Python ($$found, $$version) has no venv module, which Debian packs on its own: apt-get install python3-venv" >&2; \
	  echo "(or python$$version-venv, where that is not Debian's default Python)" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" -c 'import sys; print(sys.executable)')"; \
	"$$found" -m venv "$(VENV)"

# Stamps: installed again only when what is to be installed has changed. One more try, since networks fail.
$(VENV)/.runtime: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Photon Relay into $(VENV)"
	@$(PIP) install --editable . || { sleep 5; $(PIP) install --editable .; }
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Photon Relay and its tests' tools into $(VENV)"
	@$(PIP) install --editable '.[dev]' || { sleep 5; $(PIP) install --editable '.[dev]'; }
	@touch $@ $(VENV)/.runtime

demo: $(VENV)/.runtime
	@$(VENV)/bin/photon-relay demo $(ARGS)

# A fault of style does not keep the tests from running; it fails the whole at the end.
# Tests run in several processes; tests/conftest.py gives those that share something to one of them.
test: $(VENV)/.dev
	@failed=; \
	$(MAKE) --no-print-directory lint || failed=1; \
	$(MAKE) --no-print-directory types || failed=1; \
	$(VENV)/bin/python -m pytest --numprocesses $(WORKERS) $(ARGS) || failed=1; \
	test -z "$$failed"

# The long form; needs root, fuse3, strace, btrfs-progs and xfsprogs. One process: it prints how far it is.
torture: $(VENV)/.dev
	@PHOTON_RELAY_TORTURE=all $(VENV)/bin/python -m pytest tests/torture tests/kill --verbose --capture=no $(ARGS)

soak: $(VENV)/.dev
	@$(VENV)/bin/python -m tests.torture.soak --seconds $(or $(SECONDS),3600) $(ARGS)

million: $(VENV)/.dev
	@$(VENV)/bin/python -m tests.torture.million $(ARGS)

bench: $(VENV)/.dev
	@command -v rsync >/dev/null || { echo "The benchmark measures rsync too: apt-get install rsync" >&2; exit 1; }
	@$(VENV)/bin/python -m tests.bench $(ARGS)

lint: $(VENV)/.dev
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

types: $(VENV)/.dev
	@$(VENV)/bin/mypy

format: $(VENV)/.dev
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

# One place for the version: daemon/__init__.py.
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' daemon/__init__.py)
BASE ?= debian:trixie-slim
image:
	@docker build $(if $(PLATFORM),--platform $(PLATFORM)) --build-arg BASE=$(BASE) --build-arg VERSION=$(VERSION) \
	  --build-arg REVISION=$$(git rev-parse --short HEAD 2>/dev/null || echo unnamed) \
	  --tag photon-relay:$(VERSION) --tag photon-relay:latest .

e2e: $(VENV)/.dev
	@$(VENV)/bin/python -m pytest tests/image tests/e2e_engine $(ARGS)

image-figures: image
	@tools/image-figures

screenshots: $(VENV)/.dev
	@$(VENV)/bin/python -m tests.browser.screenshots
	@$(VENV)/bin/python -m tests.browser.moving

walk: $(VENV)/.dev
	@$(VENV)/bin/python -m tests.docs.walk

audit: $(VENV)/.dev
	@$(VENV)/bin/python tools/audit

# For every platform and the Pythons that the program runs on. uv comes into an environment of its own.
lock:
	@python3 -m venv $(VENV)-lock && $(VENV)-lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	@sed '/^[^#]/,$$d' requirements.lock > requirements.lock.new
	@$(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-emit-find-links pyproject.toml >> requirements.lock.new
	@mv requirements.lock.new requirements.lock; rm -rf $(VENV)-lock

# The quick tests under each other Python that is here.
compat:
	@.ci/compat

clean:
	rm -rf "$(VENV)" .mypy_cache .ruff_cache .pytest_cache .hypothesis
