//! Programs that need more than a container has. Refuses them before the start, because their own message would mislead
//! ("you must be root", "perhaps your kernel needs to be upgraded"), or their result would be wrong: without CAP_NET_RAW, fping
//! reports that no host replies.

use std::ffi::{OsStr, OsString};

use common::hint::Hint;
use common::{hint, sentence};
use rustix::thread::CapabilitySet as Caps;

use super::program::Program;
use crate::identity::power::ProgramPower;

/// What a kind of program needs, and when.
struct Need {
    /// Names; `iptables*` is also `iptables-save` and `iptables-nft`.
    programs: &'static [&'static str],
    capabilities: Caps,
    /// Only where the kernel's calls are filtered: the filter lets them pass with the capability.
    filtered: bool,
    when: NeedCondition,
}

/// With which arguments it needs that.
#[derive(Clone, Copy)]
enum NeedCondition {
    /// All, unless they ask only for its version or its help, or contain one of these.
    Unless(&'static [&'static str]),
    /// An object, and what is to be done to it: ip, tc, bridge.
    Changes,
    /// Any argument at all.
    Arguments,
}

/// Those that capture as root become another user, or we make them one (`privileges`).
const CAPTURE: Caps = Caps::NET_RAW.union(Caps::SETUID).union(Caps::SETGID);

const NEEDS: [Need; 9] = [
    Need {
        programs: &[
            "iptables*",
            "ip6tables*",
            "ebtables*",
            "arptables*",
            "nft",
            "conntrack",
            "conntrackd",
            "nfct",
            "ipset",
            "ipvsadm",
            "xtables-monitor",
            "wg",
        ],
        capabilities: Caps::NET_ADMIN,
        filtered: false,
        when: NeedCondition::Unless(&[]),
    },
    Need {
        programs: &["ip", "tc", "bridge"],
        capabilities: Caps::NET_ADMIN,
        filtered: false,
        when: NeedCondition::Changes,
    },
    Need {
        programs: &["tcpdump"],
        capabilities: CAPTURE,
        filtered: false,
        when: NeedCondition::Unless(&["-r", "-D", "-d", "-dd", "-ddd", "--list-interfaces"]),
    },
    Need {
        // Their list of interfaces is an error too where they may not capture.
        programs: &["tshark", "dumpcap"],
        capabilities: CAPTURE,
        filtered: false,
        when: NeedCondition::Unless(&["-r", "-G", "--read-file"]),
    },
    Need {
        // Without it fping asks through a socket of another kind, and says of all that they do not answer.
        programs: &["fping", "arping", "arp-scan", "mtr", "mtr-packet", "hping3", "nping"],
        capabilities: Caps::NET_RAW,
        filtered: false,
        when: NeedCondition::Unless(&[]),
    },
    Need {
        programs: &["nsenter", "unshare", "umount", "pivot_root", "swapon", "swapoff", "losetup"],
        capabilities: Caps::SYS_ADMIN,
        filtered: false,
        when: NeedCondition::Unless(&[]),
    },
    Need {
        programs: &["mount"],
        capabilities: Caps::SYS_ADMIN,
        filtered: false,
        when: NeedCondition::Arguments,
    },
    Need {
        programs: &["bpftrace", "bpftool"],
        capabilities: Caps::BPF.union(Caps::PERFMON),
        filtered: false,
        when: NeedCondition::Unless(&[]),
    },
    Need {
        programs: &["perf"],
        capabilities: Caps::PERFMON,
        filtered: true,
        when: NeedCondition::Unless(&[
            "report", "script", "annotate", "diff", "list", "help", "version", "evlist", "archive",
        ]),
    },
];

/// Programs that change their user by the set-user-ID bit of their file, which has no effect there.
const USER_SWITCHERS: [&str; 8] = ["sudo", "su", "doas", "pkexec", "runuser", "newgrp", "sg", "sudoedit"];

/// Words of ip-link(8), tc(8) and bridge(8) that change something.
const CHANGES: [&str; 12] = [
    "add", "append", "attach", "change", "chg", "del", "delete", "detach", "flush", "prepend", "replace",
    "set",
];

const VERSION_OR_HELP: [&str; 6] = ["--version", "-V", "-v", "--help", "-h", "-?"];

/// Why a program is not started.
#[derive(Debug, PartialEq, Eq)]
pub enum MissingPower {
    /// These.
    Capabilities(Caps),
    /// To change its user.
    NewUser,
}

/// What `program` lacks for these arguments.
pub fn lacks(program: &Program, arguments: &[OsString], power: ProgramPower) -> Option<MissingPower> {
    // A script is what its interpreter is told to run; its name says nothing.
    if !program.before.is_empty() {
        return None;
    }
    let name = program.name.to_str()?;
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    if USER_SWITCHERS.contains(&name) && !asks_for_version_or_help(&words) {
        return Some(MissingPower::NewUser);
    }
    let need = NEEDS.iter().find(|need| need.programs.iter().any(|known| is_called(name, known)))?;
    let asked = match need.when {
        NeedCondition::Unless(harmless) => {
            let is_harmless = |word: &&str| {
                harmless.contains(word)
                    || harmless.iter().any(|known| known.len() == 2 && is_joined(word, known))
            };
            !asks_for_version_or_help(&words) && !words.iter().any(is_harmless)
        }
        NeedCondition::Changes => {
            let mut plain = words.iter().filter(|word| !word.starts_with('-'));
            plain.nth(1).is_some_and(|verb| CHANGES.contains(verb))
        }
        NeedCondition::Arguments => !words.is_empty() && !asks_for_version_or_help(&words),
    };
    let lacking = need.capabilities - power.capabilities;
    // CAP_SYS_ADMIN is what it took before there were these two.
    let old = (Caps::BPF | Caps::PERFMON).contains(need.capabilities)
        && power.capabilities.contains(Caps::SYS_ADMIN);
    let holds = !lacking.is_empty() && !old && (power.filtered || !need.filtered);
    (asked && holds).then_some(MissingPower::Capabilities(lacking))
}

fn is_called(name: &str, known: &str) -> bool {
    let Some(family) = known.strip_suffix('*') else { return name == known };
    // These change the form of rules, and ask the kernel for nothing.
    let is_form = ["-translate", "-xml"].iter().any(|form| name.ends_with(form));
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) && !is_form
}

/// `-rFILE`.
fn is_joined(word: &str, option: &str) -> bool {
    option == "-r" && word.len() > 2 && word.starts_with(option)
}

fn asks_for_version_or_help(words: &[&str]) -> bool {
    matches!(words, [word] if VERSION_OR_HELP.contains(word))
        || words.iter().any(|word| *word == "--version" || *word == "--help")
}

impl MissingPower {
    /// What is wrong.
    pub fn what(&self) -> String {
        match self {
            MissingPower::Capabilities(lacking) => {
                let names = names(*lacking).into_iter().map(|name| format!("CAP_{name}")).collect::<Vec<_>>();
                format!(
                    "was not started: it needs {}, which the container does not have",
                    names.join(" and ")
                )
            }
            MissingPower::NewUser => {
                "was not started: a program cannot change its user there (no_new_privs)".to_owned()
            }
        }
    }

    /// What helps, with the operator's own words; `target` as it was typed, where that is known.
    pub fn hint(&self, target: Option<&str>, program: &OsStr, arguments: &[OsString]) -> Option<Hint> {
        let words = std::iter::once(program).chain(arguments.iter().map(OsString::as_os_str));
        let line = Hint::words(&words.map(OsStr::to_string_lossy).collect::<Vec<_>>());
        match self {
            // What mounts, or enters by PID, would do so on the host.
            MissingPower::Capabilities(Caps::SYS_ADMIN) => {
                sentence!(
                    "give --cap-add SYS_ADMIN if the container is trusted: with it, code of the container can do all that root of the host can"
                )
            }
            MissingPower::Capabilities(lacking) => match target {
                Some(target) => hint!("nsenter-rs -t {} -n {}", target, line?),
                None => sentence!("give {} too", Hint::words(&added(*lacking))?),
            },
            MissingPower::NewUser => {
                let program = program.to_string_lossy();
                sentence!(
                    "the program already runs as root of the container: leave out {}, or use -S UID -G GID for another user",
                    program
                )
            }
        }
    }

    /// The same command with what the program lacks, where that is no more than it needs.
    pub fn with_added(&self) -> Option<Hint> {
        match self {
            MissingPower::Capabilities(lacking) if *lacking != Caps::SYS_ADMIN => {
                common::same_with!("--cap-add {}", Hint::words(&added(*lacking)[1..])?)
            }
            _ => None,
        }
    }
}

/// The options that give these.
fn added(lacking: Caps) -> Vec<&'static str> {
    names(lacking).into_iter().flat_map(|name| ["--cap-add", name]).collect()
}

fn names(set: Caps) -> Vec<&'static str> {
    set.iter_names().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_tools::elf::Elf;

    fn said(line: &str, capabilities: Caps) -> Option<(MissingPower, Hint)> {
        let mut words = line.split(' ').map(OsString::from);
        let name = words.next().unwrap();
        let program = Program {
            file: name.clone().into(),
            elf: Elf::default(),
            name: name.clone(),
            zeroth: name.clone(),
            before: Vec::new(),
        };
        let arguments: Vec<_> = words.collect();
        let lacks = lacks(&program, &arguments, ProgramPower { capabilities, filtered: true })?;
        let hint = lacks.hint(Some("web"), &name, &arguments).unwrap();
        Some((lacks, hint))
    }

    #[test]
    fn what_would_fail_or_be_wrong_is_told_before_with_the_commands_that_help() {
        let (lacks, hint) = said("iptables -S", Caps::NET_RAW).unwrap();
        assert_eq!(lacks, MissingPower::Capabilities(Caps::NET_ADMIN));
        assert!(lacks.what().contains("needs CAP_NET_ADMIN"));
        assert_eq!(hint, "nsenter-rs -t web -n iptables -S");
        assert_eq!(lacks.with_added().unwrap(), "--cap-add NET_ADMIN");
        assert!(said("iptables -S", Caps::NET_ADMIN).is_none());
        assert!(said("ip6tables-nft-save", Caps::NET_RAW).is_some());
        let (_, hint) = said("mount /dev/sda /mnt", Caps::NET_ADMIN).unwrap();
        assert!(hint.starts_with("give --cap-add SYS_ADMIN"), "{hint:?}");
        let (lacks, hint) = said("bpftrace -e $(reboot)", Caps::NET_ADMIN).unwrap();
        assert!(lacks.what().contains("CAP_"), "{}", lacks.what());
        assert!(hint.starts_with("nsenter-rs -t web -n bpftrace -e '$(reboot)'"), "{hint:?}");
        assert!(said("sudo ls", Caps::all()).unwrap().1.contains("leave out sudo"));
    }

    #[test]
    fn what_asks_only_or_needs_nothing_is_not_refused() {
        for line in [
            "iptables -V",
            "iptables-xml x",
            "iptables-translate -A INPUT",
            "nft --version",
            "ip addr",
            "ip -br addr show dev eth0",
            "tc qdisc",
            "tc qdisc show dev eth0",
            "bridge link",
            "tcpdump -r file",
            "tcpdump -rfile",
            "tshark -r x",
            "tcpdump -D",
            "mount",
            "unshare --help",
            "perf report",
            "ls iptables",
            "sudo --version",
        ] {
            assert!(said(line, Caps::empty()).is_none(), "{line}");
        }
        for line in [
            "ip link set eth0 up",
            "tc qdisc add dev eth0 root netem",
            "mount /x",
            "tcpdump -ni lo",
            "unshare -n true",
        ] {
            assert!(said(line, Caps::empty()).is_some(), "{line}");
        }
        assert!(said("perf stat true", Caps::SYS_ADMIN).is_none());
    }
}
