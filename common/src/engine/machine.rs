//! systemd-nspawn's containers, by what systemd-machined writes down about each registered machine.
//!
//! One file for each, `KEY=VALUE` lines, "private data" to its writer (`machine_save` in systemd's
//! `src/machine/machine.c`, stable since version 205): so what is not there is not missed, and what is not
//! known is left alone.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, Uid};

use super::engine_dirs::EngineDirs;
use super::state::{self, StatePath};
use super::{
    Container, ContainerQuery, ContainerState, Engine, EngineAnswer, EngineError, EngineName, Proof, runtime,
};

const ENGINE: EngineName = EngineName::Machine;

/// USER_HZ is 100 on every architecture (asm-generic/param.h).
const TICK_MS: u128 = 10;

/// The machines that one systemd-machined has registered.
pub(super) struct Machines {
    directory: StatePath,
    /// The user that makes the claims in these files.
    owner: Uid,
}

impl Machines {
    /// The system's, then the user's own.
    pub(super) fn all(all_dirs: &[EngineDirs]) -> Vec<Machines> {
        let of =
            |dirs: &EngineDirs| Machines { directory: dirs.run.join("systemd/machines"), owner: dirs.owner };
        all_dirs.iter().map(of).collect()
    }

    /// The container called `name`; `None` when nothing is, or a virtual machine.
    fn container(&self, name: &str) -> Result<Option<Container>, EngineError> {
        let file = self.directory.join(name);
        let Some(bytes) = state::read(&file)? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let fields = fields(&text);
        let field = |key: &str| fields.get(key).map(String::as_str);
        if field("CLASS") != Some("container") {
            return Ok(None);
        }
        let number = |key: &str| field(key).and_then(|value| value.parse::<u64>().ok());
        // Nothing else ties the process to the machine where the kernel has no pidfs inodes: whatever has its PID would be it.
        runtime::is_of_our_time(ENGINE, &file, number("MONOTONIC").and_then(ticks_at))?;
        let pid = number("LEADER").and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
        let started_at = number("REALTIME").and_then(|time| i64::try_from(time).ok());
        // Since version 258 an ordinary user may register a machine: then the leader is that user's claim.
        let registered_by = number("UID").and_then(|uid| u32::try_from(uid).ok()).map(Uid::from_raw);
        let claimed_by = registered_by.filter(|_| self.owner.is_root()).unwrap_or(self.owner);
        Ok(Some(Container {
            pid: pid.map(Pid::from_raw),
            // A machine that has ended is no longer registered.
            state: if pid.is_some() { ContainerState::Running } else { ContainerState::Exited },
            started_at: started_at.and_then(|time| Timestamp::from_microsecond(time).ok()),
            image: field("ROOT").map(str::to_owned),
            proof: Proof { pidfd_inode: number("LEADER_PIDFDID"), ..Proof::word_of(claimed_by) },
            ..Container::unknown(ENGINE, name, claimed_by)
        }))
    }

    fn present(&self) -> Result<(), EngineError> {
        match self.directory.exists() {
            true => Ok(()),
            false => Err(EngineError::Absent { engine: ENGINE, socket: self.directory.as_path().to_owned() }),
        }
    }
}

impl Engine for Machines {
    fn name(&self) -> EngineName {
        ENGINE
    }

    /// Names only: machinectl takes nothing else.
    fn find(&self, asked: &ContainerQuery<'_>) -> Result<EngineAnswer, EngineError> {
        let ContainerQuery::Name { within: None, name } = asked else { return Ok(EngineAnswer::default()) };
        let found = self.container(name.as_str())?;
        if found.is_none() {
            self.present()?;
        }
        Ok(found.into())
    }

    fn list(&self) -> Result<EngineAnswer, EngineError> {
        self.present()?;
        let mut answer = EngineAnswer::default();
        for name in state::names(&self.directory)? {
            // `unit:UNIT` is a second name of the machine in that unit, and `.#NAME` a file half written.
            let name = name.to_str().filter(|name| !name.starts_with("unit:") && !name.starts_with('.'));
            if let Some(name) = name {
                answer.add(self.container(name));
            }
        }
        Ok(answer)
    }
}

/// In clock ticks since boot, as the kernel tells when processes started, the latest time that this one in microseconds of the
/// monotonic clock can be: that one does not count while the host sleeps (clock_gettime(2)).
fn ticks_at(monotonic_us: u64) -> Option<u64> {
    let now = |clock| clock_gettime(clock).ok().map(Duration::from);
    let slept = now(ClockId::CLOCK_BOOTTIME)?.saturating_sub(now(ClockId::CLOCK_MONOTONIC)?);
    let since_boot = Duration::from_micros(monotonic_us).saturating_add(slept);
    u64::try_from(since_boot.as_millis() / TICK_MS).ok()
}

/// The assignments in one of systemd's state files. The first of several wins.
fn fields(text: &str) -> HashMap<&str, String> {
    let mut fields = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some((key, value)) = line.split_once('=') {
            fields.entry(key.trim_end()).or_insert_with(|| unquoted(value.trim()));
        }
    }
    fields
}

/// A value as shells write it: newer versions quote what has other than plain characters in it.
fn unquoted(value: &str) -> String {
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(literal) = inner('\'') {
        return literal.to_owned();
    }
    let mut plain = String::with_capacity(value.len());
    let mut characters = inner('"').unwrap_or(value).chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => plain.extend(characters.next()),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_plain_quoted_and_escaped() {
        let text = "# private\nNAME=web\nROOT=\"/var/lib/machines/a b\\\"c\"\nSERVICE='x y'\nLEADER=12\nLEADER=13\nodd\n";
        let fields = fields(text);
        assert_eq!(fields["NAME"], "web");
        assert_eq!(fields["ROOT"], "/var/lib/machines/a b\"c");
        assert_eq!(fields["SERVICE"], "x y");
        assert_eq!(fields["LEADER"], "12");
        assert_eq!(fields.len(), 4);
    }

    #[test]
    fn a_value_that_ends_in_the_middle_is_no_panic() {
        for value in ["\"", "'", "\\", "\"\\", "\"a"] {
            unquoted(value);
        }
    }
}
