# The commands a developer needs. Each makes the virtual environment it runs
# in (.venv) and brings it up to date when the requirements have changed.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Where git knows no version, pbr has to be told one.
ifndef PBR_VERSION
PBR_VERSION := $(shell tools/pbr-version)
endif
ifneq ($(PBR_VERSION),)
export PBR_VERSION
endif
export PYTHON

RUNTIME = $(VENV)/.runtime-stamp
DEVELOPMENT = $(VENV)/.development-stamp

.PHONY: help demo demo-maintenance test lint docs clean

help:
	@echo "make demo  show the recovery of a simulated cloud"
	@echo "make demo-maintenance"
	@echo "           show how a simulated cloud is maintained host by host"
	@echo "make test  run the tests"
	@echo "make lint  run every check of the lint gate"
	@echo "make docs  build the documentation into doc/build/html"
	@echo "make clean remove what these made, .venv included"

demo: $(RUNTIME)
	$(BIN)/python -m recovery_ha.cmd.demo

demo-maintenance: $(RUNTIME)
	$(BIN)/python -m recovery_ha.cmd.demo_maintenance

test: $(DEVELOPMENT)
	$(BIN)/python -m pytest -n 4 --dist worksteal

lint: $(DEVELOPMENT)
	PATH="$(abspath $(BIN)):$$PATH" pre-commit run --all-files

docs: $(DEVELOPMENT)
	$(BIN)/python -m sphinx -W --keep-going -q -b html \
		doc/source doc/build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html \
		api-ref/source doc/build/html/api-ref
	@echo "The documentation is in doc/build/html/index.html."

clean:
	rm -rf $(VENV) build dist doc/build *.egg-info

$(RUNTIME): requirements.txt setup.cfg tools/make-venv
	tools/make-venv $(VENV)
	@touch $@

$(DEVELOPMENT): $(RUNTIME) test-requirements.txt doc/requirements.txt
	tools/make-venv $(VENV) development
	@touch $@
