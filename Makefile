# Everything runs in .venv, which the targets that need it create by themselves.
PYTHON ?= $(shell command -v python3.11 || echo python3)
PROFILE ?= small
# TensorFlow complains of missing GPU libraries at level 2, to no use on a CPU.
TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_CPP_MIN_LOG_LEVEL

VENV := .venv
BIN := $(VENV)/bin
# What a target needs beside the package itself. Each adds what is missing to the same .venv.
EXTRAS_base :=
EXTRAS_study := [dp]
EXTRAS_docs := [docs]
EXTRAS_notebooks := [notebooks]
EXTRAS_all := [all]
STAMP := $(VENV)/.installed-
NUMERICAL := tests/numerics tests/ensemble tests/training

# Expanded before a recipe's first command, so a wrong Python leaves nothing behind.
version = $(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
require_python = $(if $(filter 3.11,$(version)),,$(error cemfp needs Python 3.11. Received: \
	PYTHON=$(PYTHON), which $(if $(version),says $(version),does not run). Install Python 3.11 \
	or name it: make PYTHON=/path/to/python3.11))

.DEFAULT_GOAL := help
.PHONY: install demo test test-all lint type bench cifar10-all imagenet32-all figures check-results \
	notebooks docs clean help

install: $(STAMP)all  ## Create .venv with everything (other targets install what they need)
	@$(require_python):

$(STAMP)%: setup.cfg constraints.txt pyproject.toml
	$(require_python)"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.$(EXTRAS_$*)'
	$(BIN)/python -m pip check
	@touch $@

demo: $(STAMP)base  ## Catch stolen models of handwritten digits, in minutes and offline
	$(BIN)/cemfp demo --out demo-output

test: $(STAMP)all  ## Run the quick tests, each part once for real, two at a time
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-all: $(STAMP)all  ## Run every test, then the numerical ones as older processors compute
	$(BIN)/python -m pytest -q -m "" -n 2 --dist loadfile
	! grep -q avx512 /proc/cpuinfo || \
		ONEDNN_MAX_CPU_ISA=AVX2 $(BIN)/python -m pytest -q -n 2 --dist loadfile $(NUMERICAL)
	TF_ENABLE_ONEDNN_OPTS=0 $(BIN)/python -m pytest -q -n 2 --dist loadfile $(NUMERICAL)

lint: $(STAMP)all  ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(STAMP)all  ## Check types
	$(BIN)/mypy cemfp experiments

bench: $(STAMP)all  ## Measure speed and memory against named baselines
	$(BIN)/python -m benchmarks

cifar10-all: $(STAMP)study  ## Regenerate every CIFAR-10 figure and table (PROFILE=demo, small, strong or paper; resumable)
	$(BIN)/cemfp study run --profile $(PROFILE)

imagenet32-all: $(STAMP)base  ## Regenerate the ImageNet32 tables (PROFILE as above)
	$(BIN)/cemfp study run imagenet32 --profile $(PROFILE)

figures: $(STAMP)base  ## Draw figures, tables and report of PROFILE again from its committed rows
	$(BIN)/cemfp study figures --profile $(PROFILE)
	$(BIN)/cemfp study report --profile $(PROFILE)

check-results: $(STAMP)base  ## Compute the central tables again from committed nets and answers
	$(BIN)/cemfp study check

notebooks: $(STAMP)notebooks  ## Execute the notebooks
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False notebooks/*.ipynb

docs: $(STAMP)docs  ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean:  ## Remove .venv, caches, builds and the demo's output; results stay
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache demo-output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile
