# All that is done here, by name; `make` alone lists it. Each target makes ready what it needs.
# Arguments go through ARGS: make test ARGS="-k hairpin", make bench ARGS="--rounds 5".

.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
ARGS ?=

# An ordinary user's PATH has neither ip nor tcpdump on Debian.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: demo
demo: ## show the switch carrying real traffic (as root, under a minute)
	@.ci/setup demo
	@$(BIN)/vswitch demo $(ARGS)

.PHONY: test
test: ## run all tests (those on real interfaces need root)
	@.ci/setup test
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

.PHONY: conformance
conformance: ## show which requirements of the NAT RFCs are met, in a table
	@.ci/setup conformance
	@$(BIN)/python -m pytest tests/conformance --table $(ARGS)

.PHONY: check
check: ## formatting, lint, types, import directions
	@.ci/setup check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: bench
bench: ## measure the switch and its peers side by side (as root, eight minutes)
	@.ci/setup bench
	@$(BIN)/python -m bench $(ARGS)

.PHONY: bench-peers
bench-peers: ## only that over real interfaces (ARGS=--install installs all peers)
	@.ci/setup bench
	@$(BIN)/python -m bench peers $(ARGS)

.PHONY: bench-engine
bench-engine: ## only the engine, in memory (needs no root)
	@.ci/setup engine
	@$(BIN)/python -m bench engine $(ARGS)

.PHONY: clean
clean: ## remove .venv and everything else that was built here
	rm -rf .venv *.egg-info build dist demo.pcapng
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
