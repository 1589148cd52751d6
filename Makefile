# The command a newcomer needs: `make test`.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/quittance/target

.PHONY: test fmt lint prepare

# The programs first: tests across processes start them.
test: prepare
	cargo build --release --workspace --bins --tests --locked
	cargo test --release --workspace --locked

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --release --workspace --all-targets --locked -- -D warnings

# Installs the system packages that are missing, or says which.
prepare:
	@scripts/prepare
