//! The labels that Linux security modules put on the target, and on the program when it starts.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;

use common::failure::Failure;
use common::process::Process;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// The security modules that label processes and let them choose a label for what they execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    AppArmor,
    SELinux,
}

/// A label, as the kernel gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub module: Module,
    pub text: String,
}

impl Module {
    /// Whether this kernel obeys it.
    pub fn is_on(self) -> bool {
        match self {
            Module::AppArmor => {
                fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|word| word.starts_with(b"Y"))
            }
            // Registered only where it was not switched off at boot; that it is mounted is not needed.
            Module::SELinux => fs::read_to_string("/proc/filesystems")
                .is_ok_and(|kinds| kinds.lines().any(|kind| kind.split('\t').nth(1) == Some("selinuxfs"))),
        }
    }
}

impl Label {
    /// What the module says of the process; `None` where it leaves it alone.
    pub fn of(process: &Process, module: Module) -> Result<Option<Self>, Failure> {
        // Without a directory of its own (Linux 5.8) the files are of whichever module was there first.
        let read = match module {
            Module::AppArmor => {
                process.read("attr/apparmor/current").or_else(|_| process.read("attr/current"))
            }
            Module::SELinux => process.read("attr/current"),
        };
        let text = String::from_utf8(read?).map_err(|error| Failure::failed(module, error))?;
        Ok(Label::parse(module, &text))
    }

    /// AppArmor puts the mode after the name, `docker-default (enforce)`; SELinux ends with a NUL.
    fn parse(module: Module, text: &str) -> Option<Self> {
        let text = text.trim_end_matches(['\0', '\n']);
        let text = match module {
            Module::AppArmor => {
                text.rsplit_once(" (").filter(|_| text.ends_with(')')).map_or(text, |(name, _)| name)
            }
            Module::SELinux => text,
        };
        // To leave a profile of our own for none at all would be a gain.
        let is_none = text.is_empty() || module == Module::AppArmor && text == "unconfined";
        (!is_none).then(|| Label { module, text: text.to_owned() })
    }

    /// What the kernel wants to read.
    fn order(&self) -> Vec<u8> {
        match self.module {
            Module::AppArmor => format!("exec {}", self.text).into_bytes(),
            Module::SELinux => format!("{}\0", self.text).into_bytes(),
        }
    }

    /// Has the calling thread's next execve(2) take it on. `own` is `/proc/thread-self` of a /proc that no
    /// container could have forged.
    pub fn take_on_exec(&self, own: impl AsFd) -> Result<(), Failure> {
        let refused = |error: std::io::Error| Failure::failed(self, error);
        let open = |file| openat(&own, file, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty());
        let file = match self.module {
            Module::AppArmor => open("attr/apparmor/exec").or_else(|_| open("attr/exec")),
            Module::SELinux => open("attr/exec"),
        };
        let file = file.map_err(|errno| refused(errno.into()))?;
        // In one piece: the kernel takes each write for a whole order.
        let order = self.order();
        match File::from(file).write(&order).map_err(refused)? {
            written if written == order.len() => Ok(()),
            _ => Err(refused(std::io::ErrorKind::WriteZero.into())),
        }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Module::AppArmor => "AppArmor",
            Module::SELinux => "SELinux",
        })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} label {}", self.module, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(module: Module, current: &str) -> Option<String> {
        Label::parse(module, current).map(|label| String::from_utf8(label.order()).unwrap())
    }

    #[test]
    fn what_the_kernel_says_of_a_process_becomes_an_order_for_the_next_exec() {
        let selinux = "system_u:system_r:container_t:s0:c1,c2";
        assert_eq!(order(Module::SELinux, &format!("{selinux}\0")), Some(format!("{selinux}\0")));
        assert_eq!(order(Module::AppArmor, "docker-default (enforce)\n").unwrap(), "exec docker-default");
        let stacked = "lxc-c1//&:lxc-c1_<-var-lib-lxc>:unconfined (mixed)\n";
        assert_eq!(
            order(Module::AppArmor, stacked).unwrap(),
            "exec lxc-c1//&:lxc-c1_<-var-lib-lxc>:unconfined"
        );
        assert_eq!(order(Module::AppArmor, "a (b) c (complain)").unwrap(), "exec a (b) c");
    }

    #[test]
    fn no_label_is_no_order() {
        for current in ["unconfined\n", "unconfined", "", "\n"] {
            assert_eq!(order(Module::AppArmor, current), None);
        }
        assert_eq!(order(Module::SELinux, "\0"), None);
    }

    /// A directory that looks like `/proc/thread-self`.
    struct Fake(std::path::PathBuf);

    impl Fake {
        fn with(files: &[&str]) -> Self {
            let name = format!("netns-toolbox-label-{}-{}", std::process::id(), files.len());
            let fake = Fake(std::env::temp_dir().join(name));
            for file in files {
                fs::create_dir_all(fake.0.join(file).parent().unwrap()).unwrap();
                fs::write(fake.0.join(file), "").unwrap();
            }
            fake
        }

        fn takes(&self, module: Module) -> Result<(), Failure> {
            Label { module, text: "x:y".to_owned() }.take_on_exec(File::open(&self.0).unwrap())
        }

        fn text(&self, file: &str) -> String {
            fs::read_to_string(self.0.join(file)).unwrap()
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn each_module_is_told_in_the_file_that_it_reads() {
        let new = Fake::with(&["attr/exec", "attr/apparmor/exec"]);
        new.takes(Module::AppArmor).unwrap();
        assert_eq!((new.text("attr/apparmor/exec"), new.text("attr/exec")), ("exec x:y".into(), "".into()));
        new.takes(Module::SELinux).unwrap();
        assert_eq!(new.text("attr/exec"), "x:y\0");

        let old = Fake::with(&["attr/exec"]);
        old.takes(Module::AppArmor).unwrap();
        assert_eq!(old.text("attr/exec"), "exec x:y");
    }

    #[test]
    fn a_label_that_cannot_be_taken_is_an_error() {
        let without = Fake::with(&["attr/current", "status", "stat"]);
        assert!(without.takes(Module::SELinux).is_err());
        assert!(without.takes(Module::AppArmor).is_err());
    }
}
