//! What a plan is made from: what is wanted, what there is, and names and link-layer addresses for what will be.

use common::failure::Failure;
use common::target::{IfName, Mac};

use crate::journal::{Inside, Record};
use crate::names;
use crate::snapshot::Snapshot;
use crate::wanted::Wanted;

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    pub wanted: &'a Wanted,
    pub snapshot: &'a Snapshot,
    /// All NICs of ours that there are.
    pub records: &'a [Record],
    pub inside: &'a Inside,
    /// For link-layer addresses.
    pub random: [u8; 18],
}

impl Basis<'_> {
    /// How people call the container.
    pub fn who(&self) -> &str {
        &self.inside.name
    }

    /// The last of its words: of `pod:default/shop/frontend` it is `frontend`, of `/run/netns/blue` `blue`.
    fn stem(&self) -> String {
        let last = self.who().rsplit(['/', ':']).next().unwrap_or_default();
        let is_number = last.chars().all(|c| c.is_ascii_digit());
        if is_number { format!("pid{last}") } else { last.to_owned() }
    }

    pub(super) fn mac(&self, which: usize) -> Mac {
        let mut bytes = [0; 6];
        bytes.copy_from_slice(&self.random[which * 6..][..6]);
        Mac::local(bytes)
    }

    /// Higher than any other: a bridge takes the least of its ports' addresses for its own, unless somebody gave it one,
    /// and then all who knew the host by the one before would not reach it for a while.
    pub(super) fn port_mac(&self) -> Mac {
        let Mac([_, rest @ ..]) = self.mac(1);
        let [b, c, d, e, f] = rest;
        Mac([0xfe, b, c, d, e, f])
    }

    pub(super) fn name(&self) -> Result<IfName, Failure> {
        let inside = &self.snapshot.inside;
        let Some(name) = &self.wanted.name else {
            let free = names::next_free(|name| inside.link(name).is_some());
            return free
                .ok_or_else(|| Failure::trouble(self.who(), "has no name left between eth0 and eth9999"));
        };
        match inside.link(name.as_str()) {
            Some(_) => {
                Err(Failure::trouble(name, format_args!("is the name of another link in {}", self.who())))
            }
            None => Ok(name.clone()),
        }
    }

    pub(super) fn host_name(&self) -> Result<IfName, Failure> {
        let outside = &self.snapshot.outside;
        let inside_name = self.name()?;
        let is_taken = |name: &str| {
            // With both ends in one namespace the other end's name is not free either.
            outside.link(name).is_some() || (self.snapshot.is_one && name == inside_name.as_str())
        };
        let Some(name) = &self.wanted.host_name else {
            let free = names::of_host_end(&self.stem(), &inside_name, is_taken);
            return free.ok_or_else(|| {
                Failure::trouble(self.who(), "has no name left for the host's end").hint("--host-name IF")
            });
        };
        match is_taken(name.as_str()) {
            true => Err(Failure::trouble(name, "is the name of another link of the host")),
            false => Ok(name.clone()),
        }
    }
}
