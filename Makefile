# The two commands a newcomer needs: `make demo` and `make test`.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/quittance/target

.PHONY: demo test fmt lint prepare

# Banks, a committee, a validator and an auditor at work, as processes on this machine.
demo: prepare
	cargo build --release --workspace --bins --locked
	$(CARGO_TARGET_DIR)/release/quittance demo

# The programs first: tests across processes start them.
test: prepare
	cargo build --release --workspace --bins --locked
	cargo test --release --workspace --locked

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --release --workspace --all-targets --locked -- -D warnings

# Installs the system packages that are missing, or says which.
prepare:
	@scripts/prepare
