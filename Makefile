# What one does with this tree. `make help` lists it; the work itself is in scripts/, so that it reads as programs.

SHELL := bash
.DEFAULT_GOAL := help
TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## the product on this machine: control plane, three agents, a target to break (ARGS=… go to `hyperverge demo`)
	scripts/set-up rust
	cargo build --locked --package hyperverge-control-plane --package hyperverge-agent --package hyperverge-cli
	$(TARGET_DIR)/debug/hyperverge demo $(ARGS)

.PHONY: test
test: ## everything that must pass before a change lands; does its own set-up, says what it runs
	scripts/test

.PHONY: lint
lint: ## format, clippy and documentation, warnings are errors
	scripts/set-up rust
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings --allow rustdoc::private_intra_doc_links" cargo doc --locked --workspace --no-deps --document-private-items

.PHONY: packages
packages: ## deb and rpm of agent and control plane, into target/packages
	scripts/packages

.PHONY: package-check
package-check: ## installs the debs in a Debian root of its own and runs a check there (ROOT=… reuses one)
	scripts/package-check $(ROOT)

.PHONY: images
images: ## both container images, from BASE=… (needs podman or docker)
	scripts/images "$(BASE)"

.PHONY: audit
audit: ## dependencies: bans, licences, sources, and advisories where their database can be had
	scripts/audit

.PHONY: campaign
campaign: ## long work by NAME=…, not part of `make test`; without a name, the list
	scripts/campaign "$(NAME)"

.PHONY: bench
bench: ## the benchmarks; docs/benchmarks.md says how the committed figures were taken
	scripts/set-up rust
	cargo bench --locked --workspace --benches
