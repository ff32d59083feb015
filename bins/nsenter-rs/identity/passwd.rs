//! The shell of a user, from the password file of wherever we are.
//!
//! getpwuid(3) of glibc would load the modules that the container's nsswitch.conf names into this process, which
//! still holds what belongs to the host: so docker cp was taken over in CVE-2019-14271.

use std::env;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;
use nix::unistd::{User, getuid};

const FILE: &str = "/etc/passwd";
/// No password file is longer, and no container may fill our memory.
const LONGEST: u64 = 8 << 20;

/// What is run without a PROGRAM: $SHELL of the environment that the program gets, or the password file's.
pub fn users_shell(environment: Option<&[(OsString, OsString)]>, changes_root: bool) -> OsString {
    let chosen = match environment {
        Some(theirs) => theirs.iter().find(|(name, _)| name == "SHELL").map(|(_, shell)| shell.clone()),
        None => env::var_os("SHELL"),
    };
    let chosen = chosen.filter(|shell| !shell.is_empty());
    // On the host users may come from elsewhere than its password file.
    let of_passwd = || match changes_root {
        true => shell_of(getuid().as_raw()),
        false => User::from_uid(getuid()).ok()?.map(|user| user.shell.into_os_string()),
    };
    chosen.or_else(of_passwd).unwrap_or_else(|| OsString::from("/bin/sh"))
}

/// The shell of the user with this ID: passwd(5).
fn shell_of(uid: u32) -> Option<OsString> {
    // Nor may it make us wait until a process writes to a pipe.
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(FILE).ok()?;
    let mut bytes = Vec::new();
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    bytes.split(|byte| *byte == b'\n').find_map(|line| shell_in(line, uid))
}

fn shell_in(line: &[u8], uid: u32) -> Option<OsString> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let [_, _, number, _, _, _, shell] = fields[..] else { return None };
    let is_this = std::str::from_utf8(number).ok()?.parse() == Ok(uid);
    is_this.then(|| OsString::from_vec(shell.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_is_the_last_field_of_the_line_with_the_users_number() {
        let root = b"root:x:0:0:root:/root:/bin/ash";
        assert_eq!(shell_in(root, 0), Some("/bin/ash".into()));
        assert_eq!(shell_in(root, 1), None);
        assert_eq!(shell_in(b"root:x:0:0:root:/root", 0), None);
        assert_eq!(shell_in(b"x:x:0:", 0), None);
        assert_eq!(shell_in(b"", 0), None);
    }
}
