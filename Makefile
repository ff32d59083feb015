# What a newcomer types. `make demo` shows the tools at work, `make test` proves them.

PREFIX = /usr/local
DESTDIR =

.PHONY: help rust build release demo test test-all engines kernels lint msrv audit bench fuzz docs pages picture install uninstall dist

.DEFAULT_GOAL = build

# This list.
help:
	@awk '/^[A-Z]+ =/ { next } /^# / { said = substr($$0, 3); next } \
	    /^[a-z-]+:/ && said { sub(/:.*/, ""); printf "make %-10s %s\n", $$0, said } { said = "" }' Makefile

rust:
	@tests/setup/rust

# The tools, for working on them: target/debug.
build: rust
	cargo build --workspace --locked

# The tools as they are shipped: static, small. Prints the directory.
release: rust
	tests/setup/release

# The tools at work on a real container, each command with its output. Ready binaries are taken.
demo:
	@tests/setup/demo

# The tests, with real container engines; no engine is installed.
test: rust
	tests/setup/test

# The same with all of each kind, what is shipped, and the other kernel: an hour and a half.
test-all: rust
	tests/setup/test-all

# Each state of a container, with a suite's engines as they are now: SUITE=trixie, sid, or here.
SUITE = trixie
engines: rust
	tests/setup/engines '$(SUITE)'

# What the kernel at hand may lack, on the stock kernels of two Debians in an emulator.
kernels: rust
	tests/setup/kernels

# Format, clippy, documentation, shell scripts.
lint: rust
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --workspace --document-private-items --locked
	tests/setup/shellcheck

# With the oldest compiler that Cargo.toml declares.
msrv: rust
	tests/setup/msrv

# Known holes and the licences of what is used.
audit: rust
	tests/setup/audit

# How fast, beside what people use today.
bench: rust
	tests/setup/bench

# Each fuzz target for SECONDS.
SECONDS = 60
fuzz: rust
	tests/setup/fuzz '$(SECONDS)'

# Rewrites man/ and completions/ from what each tool's cli.rs says.
docs: rust
	UPDATE_DOCS=1 cargo test --locked --test docs

# Writes down what the commands of the pages print, and draws their pictures and the recording again.
pages: rust
	UPDATE_PAGES=1 cargo test --workspace --locked --test tour

# Draws docs/netns-ls.svg again.
picture: rust
	tests/setup/picture

# Tools, manuals, completions and systemd units, into DESTDIR and PREFIX (/usr/local).
install:
	@tests/setup/install '$(PREFIX)' '$(DESTDIR)'

# Removes what `make install` with the same PREFIX and DESTDIR has put there.
uninstall:
	@tests/setup/install --remove '$(PREFIX)' '$(DESTDIR)'

# Tarballs for x86_64 and aarch64, a .deb for each, and their checksums: target/dist.
dist: rust
	tests/setup/dist
