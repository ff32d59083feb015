//! firewalld: its table is its own. nft may not change it (the table has an owner), and firewalld writes its rules anew.

use super::DropPlace;
use crate::firewall::FilterProgram;
use crate::hint;
use crate::hint::Hint;

const TABLE: &str = "firewalld";

impl DropPlace {
    /// Whether it is in firewalld's table.
    pub fn is_of_firewalld(&self) -> bool {
        self.program == FilterProgram::Nft && is_firewalld(&self.table)
    }
}

/// Whether a table of nftables, with its family, is firewalld's.
pub fn is_firewalld(table: &str) -> bool {
    table.split_once(' ').is_some_and(|(_, name)| name == TABLE)
}

/// The command that has firewalld accept what comes from an interface of the host. netavark puts its networks into the same zone.
pub fn trusted_by_firewalld(interface: &str) -> Option<Hint> {
    hint!("firewall-cmd --zone=trusted --change-interface={}", interface)
}
