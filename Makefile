# run and test need nothing but Rust, Go, Java with Maven, and Python; what else they use they
# install under .tools/, in pinned versions.
.DEFAULT_GOAL := help
.PHONY: help run test test-deployed test-soak test-model test-jaeger check bench tools licences bootstraps deploy-check

CARGO_INCREMENTAL ?= $(if $(CI),0,1)
export CARGO_INCREMENTAL

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Built as a workspace, like the tests: so dependencies have one feature set and are built once.
run: ## build everything, start the local cloud, run the example workflows, serve until Ctrl-C
	cargo build --workspace --bins
	target/debug/stepscope dev --demo

test: tools check ## everything that must hold
	cargo test --workspace --no-fail-fast

# With the executables that `make test` builds; or with those of `make bootstraps`:
# STEPSCOPE_BOOTSTRAPS=target/lambda.
test-deployed: ## deployed to an emulator of AWS by `sam deploy`: from nothing to traces over HTTP
	tests/bin/install-ministack
	tests/bin/install-aws-sam-cli
	tests/bin/install-collector
	cargo build --workspace --bins
	cargo test --workspace --test deployed

# STEPSCOPE_SOAK is the number of random machines and definitions; with it the kills are 1,000.
test-soak: ## a thousand kills, and many thousand random machines: about an hour
	STEPSCOPE_SOAK=20000 cargo test --workspace --test crash --test properties
	STEPSCOPE_SOAK=5000 cargo test --workspace --test engine random_machines

test-model: ## the examples with a real language model on this machine
	tests/bin/install-model
	cargo test --workspace --test model

test-jaeger: ## traces as a real Jaeger gives them back
	tests/bin/install-jaeger
	cargo test --workspace --test jaeger

check: ## formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

# The libraries in a release build; what a user waits for with the binary that `make run` builds.
bench: ## the figures of docs/benchmarks.md
	cargo bench --workspace --bench span_cost --bench transitions --bench traces \
		--bench masking --bench evaluation --bench stored_items
	tests/bin/install-ministack
	cargo bench --workspace --profile dev --bench local_cloud --bench beside_ministack

tools: ## what the tests run beside our own code
	tests/bin/install-dynamodb-local
	tests/bin/install-versitygw
	tests/bin/install-collector
	tests/bin/install-cargo-lambda
	tests/bin/install-opentelemetry-python
	tests/bin/install-ministack
	tests/bin/install-aws-sam-cli

licences: ## licences and advisories of what we depend on
	tests/bin/install-cargo-deny
	.tools/bin/cargo-deny --locked check

# One build for all functions: `sam build` would compile everything once for each of them. Not
# incrementally: what is built seldom need not keep its intermediate steps.
ARCHITECTURE ?= arm64
FUNCTIONS := $(notdir $(patsubst %/,%,$(wildcard functions/*/)))

bootstraps: ## the functions for Lambda, into target/lambda; ARCHITECTURE=arm64 or x86_64
	tests/bin/install-cargo-lambda
	tests/bin/install-zig
	rustup target add $(if $(filter x86_64,$(ARCHITECTURE)),x86_64,aarch64)-unknown-linux-gnu
	CARGO_INCREMENTAL=0 PATH="$(CURDIR)/.tools/zig-0.15.2/bin:$$PATH" .tools/cargo-lambda-1.9.2/bin/cargo-lambda lambda build \
		--release $(if $(filter x86_64,$(ARCHITECTURE)),--x86-64,--arm64) $(FUNCTIONS:%=--package %)

# Without the resources' conditions: checkov passes over what the defaults leave out.
deploy-check: ## the template and the workflows, by the tools that know what AWS takes
	tests/bin/install-aws-sam-cli
	tests/bin/install-cfn-lint
	tests/bin/install-checkov
	tests/bin/install-asl-validator
	SAM_CLI_TELEMETRY=0 .tools/aws-sam-cli-1.170.0/bin/sam validate --lint --region us-east-1 -t template.yaml
	.tools/cfn-lint-1.58.0/bin/cfn-lint template.yaml infra/user-pool.yaml infra/hosting.yaml infra/monitoring.yaml -r us-east-1
	infra/check-workflows
	mkdir -p target/deploy-check
	for template in template.yaml infra/user-pool.yaml infra/hosting.yaml infra/monitoring.yaml; do \
		sed '/^    Condition: /d' $$template > target/deploy-check/$$(basename $$template); \
		.tools/checkov-3.3.30/bin/checkov -f target/deploy-check/$$(basename $$template) \
			--framework cloudformation --compact --quiet --skip-download || exit 1; \
	done
