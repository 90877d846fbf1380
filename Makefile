# Each command does all its own set-up, in a virtual environment beside this file.

VENV ?= .venv
RECIPE ?= estimator
STEPS ?=
# The default recipe's is model_dir itself; each other recipe has a folder in it.
OF_RECIPE = $(if $(filter-out estimator,$(RECIPE)),/$(RECIPE))
MODEL_DIR ?= model_dir$(OF_RECIPE)
# The versions to install: those that were tested. CONSTRAINTS= takes the newest.
CONSTRAINTS ?= constraints/tested.txt

# The first Python 3.10 to 3.13 that really runs and can make virtual environments.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && echo $$python && break; done)

BIN := $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	$(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
# Without its .pyc files TensorFlow takes three times as long to import.
COMPILE = $(BIN)/python -m compileall -q -j 0 $(VENV)/lib >$(VENV)/compileall.log || true

.PHONY: help train eval cluster tensorboard web web-build test test-all test-web lint lint-web recipes \
	digits exports stress bench bench-long bench-quick bench-peers growth bench-classic clean

help:
	@echo "make train          install, train, report (RECIPE=fast: in seconds; STEPS=300: a short run)"
	@echo "make eval           report on the 10,000 test images, with the newest checkpoint (RECIPE)"
	@echo "make cluster        train with four processes (RECIPE, STEPS, WORKERS; MAX_RESTARTS)"
	@echo "make recipes        train the five recipes of the tutorials from nothing and print one table"
	@echo "make digits         read the drawn digits in tests/digits with the newest checkpoint (RECIPE)"
	@echo "make exports        write every format that other programs open, and compare each (RECIPE, QUANTIZE)"
	@echo "make tensorboard    watch the curves in the browser (RECIPE; PORT=8123: at that port)"
	@echo "make web            draw, train and look in the browser (PORT=8123: at that port)"
	@echo "make web-build      the same page as a folder of static files, web/dist, for any host"
	@echo "make test           run the tests; in minutes"
	@echo "make test-all       also those that train clusters, kill and damage"
	@echo "make test-web       run the tests of the page, in a headless Chromium"
	@echo "make stress         kill, damage, fill up and interrupt it, thousands of times; one table"
	@echo "make lint           check style and types (make lint-web: the page's)"
	@echo "make bench          measure speed, memory and accuracy against the targets; half an hour (BEFORE=COMMIT)"
	@echo "make bench-long     the same of recipe accurate, which trains for long; an hour (BEFORE=COMMIT)"
	@echo "make bench-quick    the steps a second beside Keras and PyTorch alone; under 5 minutes"
	@echo "make growth         time and memory against batch size and number of images"
	@echo "make bench-classic  compare the speed with the classic tutorial's on TensorFlow 2.15"
	@echo "make clean          delete what was trained and installed"

train: $(VENV)/installed
	@$(BIN)/python -m cnn_mnist.main --recipe=$(RECIPE) $(if $(STEPS),--steps=$(STEPS)) \
		--model_dir=$(MODEL_DIR)

eval: $(VENV)/installed
	@$(BIN)/python -m cnn_mnist.main --mode=eval --model_dir=$(MODEL_DIR)

cluster: MODEL_DIR = model_dir/cluster$(OF_RECIPE)
cluster: $(VENV)/installed
	@$(BIN)/python -m cnn_mnist.cluster --workers=$(or $(WORKERS),2) \
		--max_restarts=$(or $(MAX_RESTARTS),3) --recipe=$(RECIPE) $(if $(STEPS),--steps=$(STEPS)) \
		$(if $(STRATEGY),--strategy=$(STRATEGY)) $(if $(PS),--ps=$(PS)) --model_dir=$(MODEL_DIR)

recipes: $(VENV)/installed
	@$(BIN)/python -m benchmarks.recipes --seeds=$(or $(SEEDS),1)

digits: $(VENV)/installed
	@$(BIN)/python benchmarks/drawn_digits.py --model_dir=$(MODEL_DIR)

# Of recipe fast unless another is named; trained first where it is not yet.
exports: RECIPE = fast
exports: $(VENV)/installed-exports
	@test -f $(MODEL_DIR)/checkpoint || \
		$(BIN)/python -m cnn_mnist.main --recipe=$(RECIPE) --model_dir=$(MODEL_DIR)
	@rm -rf exported/$(RECIPE)
	@$(BIN)/python -m cnn_mnist.main --mode=export --format=all --model_dir=$(MODEL_DIR) \
		--export_dir=exported/$(RECIPE) $(if $(QUANTIZE),--quantize=$(QUANTIZE))

tensorboard: $(VENV)/installed
	@$(BIN)/python -m cnn_mnist.tensorboard --logdir=$(MODEL_DIR) $(if $(PORT),--port=$(PORT))

# What was trained is listed in the page too, where Python is installed.
define BUILD_WEB
	@$(if $(wildcard $(VENV)/installed),$(BIN)/python web/export_trained.py)
	@cd web && npm run --silent build -- --logLevel=warn
endef

web: web/node_modules/installed
	$(BUILD_WEB)
	@cd web && exec node server/main.js

web-build: web/node_modules/installed
	$(BUILD_WEB)
	@echo "web/dist: the page as static files, for any host and below any path"

# A process for each core, but few: each loads TensorFlow, and so does that which forks its programs.
PYTEST = $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal

test: $(VENV)/installed-test
	@$(PYTEST) -m "not long" $(TESTS)

# TESTS: some of them, as pytest takes them.
test-all: $(VENV)/installed-test
	@$(PYTEST) $(TESTS)

test-web: web/node_modules/installed web/tests/exported/expected.json
	@cd web && npm run --silent build -- --logLevel=warn
	@cd web && npm run --silent test:unit && npm run --silent test:browser

lint-web: web/node_modules/installed
	@cd web && npm run --silent lint

stress: $(VENV)/installed-test
	@$(BIN)/python -m stress

lint: $(VENV)/installed-lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports >/dev/null || $(BIN)/lint-imports

# BEFORE=COMMIT: measure against the package as it was then, too.
bench: bench-peers
	@.venv-bench/bin/python -m benchmarks.bench --markdown=benchmarks/results.md \
		$(if $(BEFORE),--before=$(BEFORE))

# The rows that take longer than all others together.
bench-long: bench-peers
	@.venv-bench/bin/python -m benchmarks.bench --markdown=benchmarks/results_long.md \
		--rows=accurate $(if $(BEFORE),--before=$(BEFORE))

bench-quick: bench-peers
	@.venv-bench/bin/python -m benchmarks.bench --rows=steps --rounds=7

# The programs to compare with have an environment of their own, with versions that are pinned.
bench-peers:
	@$(MAKE) --no-print-directory VENV=.venv-bench CONSTRAINTS=constraints/bench.txt \
		.venv-bench/installed-peers

growth: $(VENV)/installed
	@$(BIN)/python -m benchmarks.growth

bench-classic: $(VENV)/installed
	@$(MAKE) --no-print-directory VENV=.venv-2.15 PYTHON=python3.11 \
		CONSTRAINTS=constraints/tensorflow-2.15.txt .venv-2.15/installed
	@$(BIN)/python -m benchmarks.against_classic --classic_python=.venv-2.15/bin/python

clean:
	rm -rf .venv* build exported *.egg-info .pytest_cache .ruff_cache .mypy_cache
	rm -rf web/node_modules web/dist web/tests/exported web/public/models/trained-*
	find model_dir -mindepth 1 ! -name README.md -delete

$(VENV)/installed: setup.py pyproject.toml $(CONSTRAINTS)
	@$(if $(PYTHON),,echo "No Python 3.10 to 3.13 with venv found; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 2)
	@echo "Installing TensorFlow and the rest into $(VENV); this takes a few minutes, once."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --editable .
	@$(COMPILE)
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@$(PIP_INSTALL) --editable '.[test]'
	@$(COMPILE)
	@touch $@

$(VENV)/installed-exports: $(VENV)/installed
	@$(PIP_INSTALL) --editable '.[litert,onnx]'
	@$(COMPILE)
	@touch $@

$(VENV)/installed-peers: $(VENV)/installed
	@$(PIP_INSTALL) --editable '.[bench]'
	@$(COMPILE)
	@touch $@

$(VENV)/installed-lint: $(VENV)/installed
	@$(PIP_INSTALL) --editable '.[lint]'
	@touch $@

web/node_modules/installed: web/package.json web/package-lock.json web/.npmrc
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b > 18) ? 0 : 1)' \
		2>/dev/null && command -v npm >/dev/null || \
		{ echo "The page needs Node.js 20.19 or newer, with npm; install them." >&2; exit 2; }
	@echo "Installing TensorFlow.js and the rest into web/node_modules, once."
	@cd web && npm ci --loglevel=error --no-audit --no-fund
	@touch $@

# Networks of every recipe, trained for a moment, for the tests of the page.
web/tests/exported/expected.json: web/tests/make_models.py $(wildcard cnn_mnist/*.py cnn_mnist/*/*.py) $(VENV)/installed
	@rm -rf $(@D)
	@$(BIN)/python web/tests/make_models.py $(@D)
