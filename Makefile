# make run    start the server (HOST=0.0.0.0 PORT=9000 to choose where it listens)
# make test   all tests; make check   style, types, imports, migrations; make bench   speed and memory
# make client-wheel   the Python client as a wheel
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Given on make's command line only: shells export HOST for other purposes.
ifeq ($(origin HOST),command line)
SERVE_OPTIONS += --host $(HOST)
endif
ifeq ($(origin PORT),command line)
SERVE_OPTIONS += --port $(PORT)
endif

.PHONY: run check test bench client-wheel

run: $(VENV)/.installed
	@$(BIN)/python manage.py migrate --verbosity 0
	@exec $(BIN)/python manage.py serve $(SERVE_OPTIONS)

# The settings of the tests, on a home of its own: mypy ends without throwing one away.
check: export DJANGO_SETTINGS_MODULE = tests.settings
check: export MLSERVER_HOME = $(CURDIR)/$(VENV)/check-home
check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check

# Everything on SQLite, in parallel: tests wait more than they work. What fails there is run once more by itself: on a
# busy machine a process may be late, a mistake fails again. Then what takes the machine, alone. Then what databases and
# queues must guarantee, again on PostgreSQL and Redis: one process, for several would be longer at finding the few
# tests than at running them.
TEST_WORKERS ?= 4
test: $(VENV)/.installed-dev $(VENV)/peers/.installed
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal -m "not alone" \
		|| { test $$? -eq 1 && $(BIN)/python -m pytest --last-failed --last-failed-no-failures none; }
	$(BIN)/python -m pytest -m alone tests/faults tests/examples
	$(BIN)/python -m tests.services $(BIN)/python -m pytest -m "database or queue"

bench: $(VENV)/.installed-dev
	$(BIN)/python -m bench.engine
	$(BIN)/python -m bench.transfer
	$(BIN)/python -m bench.tracking
	$(BIN)/python -m bench.logs
	$(BIN)/python -m bench.sdk
	$(BIN)/python -m bench.streams
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.trainer

# The client as a wheel, in dist/.
client-wheel: $(VENV)/.installed-dev
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist clients/python
	@ls -1 dist/mlserver_client-*.whl

$(VENV)/.installed: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Only tests use them: `make check` leaves them alone.
$(VENV)/peers/.installed: requirements-peers.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/peers -r $<
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("mlserver needs Python 3.11 or newer: make PYTHON=/path/to/it")'
	$(PYTHON) -m venv $(VENV)
