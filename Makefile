# Everything a person or a build machine does here. `make help` lists it.
#
# Python packages come from uv.lock into .venv, JavaScript packages from yarn.lock into
# node_modules. Each step leaves a stamp in .venv/.made, so that nothing is done twice.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
MADE := $(VENV)/.made
BIN := $(VENV)/bin
OUT := build-output
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# A pyenv shim may be on the path and still have no uv behind it.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)

export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never
# Trust what the machine trusts: a company's proxy signs with its own certificate.
export UV_SYSTEM_CERTS ?= true
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1

ROOT := $(shell id -u | grep -qx 0 && echo yes)
ALLOW_ROOT := $(if $(ROOT),--allow-root)
DEBIAN := chromium postgresql mariadb-server redis-server nats-server prometheus fonts-dejavu-core fonts-liberation alsa-utils

# Tests that drive whole programs. A browser's driver keeps this process's signals, which the tests
# of interrupts need, so these run in a process of their own, beside the others.
PROGRAMS := packaging notebooks outsiders retraining hub browser
# Tests of servers, brokers and the agent, which wait for processes most of the time. The three
# groups take about as long as one another: what grows is moved.
SERVICES := agent alerts server serving

FRONT := package.json yarn.lock labextension/tsconfig.json \
	$(shell find labextension/src labextension/schema labextension/style \
		jupyter_mlops/labeling/widgets/front -type f 2>/dev/null)
BUILT := jupyter_mlops/labextension/static/style.js

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(MADE)/extensions ## Everything needed to use and change the project, in .venv and node_modules

.PHONY: demo
demo: setup ## A year of flights by papermill; prints what became of the model
	@$(BIN)/python notebooks/demo.py

.PHONY: lab
lab: setup ## JupyterLab on the notebooks
	@$(BIN)/jupyter lab $(ALLOW_ROOT) --ServerApp.root_dir=notebooks --LabApp.news_url=None

.PHONY: test
test: setup $(MADE)/debian ## All checks and all tests
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint front-end
	@$(MAKE) --no-print-directory -j3 --output-sync=target rooms services programs

.PHONY: rooms
rooms: setup $(MADE)/debian ## The package's own tests
	@.ci/timed rooms $(BIN)/pytest $(PYTEST_ARGS) $(PROGRAMS:%=--ignore=tests/%) $(SERVICES:%=--ignore=tests/%)

.PHONY: services
services: setup $(MADE)/debian ## Tests of servers, streams, the agent and what it does
	@.ci/timed services $(BIN)/pytest $(PYTEST_ARGS) $(SERVICES:%=tests/%)

.PHONY: programs
programs: setup $(MADE)/debian ## Tests that drive whole programs: browser, hub, notebooks, …
	@.ci/timed programs $(BIN)/pytest $(PYTEST_ARGS) $(PROGRAMS:%=tests/%)

.PHONY: front-end
front-end: setup lint-front ## The front end's own tests
	@.ci/timed front-end .ci/quiet jlpm test

.PHONY: lint
lint: lint-python lint-front ## Style, types and floors, without changing anything

.PHONY: lint-python
lint-python: setup
	@.ci/timed lock $(UV) lock --check --quiet
	@.ci/timed ruff bash -c 'ruff check --quiet . && ruff format --quiet --check .'
	@.ci/timed mypy $(BIN)/mypy --no-error-summary
	@.ci/timed floors .ci/quiet $(BIN)/lint-imports

.PHONY: lint-front
lint-front: setup
	@.ci/timed eslint .ci/quiet jlpm lint:check

.PHONY: fix
fix: setup ## Mend what formatters can mend
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .
	@jlpm lint

.PHONY: docs
docs: setup ## Write the reference of verbs and errors into docs/reference
	@$(BIN)/python -m jupyter_mlops.verbs.reference docs/reference

.PHONY: bench
bench: setup ## Run every benchmark beside its peer
	@for one in benchmarks/*.py; do echo "== $$one"; $(BIN)/python $$one; done

.PHONY: wheel
wheel: setup ## Build sdist and wheel into dist/
	@rm -rf dist
	@$(UV) build --quiet
	@ls dist

.PHONY: clean
clean: ## Remove everything that make made
	@rm -rf $(VENV) .uv node_modules labextension/checks/node_modules lib tsconfig.tsbuildinfo \
		jupyter_mlops/labextension $(OUT) dist .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis

.uv/bin/uv:
	@echo "installing uv into .uv"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .uv 'uv>=0.9,<1'

# Packages first, without the project: building it needs the front end, which needs jlpm.
# Tests start hundreds of processes, each of which would compile what it imports anew. Environments
# that tests make are theirs alone.
$(MADE)/packages: export UV_COMPILE_BYTECODE := true
$(MADE)/packages: uv.lock pyproject.toml | $(filter .uv/%,$(UV))
	@echo "installing Python packages"
	@test -d $(VENV) || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@.ci/timed packages $(UV) sync --quiet --frozen --inexact --group dev --no-install-project
	@mkdir -p $(@D) && touch $@

node_modules/.made: package.json yarn.lock .yarnrc.yml | $(MADE)/packages
	@node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null \
		|| { echo "Node 20 or newer is needed to build the front end; install it and run make again"; exit 1; }
	@echo "installing JavaScript packages"
	@.ci/timed yarn .ci/quiet jlpm install --immutable
	@touch $@

# The old bundle goes first: a build that finds one is skipped.
$(BUILT): $(FRONT) node_modules/.made
	@echo "building the JupyterLab extension"
	@rm -rf jupyter_mlops/labextension
	@.ci/timed bundle .ci/quiet jlpm build:prod
	@touch $@

$(MADE)/project: pyproject.toml package.json install.json $(BUILT) $(wildcard jupyter-config/*/*)
	@echo "installing the project"
	@# Through the link below, the installer would write into, or delete, what was built.
	@rm -rf $(VENV)/share/jupyter/labextensions/jupyter-mlops
	@rm -f jupyter_mlops/labextension/install.json
	@.ci/timed project $(UV) pip install --quiet --python $(BIN)/python --no-deps --reinstall-package jupyter_mlops -e .
	@mkdir -p $(@D) && touch $@

# A link to the built files, so that a new build is seen without a new installation.
$(MADE)/extensions: $(MADE)/project
	@rm -rf $(VENV)/share/jupyter/labextensions/jupyter-mlops
	@ln -s $(CURDIR)/jupyter_mlops/labextension $(VENV)/share/jupyter/labextensions/jupyter-mlops
	@touch $@

$(MADE)/debian: $(MADE)/packages
	@missing=""; \
	for one in chromium mariadbd redis-server nats-server promtool; do \
		command -v $$one >/dev/null || test -x /usr/sbin/$$one || missing=yes; \
	done; \
	test -e /usr/share/sounds/alsa/Front_Center.wav || missing=yes; \
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing=yes; \
	if [ -z "$$missing" ]; then :; \
	elif [ -n "$(ROOT)" ] && command -v apt-get >/dev/null; then \
		echo "installing Debian packages: $(DEBIAN)"; \
		.ci/timed debian .ci/quiet .ci/debian $(DEBIAN); \
	else \
		echo "a browser, a server or a sound is missing, and only root can install them: apt install $(DEBIAN)"; \
	fi
	@touch $@
