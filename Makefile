# The targets call the scripts that the workflows call: what runs here is what runs there.
PYTHON ?= python3
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help check build test bench docs lint wheel pythons sanitize emulate ecosystem peers clean

help: ## this list
	@sed -n 's/^\([a-z]*\): .*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

check: ## everything that a change must pass, in environments of its own (.ci/run)
	.ci/run

build: ## compile in place
	@$(PYTHON) -c 'import Cython, setuptools' 2> /dev/null || \
	{ echo "compiling needs Cython and setuptools: pip install 'Cython>=3.1' 'setuptools>=77'" >&2; exit 1; }
	$(PYTHON) setup.py -q build_ext --inplace

test: build ## the suite, in the environment that is active
	$(PYTHON) -m pytest

bench: build ## the benchmark (ARGS="--only mid")
	$(PYTHON) -m bench $(ARGS)

docs: build ## the documentation into docs/_build/html, in the environment that is active
	PYTHONPATH="$(CURDIR)" $(PYTHON) -m sphinx -W --keep-going -q -b html docs docs/_build/html

lint: build ## the linters, in the environment that is active
	.ci/lint

wheel: ## sdist and wheels, built, checked and tested, into dist/
	.ci/wheel dist

pythons: ## the abi3 wheel under every Python there is, and one without a GIL
	.ci/pythons

sanitize: ## AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer
	.ci/sanitize

peers: ## the tests that need PyTorch or MPI
	.ci/peers

ecosystem: ## the estimators under the forecasting libraries, and their examples
	.ci/ecosystem

emulate: ## processors and systems that are not at hand (apt-get as root, or qemu-user there)
	.ci/emulate

clean: ## what was built in the tree
	rm -rf build dist docs/_build docs/reference/generated wheelhouse *.egg-info crnn/*.so crnn/*.pyd
