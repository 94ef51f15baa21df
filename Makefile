# One entry point for everything. `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What is given on the command line is taken as it stands: make would expand it, $(shell ...) and all.
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),\
    $(eval override $(name) := $$(value $(name)))$(eval export $(name))))

ifeq ($(origin exp),command line)
$(error EXP is written in capitals)
endif
EXP ?= demo
ARGS ?=
export EXP ARGS
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
quoted = '$(subst ','\'',$(1))'

# bytecode is written when a module is first imported, which is faster than compiling all packages at once
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## List every target
	@echo "make TARGET [EXP=demo] [ARGS=\"--trainer.max_epochs 3\"] [GPUS=2]"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(VENV)/.installed ## Make the virtual environment with the pinned packages

.PHONY: setup-sagemaker
setup-sagemaker: $(VENV)/.installed ## Add what submitting to SageMaker needs
	$(PIP) --editable '.[sagemaker]'

.PHONY: fit
fit: data ## Train configs/$EXP.yaml and test its best checkpoint; makes missing data first
	@launchers/with_args.sh launchers/local.sh fit --config "$$EXP"

.PHONY: data
data: $(VENV)/.installed ## Make the data files of configs/$EXP.yaml that are missing
	@launchers/with_args.sh $(BIN)/python -m projection data "$$EXP"

.PHONY: table
table: $(VENV)/.installed ## Train what is missing of $LABELS x $NETS x $SEEDS, here or with LAUNCHER=slurm|sagemaker, and lay it beside published numbers
	@launchers/with_args.sh $(BIN)/python -m projection.benchmark

.PHONY: test check lint
test: lint ## Run all checks: ruff, mypy, all tests
	launchers/with_args.sh $(BIN)/pytest $(BY_FILE)

check: lint ## Run most of them in two minutes: no engines, and no test that trains more than once
	launchers/with_args.sh $(BIN)/pytest $(BY_FILE) -m 'not slow and not thorough'

# in two processes, each file in one of them (tests/conftest.py)
BY_FILE := -n 2 --dist loadfile

lint: $(VENV)/.installed-dev $(VENV)/.scripts-linted
	$(BIN)/ruff check projection launchers tests
	$(BIN)/ruff format --check projection launchers tests
	$(BIN)/mypy
	$(BIN)/lint-imports

SCRIPTS := .ci/run $(wildcard launchers/*.sh launchers/*/*.sh containers/*.sh tests/engines/*.sh)
$(VENV)/.scripts-linted: $(SCRIPTS) $(wildcard containers/*ockerfile) | $(VENV)/.installed-dev
	$(BIN)/shellcheck -x $(SCRIPTS)
	$(BIN)/shfmt -i 4 -d $(SCRIPTS)
	$(BIN)/hadolint $(filter %ockerfile,$^)
	@touch $@

.PHONY: mutate
mutate: $(VENV)/.installed-dev ## Break the code in many small ways, to see which the tests notice; goes on where it was interrupted
	launchers/with_args.sh $(BIN)/python -m tests.mutation

.PHONY: torture
torture: $(VENV)/.installed-dev ## Kill trainings a hundred times at random moments, and compare how they end; ARGS="--kills 20 --only ddp"
	launchers/with_args.sh $(BIN)/python -m tests.torture

.PHONY: benchmark
benchmark: $(VENV)/.installed-dev data/benchmark_100hz data/benchmark_500hz ## Measure speed against its targets: runs/benchmarks/loading.{md,json}
	launchers/with_args.sh $(BIN)/python -m tests.benchmarks --source data/benchmark_100hz --source_500 data/benchmark_500hz --path data/benchmark_100hz.h5

.PHONY: slurm slurm-status slurm-logs slurm-cancel slurm-resume
slurm: ## Submit configs/$EXP.yaml to Slurm; EXP=a,b SEEDS=0,1 submits an array; see launchers/slurm/site.env.example
	@launchers/with_args.sh launchers/slurm/submit.sh

slurm-status: ## List the trainings in Slurm's queue
	@launchers/slurm/jobs.sh status

slurm-logs: ## Follow what job $JOB says
	@JOB=$(call quoted,$(JOB)) launchers/slurm/jobs.sh logs

slurm-cancel: ## Cancel job $JOB
	@JOB=$(call quoted,$(JOB)) launchers/slurm/jobs.sh cancel

slurm-resume: ## Submit job $JOB again (or one task of an array, 123_4): it continues in its run folder; TIME=, MEM= ... count
	@JOB=$(call quoted,$(JOB)) launchers/with_args.sh launchers/slurm/jobs.sh resume

.PHONY: sagemaker sagemaker-image sagemaker-rehearse sagemaker-status sagemaker-logs sagemaker-stop sagemaker-resume sagemaker-fetch
sagemaker: ## Submit configs/$EXP.yaml to Amazon SageMaker; EXP=a,b SEEDS=0,1 are several jobs; see launchers/sagemaker/site.env.example
	@launchers/with_args.sh launchers/sagemaker/sagemaker.sh submit

sagemaker-rehearse: ## Run on this machine what that job would run, without AWS
	@launchers/with_args.sh launchers/sagemaker/rehearse.sh

sagemaker-image: ## Build the image for SageMaker and push it to ECR, as $REPOSITORY:$TAG of $ACCOUNT in $REGION
	@launchers/with_args.sh launchers/sagemaker/sagemaker.sh image

sagemaker-status: ## List this project's jobs on SageMaker, or describe job $JOB
	@launchers/sagemaker/sagemaker.sh status

sagemaker-logs: ## Follow what SageMaker job $JOB says
	@launchers/sagemaker/sagemaker.sh logs

sagemaker-stop: ## End SageMaker job $JOB; it saves its state first
	@launchers/sagemaker/sagemaker.sh stop

sagemaker-resume: ## Submit SageMaker job $JOB again: it goes on from its last state; TIME=, INSTANCE= ... and ARGS count
	@launchers/with_args.sh launchers/sagemaker/sagemaker.sh resume

sagemaker-fetch: ## Bring SageMaker job $JOB home into runs/
	@launchers/sagemaker/sagemaker.sh fetch

.PHONY: kubernetes skypilot
kubernetes: $(VENV)/.installed ## Print a Kubernetes Job that trains configs/$EXP.yaml in $IMAGE: make ... | kubectl apply -f -
	@launchers/with_args.sh launchers/kubernetes/job.sh

skypilot: $(VENV)/.installed ## Print a SkyPilot task that trains configs/$EXP.yaml with the data in $DATA, into $RUNS
	@launchers/with_args.sh launchers/skypilot/task.sh

.PHONY: image sif
image: ## Build the container image with docker or podman
	launchers/with_args.sh containers/build.sh

sif: ## Build the Singularity image $CONTAINER, by default ~/projection_latest.sif
	launchers/with_args.sh containers/build.sh --singularity

.PHONY: tensorboard
tensorboard: $(VENV)/.installed ## Show the learning curves of all runs; start it again to see those that began later
	@# find, unlike TensorBoard, does not follow the links named latest, which would show the newest runs twice
	@$(BIN)/tensorboard --logdir_spec "$$(find runs -name tensorboard -type d | sed 's|^runs/\(.*\)/tensorboard$$|\1:&|' | paste -s -d , -)"

.PHONY: clean
clean: ## Remove the virtual environment and caches; data and runs stay
	rm -rf $(VENV) build .import_linter_cache .mypy_cache .ruff_cache .pytest_cache .hypothesis

# an environment elsewhere is somebody's own: it is made if it is missing, and else left as it is
$(VENV)/.installed: $(if $(filter .venv,$(VENV)),pyproject.toml constraints.txt)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else "projection needs Python 3.11 to 3.13, found %d.%d: make ... PYTHON=python3.11" % v[:2])'
	@echo "Setting up $(VENV), once ..."
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@$(BIN)/python -m projection fit --help > /dev/null
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what the tests need, once ..."
	$(PIP) --editable '.[dev]'
	@touch $@

data/benchmark_100hz: | $(VENV)/.installed
	$(BIN)/python -m projection synthesize --output $@ --records 21799

data/benchmark_500hz: | $(VENV)/.installed
	$(BIN)/python -m projection synthesize --output $@ --records 4000 --sampling_rates 500
