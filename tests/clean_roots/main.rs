//! What is shipped, in a clean Debian 13 and as an image: each line of the documentation is pasted there as it stands, by a user who
//! may use sudo. `make test-all` makes what is shipped; tests/setup/clean-root is the Debian.

#![cfg(test)]

mod emulated;
mod image;
mod kubernetes;
mod packages;
mod pages;
mod shipped;
mod visit;
