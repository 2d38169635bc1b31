# What can be done in a checkout. Every target makes what it needs by itself; `make` alone lists them.
.PHONY: help demo install deb docs release python picture test test-real test-delivery check coverage bench history render snapshots lock clean mutation
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# A worker for each core; the tests of a file stay together, because they share what was expensive to make, and the
# files that take longest come first (tests/marks.py).
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder
# One more where programs are started: meanwhile a test waits.
WAITING := -n $$(( $$(nproc) + 1 )) --dist loadfile --no-loadscope-reorder
# What starts no program and takes no seconds.
QUICK := -m 'not real and not program and not slow'
# What `make check` runs of it: of connectors only a few and those that have changed, unless ALL=1; TESTS= names files.
NEARBY := $(if $(ALL),,--nearby)
# What `make check FAST=1` runs: the rules of the house, in no time.
HOUSE := tests/test_architecture.py tests/test_expression.py tests/test_negotiation.py tests/test_readme.py tests/test_strict.py
# The newest Python on the PATH that is new enough.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
# Every program and every worker that the tests start would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

help:
	@echo "make demo       a simulated organisation, the exporter and, where installed, Prometheus and Alertmanager"
	@echo "make install    the program for you alone, with the locked dependencies; PREFIX=/usr/local as root: for everybody"
	@echo "make deb        a Debian package in dist/; needs nfpm"
	@echo "make docs       the documentation as a site in build/site"
	@echo "make release    wheel, list of components (CycloneDX), notes and sums in dist/release"
	@echo "make test       everything: lint, types, tests against the real programs (as root on Debian: installs them)"
	@echo "make check      the quick part of it: lint, types, the tests that start no program; of connectors that have not changed"
	@echo "                only three (ALL=1: every one); FAST=1: hardly any tests"
	@echo "make coverage   the quick tests once more, and what of collect, evaluation and connectors they run: 95 % at least"
	@echo "make test-real  only the tests that start real third-party servers"
	@echo "make test-delivery  the tests that need helm and other programs of delivery; builds them with Go, which takes minutes"
	@echo "make bench      how fast evaluation, storing, scraping and the connectors are on this machine"
	@echo "make history    90 days of hours of the demo in a real Prometheus, compared figure by figure; takes long"
	@echo "make mutation   changes the connectors' words, times and conditions one by one; each must be noticed; takes long; NAME=n8n: of one"
	@echo "make render     writes what is made from declarations: rules, dashboards, documents, example config"
	@echo "make snapshots  writes the SQL of every KPI and the list of all series anew; review the diff"
	@echo "make picture    takes the picture of the README anew; needs chromium"
	@echo "make lock       resolves the dependencies anew and writes the lock files"
	@echo "make clean      removes everything that was made, the virtual environment too"

# --- Python -----------------------------------------------------------------------------------------------------------

python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or later is needed; found: $$(python3 --version 2>&1 || echo none)." >&2; \
	  echo "Debian 12, Ubuntu 24.04 and later: apt-get install python3. Elsewhere: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv; \
	  else \
	    echo "Python's venv module is not installed. On Debian and Ubuntu, as root: apt-get install python3-venv" >&2; exit 1; \
	  fi; }

$(VENV)/made: | python
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run: $(VENV)/made requirements.lock pyproject.toml
	$(BIN)/pip install -q --require-hashes -r requirements.lock
	$(BIN)/pip install -q --no-deps -e .
	@touch $@

$(VENV)/test: $(VENV)/run requirements-test.lock
	$(BIN)/pip install -q --require-hashes -r requirements-test.lock
	@touch $@

# --- Debian -----------------------------------------------------------------------------------------------------------

DEMO_PACKAGES := prometheus prometheus-alertmanager
TEST_PACKAGES := $(DEMO_PACKAGES) request-tracker5 rt5-standalone rt5-db-postgresql libdbd-sqlite3-perl \
  chromium fonts-dejavu-core faketime

# --- What to do -------------------------------------------------------------------------------------------------------

demo: $(VENV)/run
	@.ci/packages $(DEMO_PACKAGES)
	@exec $(BIN)/outcome-exporter demo

# In a virtual environment of its own: nothing else on the machine gets other versions of anything.
PREFIX ?= $(HOME)/.local
PLACE := $(PREFIX)/lib/outcome-exporter
install: | python
	$(PYTHON) -m venv --clear $(PLACE)
	$(PLACE)/bin/pip install -q --require-hashes -r requirements.lock
	$(PLACE)/bin/pip install -q --no-deps .
	@mkdir -p $(PREFIX)/bin
	@ln -sf $(PLACE)/bin/outcome-exporter $(PREFIX)/bin/outcome-exporter
	@echo "Installed: $(PREFIX)/bin/outcome-exporter"; \
	  command -v outcome-exporter >/dev/null || echo "Add $(PREFIX)/bin to your PATH."

# In a virtual environment of its own: nothing of it is needed to run or to test the exporter.
build/docs/made: docs/requirements.lock | python
	$(PYTHON) -m venv build/docs
	build/docs/bin/pip install -q --require-hashes -r docs/requirements.lock
	@touch $@

docs: build/docs/made
	build/docs/bin/mkdocs build --quiet --strict -f docs/mkdocs.yml
	@echo "Made: build/site. To read it: python3 -m http.server --directory build/site"

# The wheel (the same bytes from the same commit, wherever it is built), what is in it, what is new, and their sums.
release: VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' exporter/__init__.py)
release: $(VENV)/test build/docs/made
	@rm -rf dist/release && mkdir -p dist/release
	umask 022 && $(BIN)/python -m hatchling build -t wheel -d dist/release
	build/docs/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --of JSON -o dist/release/outcome-exporter-$(VERSION).cdx.json
	$(BIN)/python .ci/notes.py $(VERSION) >dist/release/notes-$(VERSION).md
	cd dist/release && sha256sum * >SHA256SUMS && cat SHA256SUMS

deb:
	deploy/debian/build

check: $(VENV)/test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/outcome-exporter render --check
	$(BIN)/pytest -q $(if $(FAST),$(or $(TESTS),$(HOUSE)),$(PARALLEL) $(QUICK) $(NEARBY) $(TESTS))

# Of each package apart, so that one does not hide behind another. Branches count, and only what the quick tests run.
coverage: $(VENV)/test
	@mkdir -p var
	$(BIN)/pytest -q $(PARALLEL) $(QUICK) --cov --cov-report=
	@code=0; for package in collect evaluation connectors; do echo "exporter/$$package"; \
	  $(BIN)/coverage report --include="exporter/$$package/*" --fail-under=95 || code=1; done; exit $$code

test: $(VENV)/test
	@.ci/packages $(TEST_PACKAGES)
	@.ci/axe
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@mkdir -p var
	$(BIN)/pytest -q $(WAITING) --junitxml=var/tests.xml; code=$$?; $(BIN)/python .ci/left_out.py var/tests.xml; \
	  $(BIN)/python -m tests.matrix var/tests.xml || code=1; exit $$code

test-real: $(VENV)/test
	@.ci/packages $(TEST_PACKAGES)
	OUTCOME_TEST_REAL_N8N=1 OUTCOME_TEST_REAL_AIRFLOW2=1 $(BIN)/pytest -q -rs -m real

test-delivery: $(VENV)/test
	OUTCOME_TEST_DELIVERY=1 $(BIN)/pytest -q -rs tests/delivery

bench: $(VENV)/test
	$(BIN)/python -m tests.bench.evaluation
	$(BIN)/python -m tests.bench.history 100000 1d 1h
	$(BIN)/python -m tests.bench.store
	$(BIN)/python -m tests.bench.scrape
	$(BIN)/python -m tests.bench.connectors

history: $(VENV)/test
	$(BIN)/python -m tests.bench.history

mutation: $(VENV)/test
	$(BIN)/python -m tests.mutation $(NAME)

render: $(VENV)/run
	$(BIN)/outcome-exporter render

picture: $(VENV)/test
	$(BIN)/python -m tests.picture

snapshots: $(VENV)/test
	$(BIN)/python -m tests.snapshot

# uv writes every file's hash, for every system; it is used for nothing else.
lock: $(VENV)/made
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile -q $(LOCK) --extra xlsx pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q $(LOCK) --extra xlsx --extra test pyproject.toml -o requirements-test.lock
	$(BIN)/uv pip compile -q $(LOCK) docs/requirements.in -o docs/requirements.lock
LOCK := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade

clean:
	rm -rf $(VENV) var build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
