# The commands a newcomer needs: `make test` and `make demo`.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/quittance/target

.PHONY: test defects mutants fuzz demo bench load fmt lint prepare prepare-tests slow corpus

# The programs first: tests across processes start them.
test: prepare-tests
	cargo build --release --workspace --bins --tests --locked
	cargo test --release --workspace --locked

# Turns each planted defect on in turn: the test named beside it in docs/security-tests.md must fail.
defects: prepare
	cargo test --release --workspace --locked --test defects -- --include-ignored --nocapture --test-threads=1

# Changes the verifiers one place at a time (needs `cargo install cargo-mutants --locked`; hours).
mutants:
	CARGO_INCREMENTAL=1 cargo mutants --in-place --output $(CARGO_TARGET_DIR)

# Every fuzz target for FUZZ_SECONDS (60), two at a time on two processors, by the stable compiler:
# nothing has to be installed. Only some targets: make fuzz ONLY="transaction block".
fuzz: prepare
	scripts/fuzz $(ONLY)

# Together with one small test, so that cargo chooses features as for `make test`: whichever of the
# two runs second builds nothing anew.
demo: prepare
	cargo build --release --workspace --bins --test sample --locked
	$(CARGO_TARGET_DIR)/release/quittance demo

# Four validators under 400 transfers a second, for ten seconds. Otherwise:
# make load LOAD="--validators 7 --rate 200"; quittance bench load --help says the rest.
load: prepare
	cargo build --release --workspace --bins --test sample --locked
	$(CARGO_TARGET_DIR)/release/quittance bench load $(LOAD)

# Prints a table and leaves it as bench-report.json in the target directory. Only some measurements:
# make bench ONLY="transfers range-proofs block node". For the whole workspace, as for `make test`, so
# that RocksDB is not built a second time.
bench: prepare
	cargo build --release --workspace --features quittance-benches/measure --bins --locked
	cargo bench --workspace --features quittance-benches/measure --bench bench --locked -- $(ONLY)

fmt:
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

lint:
	cargo clippy --release --workspace --all-targets --locked -- -D warnings

# Installs the system packages that are missing, or says which.
prepare:
	@scripts/prepare

# The same, and what only the tests need: Python, for the examples and the verifier in docs/.
prepare-tests:
	@scripts/prepare tests

# 100,000 changed transactions (a minute), kills, losses of power and damage in numbers (minutes),
# damaged files of a validator among four in 200 cases (an hour on two busy processors), a
# flooded node measured (minutes, on a machine that does nothing else), 100,000 operations against the
# model (a quarter of an hour on two processors), thousands of rounds of netting, every attack on every
# step of one, and what parties see in 10,000 runs (hours).
slow: prepare
	cargo test --release --locked --workspace --test mutants -- --ignored --nocapture
	cargo test --release --locked --workspace --test disk -- --ignored --nocapture
	cargo test --release --locked --workspace --test kill --test validators -- --ignored --nocapture
	cargo test --release --locked --workspace --test floods -- --ignored --nocapture
	cargo test --release --locked --workspace --test execution -- --ignored --nocapture
	cargo test --release --locked --workspace --test netting --test hidden -- --ignored --nocapture
	cargo test --release --locked --workspace --test matrix --test independence -- --ignored --nocapture

# Real objects of today's formats in fuzz/corpus, which the decoders' tests start from.
corpus: prepare
	cargo test --release --locked --workspace --test encodings -- --ignored
