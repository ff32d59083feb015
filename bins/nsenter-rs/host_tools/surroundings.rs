//! What the host's programs need to be told, because they would look for it in the container's root: where the
//! host's tree is, and the data that their paths lead to.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::thread::CapabilitySet;

use super::program::{Program, Word};
use super::root::Root;
use crate::identity::power::ProgramPower;

/// What the program is started with.
pub type Environment = BTreeMap<OsString, OsString>;

/// Paths for the container's own loader, or for the host's as it was before: libraries of the wrong root.
const NOT_TAKEN_ALONG: [&str; 3] = ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"];

/// Where data that has a variable is on the distributions there are: the first that exists is taken.
const DATA: [(&str, &[&str]); 12] = [
    ("LOCPATH", &["/usr/lib/locale"]),
    ("TZDIR", &["/usr/share/zoneinfo"]),
    ("OPENSSL_CONF", &["/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf"]),
    ("SSL_CERT_FILE", CERTIFICATES),
    ("CURL_CA_BUNDLE", CERTIFICATES),
    ("VIM", &["/usr/share/vim", "/usr/local/share/vim"]),
    ("MAGIC", &["/usr/share/misc/magic.mgc", "/usr/lib/file/magic.mgc"]),
    ("INPUTRC", &["/etc/inputrc"]),
    ("NMAPDIR", &["/usr/share/nmap", "/usr/local/share/nmap"]),
    ("WIRESHARK_DATA_DIR", &["/usr/share/wireshark", "/usr/local/share/wireshark"]),
    ("GIT_SSL_CAINFO", CERTIFICATES),
    ("GIT_TEMPLATE_DIR", &["/usr/share/git-core/templates", "/usr/local/share/git-core/templates"]),
];
const CERTIFICATES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const TERMINFO: [&str; 4] = ["/etc/terminfo", "/lib/terminfo", "/usr/lib/terminfo", "/usr/share/terminfo"];
/// Modules that a library opens by a path of its own, by their place in a library directory.
const MODULES: [(&str, &str); 3] =
    [("GCONV_PATH", "gconv"), ("OPENSSL_MODULES", "ossl-modules"), ("OPENSSL_ENGINES", "engines-3")];

/// Plugins of programs, by their place in a library directory. Where the host has none, there are none: the
/// program's own path leads to the container, whose plugins would run in it.
const PLUGINS: [(&str, &str); 5] = [
    ("XTABLES_LIBDIR", "xtables"),
    ("IP_LIB_DIR", "ip"),
    ("TC_LIB_DIR", "tc"),
    ("WIRESHARK_PLUGIN_DIR", "wireshark/plugins"),
    // Programs of their own, whose loader would be looked for in the container.
    ("WIRESHARK_EXTCAP_DIR", "wireshark/none"),
];

/// Options by which programs that know no variable are told where their data is: program, option, places.
const OPTIONS: [(&str, &str, &[&str]); 4] = [
    ("gdb", "--data-directory", &["/usr/share/gdb", "/usr/local/share/gdb"]),
    (
        "arp-scan",
        "--ouifile",
        &["/usr/share/arp-scan/ieee-oui.txt", "/usr/local/share/arp-scan/ieee-oui.txt"],
    ),
    ("arp-scan", "--macfile", &["/usr/share/arp-scan/mac-vendor.txt", "/dev/null"]),
    // Of GnuTLS, which knows no variable.
    ("wget", "--ca-certificate", CERTIFICATES),
];

/// The host's tree as the program will see it.
pub struct HostPaths<'a> {
    pub root: &'a Root,
    /// Where a canonical path of the host is to be found.
    pub tree: &'a dyn Fn(&Path) -> PathBuf,
    /// Where the host's libraries are.
    pub libraries: &'a [PathBuf],
    /// Where the kit is, if there is one.
    pub kit: Option<&'a Path>,
}

impl HostPaths<'_> {
    /// What holds for all programs, and is inherited by their children. What the user has set stays.
    pub fn for_all(&self, environment: &mut Environment) {
        for (name, candidates) in DATA {
            if let Some(found) = candidates.iter().find_map(|path| self.existing(Path::new(path))) {
                set(environment, name, found.into_os_string());
            }
        }
        let terminfo: Vec<_> = TERMINFO.iter().filter_map(|path| self.existing(Path::new(path))).collect();
        if !terminfo.is_empty() {
            set(environment, "TERMINFO_DIRS", joined(terminfo));
        }
        for (name, directory) in MODULES {
            let found = self.libraries.iter().filter_map(|library| self.existing(&library.join(directory)));
            if let Some(found) = found.reduce(|first, _| first) {
                set(environment, name, found.into_os_string());
            }
        }
        for (name, directory) in PLUGINS {
            let mut found =
                self.libraries.iter().filter_map(|library| self.existing(&library.join(directory)));
            let none = || (self.tree)(&Path::new("/usr/lib").join(directory));
            set(environment, name, found.next().unwrap_or_else(none).into_os_string());
        }
        self.locale(environment);
        set(environment, "PYTHONNOUSERSITE", "1".into());
        if let Some(kit) = self.kit {
            // What a system's gitconfig names is run, and the container's is at its place.
            set(environment, "GIT_CONFIG_NOSYSTEM", "1".into());
            set(environment, "GIT_EXEC_PATH", kit.join("bin").into_os_string());
            let shell = environment.get(OsStr::new("SHELL")).map(PathBuf::from);
            let shell = shell.as_deref().and_then(Path::file_name).unwrap_or(OsStr::new("sh"));
            environment.insert("SHELL".into(), kit.join("bin").join(shell).into_os_string());
        }
    }

    /// Options that go before all other words of `program`.
    pub fn options(&self, program: &Program) -> Vec<Word> {
        let name = program.file.file_name().unwrap_or_default();
        let mut words = Vec::new();
        for (_, option, places) in OPTIONS.iter().filter(|(known, _, _)| name == *known) {
            if let Some(file) = places.iter().find_map(|place| self.root.canonical(Path::new(place)).ok()) {
                let is_device = file.starts_with("/dev");
                let file = if is_device { Word::Plain(file.into()) } else { Word::Host(file) };
                words.extend([Word::Plain(option.into()), file]);
            }
        }
        words
    }

    /// The archive of locales has no variable; one that is only in there would be missed with a warning.
    fn locale(&self, environment: &mut Environment) {
        let locales = Path::new("/usr/lib/locale");
        let chosen = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| environment.get(OsStr::new(name)));
        let Some(chosen) = chosen.and_then(|chosen| chosen.to_str()) else { return };
        // As setlocale(3) looks for it: en_US.UTF-8 is in en_US.utf8.
        let directory = chosen.replace("UTF-8", "utf8");
        let known = ["", "C", "POSIX", "C.UTF-8", "C.utf8"].contains(&chosen)
            || [chosen, &directory].iter().any(|name| self.root.has(&locales.join(name)));
        if !known {
            environment.insert("LC_ALL".into(), "C.UTF-8".into());
        }
    }

    /// What only this program needs; the same program of another place must not find it.
    pub fn for_program(&self, program: &Program, environment: &mut Environment) {
        let file = program.file.file_name().unwrap_or_default().as_bytes();
        if file.starts_with(b"python")
            && let Some(prefix) = program.file.parent().and_then(Path::parent)
        {
            environment.insert("PYTHONHOME".into(), (self.tree)(prefix).into_os_string());
        }
        if file == b"gdb" {
            // The Python that is in it.
            environment.insert("PYTHONHOME".into(), (self.tree)(Path::new("/usr")).into_os_string());
        }
        if file == b"nmap" && !ProgramPower::ours().capabilities.contains(CapabilitySet::NET_RAW) {
            // As root it takes for granted that it may do all.
            set(environment, "NMAP_UNPRIVILEGED", "1".into());
        }
        if let Some(kit) = self.kit
            && (file == b"node" || file == b"nodejs")
        {
            let first = format!("--require={}", kit.join("node.js").display());
            let given = environment.get(OsStr::new("NODE_OPTIONS")).and_then(|given| given.to_str());
            let given = given.unwrap_or_default();
            if !given.contains(&first) {
                let both = format!("{first} {given}");
                environment.insert("NODE_OPTIONS".into(), both.trim_end().into());
            }
        }
        if file.starts_with(b"perl") {
            let modules = self.perl();
            if !modules.is_empty() {
                set(environment, "PERL5LIB", joined(modules));
            }
        }
    }

    /// Perl's own directories, which are only in its binary: /usr/share/perl/5.36, /usr/lib/ARCH/perl-base, ….
    fn perl(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let share = ["/usr/local/share", "/usr/share", "/usr/lib", "/usr/lib64"].map(PathBuf::from);
        for parent in self.libraries.iter().chain(&share) {
            for name in ["perl5", "perl", "perl-base"] {
                let directory = parent.join(name);
                let below = self.root.names(&directory).into_iter().filter(|name| {
                    name.as_bytes().first().is_some_and(u8::is_ascii_digit)
                        || ["vendor_perl", "core_perl"].iter().any(|known| name == known)
                });
                let mut below: Vec<_> = below.map(|name| directory.join(name)).collect();
                below.sort();
                found.extend(below);
                found.push(directory);
            }
        }
        let mut seen = Vec::new();
        for directory in found.iter().filter_map(|directory| self.existing(directory)) {
            if !seen.contains(&directory) {
                seen.push(directory);
            }
        }
        seen
    }

    fn existing(&self, path: &Path) -> Option<PathBuf> {
        let path = self.root.canonical(path).ok()?;
        Some((self.tree)(&path))
    }
}

/// Takes out what would have the loader load from the wrong root.
pub fn leave_behind(environment: &mut Environment) {
    for name in NOT_TAKEN_ALONG {
        environment.remove(OsStr::new(name));
    }
}

fn set(environment: &mut Environment, name: &str, value: OsString) {
    environment.entry(name.into()).or_insert(value);
}

fn joined(paths: Vec<PathBuf>) -> OsString {
    let paths: Vec<_> = paths.into_iter().map(PathBuf::into_os_string).collect();
    paths.join(OsStr::new(":"))
}
