# All that is done here, by name; `make` alone lists it. Each target makes ready what it needs.
# Arguments go through ARGS: make test ARGS="-k hairpin", make bench ARGS="--rounds 5".

.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
ARGS ?=

# Half of the time of a test of real interfaces is waiting: for the kernel, for a timer, for silence.
# So there are two workers for each of two cores. The other suites only compute.
WORKERS ?= 4

# These two see the copy of vswitch in their environment, not the one in the tree.
PURE := .venv-pure/bin/python -P -m pytest -o pythonpath=
SANITIZED := .venv-sanitized/bin/python -P -m pytest -o pythonpath= --capture=sys --max-worker-restart=0

# CPython keeps memory until it ends, which is no leak of ours, and its own allocator would hide
# where a buffer ends. What is found ends a worker, and is told on its own stderr.
SANITIZERS = LD_PRELOAD="$$(cc -print-file-name=libasan.so)" PYTHONMALLOC=malloc \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1

# An ordinary user's PATH has neither ip nor tcpdump on Debian.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: demo
demo: ## show the switch carrying real traffic (as root, under a minute)
	@.ci/setup demo
	@$(BIN)/vswitch demo $(ARGS)

.PHONY: test
test: ## run all tests (those on real interfaces need root)
	@.ci/setup test
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

.PHONY: test-pure
test-pure: ## run those of the fast path as on a machine without a compiler
	@.ci/setup pure
	@$(PURE) -n 2 --dist loadfile tests/fastpath tests/conformance tests/test_corpus.py $(ARGS)

.PHONY: sanitize
sanitize: TESTS ?= tests/fastpath tests/dataplane tests/test_corpus.py
sanitize: ## run TESTS with sanitizers in the compiled fast path
	@.ci/setup sanitized
	@$(SANITIZERS) $(SANITIZED) -n 2 --dist loadfile $(TESTS) $(ARGS)

.PHONY: fuzz
fuzz: ## hold the compiled fast path against the reference (a minute, or ARGS="--minutes 5")
	@.ci/setup fuzz
	@$(BIN)/python -m tests.fastpath.fuzz $(ARGS)

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
	rm -rf .venv .venv-pure .venv-sanitized .guest vswitch/fastpath/_fast.*.so *.egg-info build dist demo.pcapng
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
