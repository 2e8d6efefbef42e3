# make lab: the course in JupyterLab. make test: every check. Both make .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: lab test clean

lab: .venv/.ready
	$(BIN)/python -m utils lab $(LAB_OPTIONS)

test: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

# An interrupted run leaves .venv/.installing behind, and then the next one starts .venv afresh.
.venv/.ready: requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This course needs Python 3.11 or later: make PYTHON=python3.11")'
	@if [ -e .venv/.installing ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then $(PYTHON) -m venv --clear .venv; fi
	@touch .venv/.installing
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@rm .venv/.installing
	@touch $@

clean:
	rm -rf .venv
