# Two commands do everything on a fresh machine: `make run` and `make test`. See README.md.
PYTHON ?= python3
TASK ?= human_mpra
# More words for the run, e.g. ARGS="--preset paper --data data/human_mpra".
ARGS ?=
# tensorflow with NVIDIA's libraries where there is an NVIDIA driver, the CPU build elsewhere.
TENSORFLOW ?= $(if $(shell command -v nvidia-smi),tensorflow,tensorflow-cpu)
# Set to PyTorch's CPU wheel index on a Linux machine without a GPU to leave out 3 GB of CUDA packages.
TORCH_INDEX ?=
PYTEST_WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test slow check regress clean

run: $(READY)
	$(BIN)/python -m benchmarks run --task $(TASK) $(ARGS)

test: $(READY)
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile -m "not slow and not gpu"

slow: $(READY)
	$(BIN)/python -m pytest -m "slow or gpu"

regress: $(READY)
	$(BIN)/python -m benchmarks regress $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
		-e '.[$(TENSORFLOW),figures,parquet,atac,cluster,quantify,design,tensorboard,dev]'
	touch $@

clean:
	rm -rf $(VENV)
