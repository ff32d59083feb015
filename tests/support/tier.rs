//! The two tiers: `make test` does every kind of thing, `make test-all` all of each kind.

/// Whether this is `make test-all`: `NETNS_TOOLBOX_ALL=true`.
pub fn is_all() -> bool {
    std::env::var_os("NETNS_TOOLBOX_ALL").is_some_and(|value| value == "true")
}
