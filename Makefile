# Every target does the same set-up first, so that each works as the first command in a fresh clone.

PYTHON ?= python3
BIN := .venv/bin
PACKAGES := services/chassis services/intake services/assessment services/catalogue services/referral services/notify \
	deploy/console

.PHONY: setup demo up down test network fuzz chaos bench check lock contract clean
.DEFAULT_GOAL := setup

setup: .venv/.ready

.venv/.ready: requirements.lock $(addsuffix /pyproject.toml,$(PACKAGES)) deploy/setup/setup.sh deploy/setup/debian.sh
	@PYTHON="$(PYTHON)" sh deploy/setup/setup.sh $(PACKAGES)

demo: setup ## One working day of the region on real parts. DATA=folder adds the full vocabulary and the offerings in it.
	@$(BIN)/viisikko demo $(if $(DATA),--data "$(DATA)")

up: setup ## Start the network of deploy/network.toml on this machine.
	@$(BIN)/viisikko up

down: setup ## Stop it.
	@$(BIN)/viisikko down

test: setup ## All tests, on a private broker and store.
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

network: setup ## A hub, three own parts and two guests: the main job, outages, changes. ONLY="day outages" for some of it.
	@sh deploy/setup/node.sh tests/network/partner
	@PYTHONPATH=tests $(BIN)/python -W ignore -m network $(ONLY)

chaos: setup ## The promise under faults drawn from a seed: EVENTS=10000 SEED=7. MUTANT=name or MUTANTS=all: is a broken service caught?
	@PYTHONPATH=tests $(BIN)/python -W ignore -m chaos "$(or $(EVENTS),10000)" "$(or $(SEED),7)" "$(or $(MUTANT),$(MUTANTS))"

bench: setup ## How fast it is, against what. ROUNDS=5 EVENTS=6000 MEMORY=300000 ONLY=name,name; PROFILE=1 writes .viisikko/profile.txt.
	@PYTHONPATH=tests ROUNDS="$(ROUNDS)" EVENTS="$(EVENTS)" MEMORY="$(MEMORY)" ONLY="$(ONLY)" PROFILE="$(PROFILE)" \
		$(BIN)/python -W ignore -m bench

fuzz: setup ## Look for inputs and interleavings that break a promise. MINUTES=10 is how long.
	@nice -n 10 $(BIN)/python tests/fuzz/run.py --minutes $(or $(MINUTES),10)

check: setup ## Style, types, who imports whom, and whether the generated files are fresh.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/viisikko contract build --check

contract: setup ## Write the generated files under deploy/ anew.
	@$(BIN)/viisikko contract build

lock: setup ## Pin what requirements.in asks for, with hashes and without addresses. UPGRADE=1 takes the newest versions.
	@$(BIN)/pip install -q uv
	@$(BIN)/uv pip compile -q $(if $(UPGRADE),--upgrade) --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		requirements.in -o requirements.lock

clean: ## Remove what set-up and runs have made.
	@rm -rf .venv .viisikko
