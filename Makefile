# Every task of a developer. A target creates the environments that it needs; `make` alone lists the targets.
# The set-up prints to standard error, so `make -s token` prints only the token.

PYTHON ?= python3
STAGE ?= dev
PY := .venv/bin/python
CONSOLE_PY := .venv-console/bin/python

.DEFAULT_GOAL := help
.PHONY: help run test-fast test test-all test-console chromium vendor load check check-template clients-check format openapi pictures screenshots transcripts stored-items token poolctl sweep audit replay package deploy restore remove-tenant whois e2e bench bench-cold bench-scale bench-month mutants setup lock dynamodb-local clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

run: .venv/ready .venv-engine/ready ## run the service on http://127.0.0.1:8000 (PORT=, ENGINE=ministack|dynamodb-local)
	@exec $(PY) -m tools.local.serve

test-fast: .venv/ready ## run the unit and HTTP tests in memory, in half a minute (ARGS="-k claim" selects)
	@$(PY) -m pytest -n 2 --dist worksteal -p no:schemathesis --memory -m 'not exhaustive and not e2e and not slow' tests/unit tests/http $(ARGS)

test: .venv/ready .venv-engine/ready ## run all tests in memory and on MiniStack (ARGS="-k claim" selects, "-n 0" uses one process)
	@$(PY) -m pytest -n 2 --dist worksteal $(ARGS)

test-all: .venv/ready .venv-engine/ready ## run make test with every schedule, fault and crash instead of a sample, also on moto
	@$(PY) -m pytest -n 2 --dist worksteal -m 'not e2e' $(ARGS)

test-console: chromium .venv-console/ready .venv-engine/ready ## test the console in a browser: needs Chromium (CHROMIUM= selects another)
	@$(CONSOLE_PY) -m pytest -o addopts="--strict-markers -q -m 'not exhaustive'" tests/console $(ARGS)

# The first prerequisite, so that a missing browser is reported before an environment is created.
chromium:
	$(python) -m tools.browser

# Needs npm. To update a package, change its version in chalicelib/page/vendor/manifest.json.
vendor: .venv/ready ## fetch the console's libraries from npm again and check their digests
	@$(PY) -m tools.vendor

load: .venv/ready .venv-engine/ready ## load the service over a faulty network, on each installed engine (DURATION=120, PEOPLE=64)
	@exec $(PY) -m tests.proofs.load

check: .venv/ready ## run ruff, mypy --strict and the import contracts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -c 'import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())'

check-template: .venv/ready .venv-checkov/ready ## examine the packaged template with checkov; infra/checkov.yaml explains what is left out
	@$(PY) -m tools.deploy.package prod >/dev/null
	@.venv-checkov/bin/checkov --config-file infra/checkov.yaml --file build/prod/sam.yaml infra/artifacts.yaml

# The only target that needs npm and Node.js 20, except dynamodb-local.
clients-check: .venv/ready .venv-clients/ready ## run three client generators and a linter on docs/openapi.json (Node.js 20)
	@$(PY) -m tools.clients_check

format: .venv/ready ## format the code
	@$(PY) -m ruff check --fix --quiet . || true
	@$(PY) -m ruff format .

openapi: .venv/ready ## write docs/openapi.json, the description of the HTTP API
	@$(PY) -m tools.docs.openapi

pictures: .venv/ready ## draw the pictures in docs/pictures from code and measurements
	@$(PY) -m tools.docs.pictures

screenshots: chromium .venv-console/ready .venv-engine/ready ## take the screenshots of the console in docs/pictures
	@$(CONSOLE_PY) -m tools.docs.screenshots

transcripts: .venv/ready .venv-engine/ready ## run the requests of docs/api.md and record the responses
	@$(PY) -m tools.docs.transcripts

stored-items: .venv/ready ## write every kind of stored item as this version does, in tests/data
	@$(PY) -m tests.support.stored_items

# Shells set USER, and some NAME and EMAIL, to those of the developer: only the command line counts.
given = $(if $(findstring command,$(origin $1)),--$2="$$$1")

token: .venv/ready ## print a token for the running service: USER=alice (ROLES=admin, TENANT=acme, NAME="Alice Chen", EMAIL=, DEPARTMENT=)
ifneq ($(origin USER),command line)
	@echo 'Name a user: make token USER=alice' >&2; exit 2
else
	@exec $(PY) -m tools.local.token --user="$$USER" --roles="$$ROLES" --tenant="$$TENANT" \
		$(call given,NAME,name) $(call given,EMAIL,email) $(call given,DEPARTMENT,department)
endif

poolctl: .venv/ready ## run the command line: ARGS="login --local alice", ARGS=pools, ARGS="claim acme"; or bin/poolctl
	@exec $(PY) -m poolctl $(ARGS)

sweep: .venv/ready ## run one sweep on the running service (POOL=demo, DRY_RUN=1)
	@$(AS_ADMIN) sweep $(if $(filter-out 0,$(DRY_RUN)),--dry-run)

audit: .venv/ready ## recompute counters, lists and events of the running service (POOL=demo, REPAIR=1)
	@$(AS_ADMIN) audit $(if $(filter-out 0,$(REPAIR)),--repair)

# Run poolctl with a token that is not stored.
AS_ADMIN = token=$$($(PY) -m tools.local.token --user=root --roles=admin --tenant="$$TENANT") && \
	POOLCTL_TOKEN="$$token" POOLCTL_POOL="$$POOL" exec $(PY) -m poolctl --url "http://127.0.0.1:$${PORT:-8000}"

replay: .venv/ready .venv-engine/ready ## replay a CRM export through the API: DATA=<folder>
	@test -n "$$DATA" || { echo 'Name the data: make replay DATA=<folder>' >&2; exit 2; }
	@exec $(PY) -m tools.local.replay "$$DATA"

package: .venv/ready ## build the template and the zip to deploy, in build/<stage> (STAGE=dev|prod)
	@$(PY) -m tools.deploy.package $(STAGE)

deploy: .venv/ready .venv-deploy/ready ## deploy to the current AWS account: STAGE=prod (the first time with JWT_ISSUER=, JWT_AUDIENCE=; DRY_RUN=1 shows the changes)
ifneq ($(origin STAGE),command line)
	@echo 'Name a stage: make deploy STAGE=dev' >&2; exit 2
else
	@exec $(PY) -m tools.deploy.deploy "$$STAGE"
endif

restore: .venv/ready ## copy a restored table back into a stage's table: STAGE=prod FROM=<table> (YES=1 to write)
ifneq ($(origin STAGE),command line)
	@echo 'Name a stage: make restore STAGE=prod FROM=<table>' >&2; exit 2
else
	@exec $(PY) -m tools.deploy.restore "$$STAGE"
endif

remove-tenant: .venv/ready ## delete everything of a tenant from a stage's table: STAGE=prod TENANT=acme (YES=1 to delete)
ifneq ($(origin STAGE),command line)
	@echo 'Name a stage: make remove-tenant STAGE=prod TENANT=acme' >&2; exit 2
else
	@exec $(PY) -m tools.deploy.remove_tenant "$$STAGE"
endif

whois: .venv/ready ## print the digests that name a user in the logs: USER=alice (STAGE=prod, TENANT=acme, POOL=demo)
	@exec $(PY) -m tools.deploy.whois $(call given,USER,user) $(call given,TENANT,tenant) $(call given,POOL,pool) \
		$(call given,STAGE,stage)

e2e: .venv/ready .venv-engine/ready .venv-deploy/ready ## deploy the packaged stack to an emulated AWS, use it, break it and remove it (five minutes)
	@exec $(PY) -m pytest -m e2e tests/e2e $(ARGS)

bench: .venv/ready .venv-engine/ready ## measure costs, each compared with a baseline (ONLY="cold start", FULL=1 for the long ones)
	@exec $(PY) -m benchmarks

bench-cold: .venv/ready .venv-engine/ready ## measure only a cold start up to the first claim, compared with botocore
	@ONLY=cold exec $(PY) -m benchmarks

bench-scale: .venv/ready ## model a hundred million customers, and a million pools, within the limits of AWS (minutes)
	@exec $(PY) -m benchmarks.scale

bench-month: .venv/ready ## compute the bill of a month with everything counted, for 50, 500 and 5,000 people
	@exec $(PY) -m benchmarks.month

mutants: .venv-mutants/ready ## run mutation tests of the rules; continues an interrupted run (AGAIN=1 repeats the survivors)
	@exec nice .venv-mutants/bin/python -m tools.mutants

setup: .venv/ready .venv-engine/ready ## create the environments now; other targets create them when needed

lock: ## update uv.lock and the exported requirements from pyproject.toml (ARGS="--upgrade-package moto")
	$(python) -m tools.lock $(ARGS)

# Its license allows everybody to use it but not to redistribute it: it is downloaded here and never committed.
dynamodb-local: .venv-engine/ready ## download Amazon's DynamoDB Local, for ENGINE=dynamodb-local
	@command -v npm >/dev/null || { echo 'DynamoDB Local is an npm package: install npm first' >&2; exit 1; }
	@mkdir -p .dynamodb-local
	@cd .dynamodb-local && npm pack --silent amplify-dynamodb-simulator@2.9.30 >npm.log 2>&1 \
		&& tar -xzf amplify-dynamodb-simulator-2.9.30.tgz && rm -f *.tgz \
		|| { echo 'Could not download DynamoDB Local: see .dynamodb-local/npm.log' >&2; exit 1; }
	@command -v java >/dev/null || $(MAKE) --no-print-directory .venv-java/ready
	@echo 'DynamoDB Local is installed: make run ENGINE=dynamodb-local' >&2

clean: ## delete environments, caches and the data of `make run`
	rm -rf .venv .venv-engine .venv-console .venv-mutants .venv-clients .venv-deploy .venv-checkov .venv-java .uv mutants .dynamodb-local .local build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Run a module with $(PYTHON), which needs no environment.
python = @$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	|| { echo '"$(PYTHON)" is missing or older than Python 3.11: name another one, for example PYTHON=python3.12' >&2; exit 1; }; \
	exec $(PYTHON)

.venv/ready: uv.lock requirements-uv.txt
	$(python) -m tools.environment .venv dev

# The environment of another group of dependencies: .venv-engine, .venv-console and so on.
.venv-%/ready: uv.lock requirements-uv.txt
	$(python) -m tools.environment .venv-$* $*
