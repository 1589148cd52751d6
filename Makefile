# The two commands a newcomer needs: `make demo` and `make test`.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/quittance/target

.PHONY: test fmt lint

test:
	cargo test --release --workspace --locked

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --release --workspace --all-targets --locked -- -D warnings
