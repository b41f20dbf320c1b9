# Two commands: `make up` serves, `make test` tests. Both start from nothing: a Debian or Ubuntu machine with Python 3.11+.
PYTHON ?= python3
ADDRESS ?= 127.0.0.1
PORT ?= 8000
WORKERS ?= 1
BIN = .venv/bin
# uv does not look into pip's folders of wheels unless told (PyTorch's CPU build may lie in one).
FIND = $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS))
# Without compiled bytecode every start of Python would compile torch anew: seconds each time.
INSTALL = $(BIN)/uv pip install -q --compile-bytecode $(FIND) --python $(BIN)/python -c constraints.txt
PIP = $(BIN)/python -m pip install -q -c constraints.txt

.PHONY: up test lint audit clean

up: .venv/.runtime
	@exec $(BIN)/python manage.py up --address $(ADDRESS) --port $(PORT) --workers $(WORKERS)

test: .venv/.dev
	@$(BIN)/python tests/system_packages.py
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n 2 --dist loadgroup

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy leaderboard evaluators reference_models
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

# Known vulnerabilities of what is pinned; asks the registry's advisories, so it needs the network.
audit: .venv/bin/uv
	$(BIN)/uv tool run pip-audit --disable-pip --no-deps -r constraints.txt

.venv/bin/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q uv==0.13.8

.venv/.runtime: pyproject.toml constraints.txt | .venv/bin/uv
	@echo "Installing Standings into .venv ..."
	$(INSTALL) -e . || $(PIP) -e .
	@touch $@

.venv/.dev: pyproject.toml constraints.txt | .venv/bin/uv
	@echo "Installing Standings and its development tools into .venv ..."
	$(INSTALL) -e '.[dev]' || $(PIP) -e '.[dev]'
	@touch $@ .venv/.runtime

clean:
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache
