# make demo   a year of the sample portfolio on a real Temporal server and a real PostgreSQL (KEEP=1 leaves them up)
# make test   every check: style, types, import rules, all tests
# make setup  what both need; quick when nothing changed
# make bench  what a case costs beside a bare workflow, in one run
# make sabotage  named one-line bugs, each of which must turn a test red

# The first of these that runs; name another by PYTHON=...
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	if $$p -c '' >/dev/null 2>&1; then echo $$p; exit; fi; done; echo python3)

.PHONY: demo test setup bench sabotage clean

demo: setup
	@.venv/bin/python starter.py demo $(if $(KEEP),--keep)

test: setup
	@.venv/bin/python tools/check.py

bench: setup
	@.venv/bin/python -m bench $(if $(FULL),--full)

sabotage: setup
	@.venv/bin/python -m tests.sabotage

setup:
	@$(PYTHON) tools/setup.py

# Keeps .venv, the cached Temporal server and the data of a standing stack in .dunwell.
clean:
	rm -rf build .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
