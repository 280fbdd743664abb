# Two commands set everything up: `make demo` and `make test`. `make` alone lists the chores.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(wildcard plugins/*)
USED := $(VENV)/.used
STAMP := $(VENV)/.installed
RUNS := ffm-runs
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS)

export NUMBA_CACHE_DIR := $(CURDIR)/.numba-cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-planted test test-fast test-slow test-room matrix hooks lint types \
  contracts docs check bench clean

help:  ## list the chores
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
	@printf '\n%s\n' 'WORKERS=N sets how many tests run side by side (2), PYTHON=… what builds .venv (python3).'

# .used holds what a user installs, without torch; .installed what development needs.
venv: $(STAMP)  ## build .venv with everything development needs

$(USED): pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[xgb]"
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps $(foreach p,$(PLUGINS),-e $(p))
	@touch $(USED)

$(STAMP): $(USED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all]" --group dev
	@touch $(STAMP)

# An honest null market: FAIL (1) and INCONCLUSIVE (5) are answers, not accidents.
demo: $(USED)  ## judge SuperTrend on a simulated market without an edge, and forecast it
	@code=0; $(BIN)/ffm eval supertrend --demo --out $(RUNS) || code=$$?; \
	case $$code in 0|1|5) ;; *) exit $$code;; esac
	@$(BIN)/ffm forecast --demo

demo-planted: $(USED)  ## judge a rule on a simulated market with a planted edge: a PASS
	@rm -rf $(RUNS)/planted-bars
	$(BIN)/ffm ruler world --world planted --seed 7 --out $(RUNS)/planted-bars
	$(BIN)/ffm eval examples/planted_edge.py --data $(RUNS)/planted-bars --out $(RUNS)

test: venv  ## run every test, as CI does
	$(PYTEST) --dist loadfile --no-loadscope-reorder

test-fast: venv  ## run every test but the slow tier (whole evaluations, the zoo's matrix)
	$(PYTEST) --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: venv  ## run the slow tier alone
	$(PYTEST) --dist loadfile --no-loadscope-reorder -m slow

# A room of the core (ruler), a wing of it (causal/subjects), a module (keyed), a package (supertrend).
ROOM_TESTS = $(wildcard tests/unit/$(ROOM) tests/unit/test_$(ROOM).py plugins/*-$(ROOM)/tests)
ROOMS = $(patsubst tests/unit/%/,%,$(filter-out %__pycache__/,$(wildcard tests/unit/*/)))

test-room: venv  ## run the fast tests of one room: make test-room ROOM=ruler
	@test -n "$(ROOM)" && test -n "$(ROOM_TESTS)" || { \
	  echo "error: no room '$(ROOM)'; ROOM is one of: $(ROOMS) $(foreach p,$(notdir $(PLUGINS)),$(lastword $(subst -, ,$(p))))" >&2; exit 2; }
	$(PYTEST) --dist worksteal -m "not slow" $(ROOM_TESTS)

matrix: venv  ## run a smoke part on every Python from 3.11 to 3.13 that is installed
	$(BIN)/python tests/matrix.py

hooks: venv  ## have git run `make check` in parts before every commit
	$(BIN)/pre-commit install

lint: venv  ## style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv  ## static types
	$(BIN)/mypy

contracts: venv  ## the arrows between the rooms
	$(BIN)/lint-imports

docs: venv  ## generated reference pages are up to date
	$(BIN)/python docs/generate.py --check

check: lint types contracts docs  ## everything but the tests

bench: venv  ## ratios against plain references; exits 1 when a gate is missed
	$(BIN)/python -m benchmarks

clean:  ## remove what was built
	rm -rf $(VENV) .numba-cache .mypy_cache .ruff_cache .pytest_cache
