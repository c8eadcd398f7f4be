# `make serve` and `make test` are all that a fresh machine needs; Python 3.11 or newer is all that they need.

# The newest Python at hand; `make PYTHON=... serve` names another.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	command -v $$python >/dev/null && $$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
PORT := $(or $(SAGEMAKER_BIND_TO_PORT),$(SERVING_PORT),8080)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --require-hashes

# ONNX Runtime's wheel reports its use unless it is told not to before it is imported.
export ORT_DISABLE_TELEMETRY := 1

.PHONY: help serve test bench check venv image lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

serve: $(VENV)/serve.stamp $(VENV)/compiled.stamp ## serve the bundled sample model on port 8080 (SERVING_PORT changes it)
	@echo 'Serving the sample model, which reads handwritten digits. In another terminal:'
	@echo
	@echo "    curl -s -H 'Content-Type: application/json' -d @examples/digits/sample.json http://127.0.0.1:$(PORT)/invocations"
	@echo
	@echo "It is a handwritten $$(cat examples/digits/sample.label), so \"label\":$$(cat examples/digits/sample.label) is the right answer. Ctrl-C stops the server."
	@echo "The API's page, made from the model's own signature: http://127.0.0.1:$(PORT)/docs"
	@SERVING_MODEL_DIR="$${SERVING_MODEL_DIR:-examples/digits/model}" exec $(BIN)/python -m serving serve

test: check ## run every check and every test; the built images too where a Docker engine answers
	$(BIN)/python -m pytest --cov --cov-report=term

check: $(VENV)/test.stamp $(VENV)/compiled.stamp ## check style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/test.stamp $(VENV)/compiled.stamp $(VENV)/peers.stamp ## compare speed with the bare runtime and other servers on this machine (40 minutes; needs wrk; less by WORKLOADS=, SERVERS=, ROUNDS=, SECONDS=; RESUME=1 goes on)
	PYTHONPATH=tests $(BIN)/python -m benchmarks.comparison --peers $(PEERS)/common/bin/python \
		--bentoml $(PEERS)/bentoml/bin/python --mlserver $(PEERS)/mlserver/bin/python --save \
		$(if $(WORKLOADS),--workloads $(WORKLOADS)) $(if $(SERVERS),--servers '$(SERVERS)') \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RESUME),--resume) $(BENCH)

venv: $(VENV)/test.stamp $(VENV)/compiled.stamp ## make .venv with all that serving and testing need

image: ## build the images for arm64 and amd64
	./buildx.sh --load

lock: $(VENV)/test.stamp ## compile the locked requirement sets anew from pyproject.toml
	$(BIN)/python -m pip --disable-pip-version-check --quiet install uv
	$(BIN)/uv pip compile pyproject.toml --extra scripts --extra onnx $(COMPILE) -o container/requirements-onnx.txt
	$(BIN)/uv pip compile pyproject.toml --extra scripts --extra onnx --extra tensorflow --extra sklearn --extra xgboost --extra lightgbm --extra s3 -c container/requirements-onnx.txt $(COMPILE) -o container/requirements-full.txt
	$(BIN)/uv pip compile pyproject.toml --extra scripts --extra onnx --extra pytorch --extra s3 -c container/requirements-full.txt $(COMPILE) -o container/requirements-pytorch.txt
	$(BIN)/uv pip compile pyproject.toml --extra scripts --extra onnx --extra tensorflow --extra sklearn --extra xgboost --extra lightgbm --extra s3 --group test -c container/requirements-full.txt $(COMPILE) -o tests/requirements.txt
	$(BIN)/uv pip compile tests/assets/requirements-sdk3.in --no-deps $(COMPILE) -o tests/assets/requirements-sdk3.txt
	$(BIN)/uv pip compile tests/assets/requirements-sdk2.in $(COMPILE) -o tests/assets/requirements-sdk2.txt
	grep -oE '^(numpy|onnxruntime)==[^ ]+( ;[^\\]*)?' container/requirements-full.txt > $(VENV)/runtime.txt
	for peers in common bentoml mlserver; do \
		$(BIN)/uv pip compile benchmarks/peers/requirements-$$peers.in -c $(VENV)/runtime.txt $(COMPILE) -o benchmarks/peers/requirements-$$peers.txt || exit 1; \
	done
	$(BIN)/uv pip compile tests/assets/toolkits/requirements.in $(COMPILE) -o tests/assets/toolkits/requirements.txt

# One lock for both platforms and every Python; hashes alone, so that any index or mirror may serve them.
COMPILE := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate --quiet

# The servers that ours is compared with have environments of their own, for their packages would change ours, and
# each other's: BentoML and MLServer want other versions of what both stand on. NumPy and ONNX Runtime are everywhere
# the same.
PEERS := $(VENV)/peers

$(VENV)/peers.stamp: $(VENV)/python.stamp $(wildcard benchmarks/peers/requirements-*.txt)
	@for peers in common bentoml mlserver; do \
		echo "Installing the servers to compare with: $$peers."; \
		$(PYTHON) -m venv $(PEERS)/$$peers && \
		$(PEERS)/$$peers/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r benchmarks/peers/requirements-$$peers.txt || exit 1; \
	done
	@touch $@

clean: ## remove what was made here
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find serving -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/python.stamp:
	@test -n '$(PYTHON)' || { echo 'No Python 3.11 or newer with the venv module was found: expected python3 to be one. Install it (on Debian: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python serve.' >&2; exit 1; }
	@echo 'Making $(VENV) with $(PYTHON).'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/serve.stamp: $(VENV)/python.stamp container/requirements-onnx.txt
	@echo 'Installing what serving needs (about 60 MB; under a minute).'
	@$(PIP) -r container/requirements-onnx.txt
	@touch $@

$(VENV)/test.stamp: $(VENV)/serve.stamp tests/requirements.txt
	@echo 'Installing what the tests need.'
	@$(PIP) -r tests/requirements.txt
	@touch $@

# Python does it by itself, unless PYTHONDONTWRITEBYTECODE is set, as it is in many containers: each start would then
# compile 80 modules anew, which takes 0.1 s. The image's are compiled when it is built.
$(VENV)/compiled.stamp: $(VENV)/python.stamp $(shell find serving -name '*.py')
	@$(BIN)/python -m compileall -q serving
	@touch $@
