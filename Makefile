# What a newcomer types. `make demo` shows the tools at work, `make test` proves them.

PREFIX = /usr/local
DESTDIR =

.PHONY: build release demo test test-all engines kernels lint msrv audit bench fuzz docs picture install

build:
	cargo build --workspace --locked

release:
	tests/setup/release

demo:
	@tests/setup/demo

test:
	tests/setup/test

# The same with all of each kind, what is released, and the other kernel: an hour.
test-all:
	tests/setup/test-all

# Each state of a container, with a suite's engines as they are now: trixie, sid, or those here.
SUITE = trixie
engines:
	tests/setup/engines '$(SUITE)'

# What the kernel at hand may lack, on Debian's stock kernel in an emulator.
kernels:
	tests/setup/kernels

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --workspace --document-private-items --locked
	tests/setup/shellcheck

# With the oldest compiler that Cargo.toml declares.
msrv:
	tests/setup/msrv

audit:
	tests/setup/audit

bench:
	tests/setup/bench

# Each fuzz target for SECONDS.
SECONDS = 60
fuzz:
	tests/setup/fuzz '$(SECONDS)'

# Rewrites man/ and completions/ from what each tool's cli.rs says.
docs:
	UPDATE_DOCS=1 cargo test --locked --test docs

# Draws docs/netns-ls.svg again.
picture:
	tests/setup/picture

install:
	tests/setup/install '$(PREFIX)' '$(DESTDIR)'
