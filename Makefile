# Thin on purpose: what each target needs is set up by setup_env.py, which does nothing twice.
PYTHON ?= python3
SETUP = $(PYTHON) setup_env.py --for
RUN = .venv/bin
HUB_TESTS = $(addprefix tests/hub/test_,people.py sign_in.py seats_outlive_their_hub.py postgresql.py)

.DEFAULT_GOAL := help
.PHONY: help demo report test test-postgres test-spark fuzz coverage pictures check fix docs clean

help: ## say what can be made
	@for name in help demo report test test-postgres test-spark fuzz coverage pictures check fix docs $(BENCHES) clean; do \
	  sed -n "s/^$$name:.*## \(.*\)/  make $$name|\1/p" Makefile; \
	done | while IFS='|' read -r name text; do printf '%-22s %s\n' "  $$name" "$$text"; done

demo: ## the workspace with a synthetic city, until Ctrl-C
	@$(SETUP) demo
	@$(RUN)/civic demo up

report: ## one report from signing to publishing, without a browser; prints where it is
	@$(SETUP) report
	@$(RUN)/civic demo report

test: ## the whole test suite
	@$(SETUP) test
	@$(RUN)/python -m pytest -q -n 3 --dist loadscope $(ARGS)

test-postgres: ## the tests of both sides' databases, with these on PostgreSQL instead of SQLite
	@$(SETUP) test
	@$(RUN)/python -m pytest -q --database postgresql tests/ledger tests/audit tests/releasing tests/policy tests/gateway $(HUB_TESTS) $(ARGS)

# Others each time: what they find is printed with the line that draws it again.
fuzz: ## many more bad requests than `make test` sends, others each time: make fuzz TIMES=50
	@$(SETUP) test
	@$(RUN)/python -m pytest -q tests/fuzz tests/ledger/test_damaged.py --fuzz $(or $(TIMES),20) $(ARGS)

coverage: ## how often the reports' ranges hold the truth, over a thousand draws each
	@$(SETUP) test
	@$(RUN)/python -m pytest -q -s --draws $(or $(DRAWS),1000) --timeout 3600 tests/methods tests/real -k cover $(ARGS)

pictures: ## the pictures of all pages in docs/pictures, and what a screen reader gets of the reports in docs/pages, made anew
	@$(SETUP) test
	@$(RUN)/python -m pytest -q --pictures tests/hub tests/e2e tests/pages -m browser $(ARGS)

test-spark: ## the second engine against the interpreter, hundreds of plans instead of dozens
	@$(SETUP) test
	@$(RUN)/python -m pytest -q --hypothesis-profile whole tests/query/test_spark.py $(ARGS)

check: ## style, types and contracts: the quick part of the tests
	@$(SETUP) test
	@$(RUN)/ruff check
	@$(RUN)/ruff format --check
	@$(RUN)/mypy
	@$(RUN)/python -m pytest -q tests/contracts -m "not slow"

fix: ## mend what the formatter and the linter can mend by themselves
	@$(SETUP) test
	@$(RUN)/ruff check --fix
	@$(RUN)/ruff format

# Written beside and moved: a generator that fails must not leave an empty contract behind.
docs: ## write docs/openapi.json anew
	@$(SETUP) test
	@$(RUN)/python -m data_access.gateway.openapi > docs/openapi.json.new
	@mv docs/openapi.json.new docs/openapi.json

# Only where the benchmarks are in the tree: a target that cannot work is not offered.
ifneq ($(wildcard benchmarks/__main__.py),)
BENCHES += bench
bench: ## all benchmarks, or one: make bench NAME=private
	@$(SETUP) test
	@$(RUN)/python -m benchmarks $(NAME) $(ARGS)
endif
ifneq ($(wildcard benchmarks/attacks.py benchmarks/attacks/__main__.py),)
BENCHES += attacks
attacks: ## the attacks on privacy, each with its positive control
	@$(SETUP) test
	@$(RUN)/python -m benchmarks.attacks
endif

.PHONY: $(BENCHES)

clean: ## remove the environment and the workspace's state; says which first
	@$(PYTHON) setup_env.py --clean
