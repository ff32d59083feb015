//! Settings under `/proc/sys/net`: those of the network namespace that the thread is in.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};

use common::failure::Failure;

use crate::model::netns::Netns;
use crate::model::sysctl::{SysctlKey, SysctlReading, SysctlValues};
use crate::read::sockets::Sockets;

/// No setting of a network is near this long.
const MOST_BYTES: u64 = 64 << 10;

impl SysctlValues {
    /// Reads them.
    pub fn read(&mut self, netns: Netns, keys: Vec<SysctlKey>, sockets: &Sockets) -> Result<(), Failure> {
        let read = || keys.into_iter().map(|key| (key.clone(), read(&key))).collect::<Vec<_>>();
        let found = sockets.within(netns, read)?.into_iter().flatten();
        self.insert(netns, found);
        Ok(())
    }
}

/// Its file.
pub fn file(key: &SysctlKey) -> String {
    format!("/proc/sys/{key}")
}

/// What `key` is.
pub fn read(key: &SysctlKey) -> SysctlReading {
    let open = |writable| OpenOptions::new().read(true).write(writable).open(file(key)).and_then(text);
    match open(true) {
        Ok(value) => SysctlReading::Is(value),
        Err(why) => match open(false) {
            Ok(value) => SysctlReading::Fixed(value, why.to_string()),
            Err(why) => SysctlReading::Unreadable(why.to_string()),
        },
    }
}

fn text(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}
