# The words of everyday work; what is longer than a line is in tools/.
# `make` alone says what there is. All of it runs without an AWS account.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo local e2e package test check lint template-check pages screenshots accuracy bench fuzz mutations growth speed hour clean

# --examples, though there are none: with it cargo chooses the dependencies' features as for the tests, and
# the AWS SDK is not looked through a second time.
DOCUMENTED := --workspace --no-deps --lib --bin nat-triage-lambda --examples
DEMO := --profile demo --no-default-features --bin nat-triage
# Python environments, each made once from tools/python/requirements-NAME.txt.
environment = .venv/$(1)/.requirements

help: ## this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

demo: ## diagnose a sample incident: no account, no network
	cargo build $(DEMO)
	@cargo run --quiet $(DEMO) -- analyze --event events/alarm.json --flow-logs samples/leak.log.zst || test $$? -eq 2

local: $(call environment,lambda) ## run the function here and invoke it with events/*.json
	tools/local

# `make e2e E2E_FUNCTION=dist/nat-triage-lambda-x86_64.zip` takes one that is built: a zip of a release, or a program.
E2E_FUNCTION ?= $(or $(CARGO_TARGET_DIR),target)/debug/nat-triage-lambda
e2e: $(call environment,emulators) $(call environment,sam) ## the template deployed into emulators; each permission taken away
	@# --examples, though the package has none: see tools/local.
	$(if $(filter file,$(origin E2E_FUNCTION)),cargo build --bin nat-triage-lambda --examples)
	cargo build --package insights-server --example leak
	.venv/emulators/bin/python3 tools/e2e --function $(E2E_FUNCTION) --leak $(or $(CARGO_TARGET_DIR),target)/debug/examples/leak

package: $(call environment,package) ## the zips, static programs, template and bills of materials of a release, in dist/; TARGETS=...
	tools/package/run

test: $(call environment,emulators) template-check ## every test, against emulators on loopback too
	NAT_TRIAGE_TEST_EMULATORS=$(abspath .venv/emulators) cargo test --workspace

check: test lint ## all that has to pass before a change is done

lint: ## formatting, clippy, documentation, dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo clippy --no-default-features --lib --bin nat-triage -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc $(DOCUMENTED)
	tools/checks/dependencies
	tools/checks/no-aws
	tools/checks/history

template-check: $(call environment,templates) $(call environment,sam) $(call environment,terraform) ## template.yaml and the Terraform module
	tools/checks/template
	tools/checks/terraform

pages: $(call environment,pages) ## every HTML report among the snapshots, in headless Chromium
	tools/checks/pages

screenshots: $(call environment,pages) ## the README's pictures of the sample's HTML report, taken anew
	cargo build $(DEMO)
	@mkdir -p .cache
	@cargo run --quiet $(DEMO) -- analyze --event events/alarm.json --flow-logs samples/leak.log.zst --format html --output .cache/sample.html
	tools/checks/pages screenshots .cache/sample.html

SEEDS ?= 300
accuracy: ## how often the diagnosis is right, on simulated incidents, beside AWS's article; SEEDS=60 prints docs/accuracy.md's; ONLY='early warning' no more than that
	cargo run --quiet --release -p accuracy -- --seeds $(SEEDS) --only "$(ONLY)"

bench: $(call environment,emulators) ## from event to publish on a slow AWS, against the longest chain of calls
	# Waiting is nearly all of it: the build that the tests use will do.
	NAT_TRIAGE_TEST_EMULATORS=$(abspath .venv/emulators) cargo bench --profile dev --bench latency --bench memory

MUTATIONS ?= 3000
mutations: ## events, logs, contexts and bundles, changed by fixed seeds: MUTATIONS=3000 of each
	NAT_TRIAGE_MUTATIONS=$(MUTATIONS) cargo test --no-default-features --test promises -- mutations

growth: ## what inputs that were made to hurt cost in time and memory
	cargo build --locked --release --no-default-features --features parquet --bin nat-triage
	tools/growth

speed: $(call environment,speed) ## a large flow log, against DuckDB and what only unpacks
	cargo build --locked --release --no-default-features --features parquet --bin nat-triage
	.venv/speed/bin/python3 tools/speed

HOURS ?= 1 8
hour: $(call environment,speed) ## an hour of flow logs in S3, read in place, beside Athena's and CloudWatch's price: HOURS='1 8' times 1.2 million records
	cargo build --locked --release --bin nat-triage
	.venv/speed/bin/python3 tools/hour --copies $(HOURS) $(if $(AGAIN),--again $(AGAIN))

FUZZ_SECONDS ?= 60
fuzz: ## the readers of events and of files, and the diagnosis, on made-up input, each for FUZZ_SECONDS=60
	tools/fuzz $(FUZZ_SECONDS)

clean: ## remove what was built and installed here
	rm -rf target .venv .cache dist

.venv/%/.requirements: tools/python/requirements-%.txt
	tools/python/venv $*
