# run and test need nothing but Rust, Go, Java with Maven, and Python; what else they use they
# install under .tools/, in pinned versions.
.DEFAULT_GOAL := help
.PHONY: help run test test-soak test-model check bench tools licences

CARGO_INCREMENTAL ?= $(if $(CI),0,1)
export CARGO_INCREMENTAL

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Built as a workspace, like the tests: so dependencies have one feature set and are built once.
run: ## build everything, start the local cloud, run the example workflows, serve until Ctrl-C
	cargo build --workspace --bins
	target/debug/stepscope dev --demo

test: tools check ## everything that must hold
	cargo test --workspace --no-fail-fast

# What of the tests takes its size from STEPSCOPE_SOAK: an hour instead of a minute.
test-soak: ## a thousand kills, and many thousand random machines
	STEPSCOPE_SOAK=1 cargo test --workspace --test crash --test properties --test random_machines

test-model: ## the examples with a real language model on this machine
	tests/bin/install-model
	cargo test --workspace --test model

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

licences: ## licences and advisories of what we depend on
	tests/bin/install-cargo-deny
	.tools/bin/cargo-deny --locked check
