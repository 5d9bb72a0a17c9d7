# `make demo` and `make test` do everything on a fresh clone that has only Python >= 3.10, make and a compiler.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
METADATA := pyproject.toml setup.cfg setup.py $(wildcard edgeguard/compiled/*.pyx edgeguard/compiled/*.pxi)
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

.PHONY: help demo test lint format parameters interfaces bench bench-evidence clean

help:
	@echo "make demo     a clean and an attacked drive of a simulated world, replayed, with reports"
	@echo "make test     the test suite"
	@echo "make bench-live   the live nodes over DDS: latency, deaths, hogs, a soak of 30 minutes; as JSON"
	@echo "make lint     ruff, mypy --strict, import-linter, parameter file"
	@echo "make format   let ruff format the code"
	@echo "make parameters      write the parameter file from the settings"
	@echo "make bench           how fast this machine is, as JSON; needs the recordings in ../shared/data"
	@echo "make bench-evidence  the evidence on recorded drives: alarms, detection, promise"
	@echo "make clean    remove .venv and everything built"

demo: $(VENV)/.demo
	$(BIN)/edgeguard demo

test: $(VENV)/.dev interfaces
	$(BIN)/python -m pytest -n 2 --dist worksteal

bench-evidence: $(VENV)/.dev
	$(BIN)/python tools/bench_evidence.py

bench: $(VENV)/.dev
	@$(BIN)/python tools/bench.py

bench-live: $(VENV)/.dev interfaces
	$(BIN)/python tools/bench_live.py $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict edgeguard
	$(BIN)/lint-imports
	$(BIN)/python tools/render_parameters.py --check

# config/monitor.param.yaml holds every key of the monitor under its meaning, default and bounds.
parameters: $(VENV)/.dev
	$(BIN)/python tools/render_parameters.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# vision_msgs and tf2_msgs are not on PyPI; a sourced ROS 2 has them, and without ROS none are needed.
interfaces: $(VENV)/.dev
	@$(BIN)/python tools/build_interfaces.py

$(VENV)/.venv: tools/find_python.sh
	python=$$(tools/find_python.sh) && "$$python" -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.venv $(METADATA)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[onnx,report]'
	@touch $@

$(VENV)/.dev: $(VENV)/.venv $(METADATA)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[ros,onnx,report,dev]'
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) edgeguard/compiled/*.so build dist install log out .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
