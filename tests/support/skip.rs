//! Tests that cannot run here: counted, named, and an error where the machine could have run them.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a test needs and this machine has not.
#[derive(Debug, PartialEq)]
pub enum Missing {
    /// A package, a privilege, a setting: where the tests are prepared for (`CI=true`), its absence is a failure.
    Fixable(String),
    /// A kernel or an architecture that is as it is.
    ForGood(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Fixable(reason) => write!(f, "fixable: {reason}"),
            Missing::ForGood(reason) => f.write_str(reason),
        }
    }
}

/// Gives the value of a `Result<T, Missing>`, or records the test as skipped and returns from it.
///
/// ```
/// use netns_toolbox_test_support::{lab::Lab, need};
///
/// fn a_test() {
///     let lab = need!(Lab::new());
///     # let _ = lab;
/// }
/// ```
#[macro_export]
macro_rules! need {
    ($wanted:expr) => {
        match $wanted {
            Ok(found) => found,
            Err(missing) => {
                // Not the thread's name, which is "main" under --test-threads=1.
                fn here() {}
                let test = std::any::type_name_of_val(&here).trim_end_matches("::here");
                $crate::skip::skipped(test, &missing);
                return;
            }
        }
    };
}
pub use crate::need;

/// Records as the environment wants it that `test` did not run, and says so.
pub fn skipped(test: &str, missing: &Missing) {
    Record::from_environment().skip(test, missing);
    // Straight to stderr: what eprintln! says in a test that passes is never shown.
    let _ = writeln!(io::stderr(), "skipped {test}: {missing}");
}

/// Where skips are written down, and whether those that could be avoided are tolerated.
pub struct Record {
    /// `NETNS_TOOLBOX_SKIPS`: one line `TEST<TAB>REASON` for each.
    pub file: Option<PathBuf>,
    /// `CI=true`.
    pub strict: bool,
}

impl Record {
    /// What `NETNS_TOOLBOX_SKIPS` and `CI` ask for.
    pub fn from_environment() -> Record {
        Record {
            file: std::env::var_os("NETNS_TOOLBOX_SKIPS").filter(|path| !path.is_empty()).map(PathBuf::from),
            strict: std::env::var_os("CI").is_some_and(|value| value == "true"),
        }
    }

    /// Records that `test` did not run. Panics if it could have and must have.
    pub fn skip(&self, test: &str, missing: &Missing) {
        assert!(!(self.strict && matches!(missing, Missing::Fixable(_))), "{test} was not run: {missing}");
        if let Some(file) = &self.file {
            append(file, test, missing).unwrap_or_else(|err| panic!("{}: {err}", file.display()));
        }
    }
}

/// One write in append mode, so that lines of tests in parallel do not mix.
fn append(file: &Path, test: &str, missing: &Missing) -> io::Result<()> {
    let one_line = missing.to_string().replace(['\n', '\t'], " ");
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?
        .write_all(format!("{test}\t{one_line}\n").as_bytes())
}

/// The path of a program that a test wants as an observer; `package` is what to install to have it.
pub fn program(name: &str, package: &str) -> Result<PathBuf, Missing> {
    let path = crate::tools::path();
    let found = path.split(':').map(|dir| Path::new(dir).join(name)).find(|file| file.is_file());
    found.ok_or_else(|| Missing::Fixable(format!("{name} is not installed (package {package})")))
}
