//! Command lines that people type out of habit, of docker exec and of other tools, and the ones that they meant.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;

use common::failure::Failure;
use common::hint::Hint;
use common::namespace::NamespaceKind;
use common::sentence;
use common::target::{Name, Target};
use common::typed::for_job;

use crate::plan::Plan;
use crate::status::from_the_root;
use crate::tool::TOOL;
use crate::wanted::{CommandLine, Wanted, words};

const ON_THE_HOST: &str = "no namespace was requested (-n, -a, ...): the program runs on the host";
const NEITHER: &str =
    "the program sees the host's files and network: -n enters the container's network, -a all its namespaces";
const SHARED: &str = "the program sees the host's files, and the container uses the host's network";

/// Refuses what would run on the host though a container is named: `nsenter-rs -t nginx reboot`. A PID is a drop-in for
/// util-linux's, and a control group is a place of the container's, too.
pub fn refuse(wanted: &Wanted) -> Result<(), Failure> {
    let Some(target) = wanted.target.as_ref().filter(|target| !is_pid(target)) else { return Ok(()) };
    if !wanted.namespaces.is_empty() || wanted.root.is_some() || wanted.join_cgroup {
        return Ok(());
    }
    let what = "no namespace was requested, and the program would run on the host";
    let with = |option: &str| meant(&wanted.command_line, &[option.into()]);
    let (options, rest) = (wanted.command_line.options(), wanted.command_line.program());
    let failure = Failure::failed(format_args!("-t {target}"), what);
    let all = if wanted.host_tools { "all of the container but programs" } else { "all of the container" };
    Err(match target {
        _ if dockers(options, rest).is_some() => failure.hint(dockers(options, rest)),
        Target::NamedNetns(_) | Target::NetnsFile(_) => failure.hint(with("-n")),
        _ => failure
            .and_lines([format!(
                "{TOOL}: -n is the network of the container for a program of the host, -a {all}"
            )])
            .hint(with("-n"))
            .or_hint(with("-a")),
    })
}

/// The line for a user that may not know that PROGRAM sees the host. Of a PID nothing more is said than that
/// nothing was asked for: for it we stand in for util-linux's.
pub fn note(wanted: &Wanted, plan: &Plan) -> Option<&'static str> {
    let is_named = wanted.target.as_ref().is_some_and(|target| !is_pid(target));
    let has_network = plan.joins(NamespaceKind::Net);
    match (wanted.namespaces.is_empty(), is_named) {
        _ if plan.changes_root() => None,
        (true, _) => Some(ON_THE_HOST),
        (false, true) if !has_network && wanted.namespaces.contains_key(&NamespaceKind::Net) => Some(SHARED),
        (false, true) if !has_network => Some(NEITHER),
        _ => None,
    }
}

fn is_pid(target: &Target) -> bool {
    matches!(target, Target::Process { .. })
}

/// What helps where the program that was typed cannot be run.
pub fn hint(error: &io::Error, plan: &Plan, typed: &CommandLine) -> Option<Hint> {
    let (options, program) = (typed.options(), typed.program());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => slip(options, program),
        _ => None,
    }
    .or_else(|| match error.kind() {
        io::ErrorKind::NotFound if plan.looks_up_elsewhere() => from_the_root(),
        io::ErrorKind::NotFound => forgotten_target(program, plan),
        _ => None,
    })
}

/// What was typed, in the grammar of another tool.
fn slip(options: &[OsString], program: &[OsString]) -> Option<Hint> {
    let (first, rest) = program.split_first()?;
    let options = match options.split_last() {
        Some((last, before)) if last == "--" => before,
        _ => options,
    };
    let name = first.to_str()?;
    if rest.is_empty() && name.contains(char::is_whitespace) {
        return in_quotes(options, name);
    }
    let last = options.last()?.to_str()?;
    let takes = |short: char, long: &str| match last.strip_prefix('-') {
        Some(_) if last == long => true,
        Some(bundle) => !bundle.starts_with('-') && !bundle.contains(['=', '/']) && bundle.ends_with(short),
        None => false,
    };
    let is_path = name.starts_with('/');
    let value = [
        ('m', "--mount"),
        ('n', "--net"),
        ('p', "--pid"),
        ('i', "--ipc"),
        ('C', "--cgroup"),
        ('U', "--user"),
        ('T', "--time"),
        ('r', "--root"),
    ];
    if takes('w', "--wd") && is_path {
        return sentence!("use -W {} for a path in the container, -w={} for one on the host", name, name);
    }
    if takes('u', "--uts") && !is_path {
        return sentence!("use -S with a user ID to set the user (-S 0 is root): -u is --uts, the host name");
    }
    if takes('e', "--env") && name.contains('=') {
        // Options may follow: docker's -e takes a word.
        let (more, program) = rest.split_at(words::options(rest));
        let variable = ["env".into(), first.clone()];
        let command = typed_again(&[options, more].concat(), &[&variable, program].concat())?;
        return Some(command);
    }
    let (short, _) = value.into_iter().find(|(short, long)| is_path && takes(*short, long))?;
    sentence!("write the value after an equals sign: -{}={}", short, name)
}

/// What helps where a TARGET is needed and none was given: it may have been typed after PROGRAM, or without -t.
pub fn without_target(typed: &CommandLine, failure: Failure) -> Failure {
    let (options, program) = (typed.options(), typed.program());
    match (!program.is_empty())
        .then(|| slip(options, program).or_else(|| named_first(options, program)))
        .flatten()
    {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// `nsenter-rs -n web ip addr`.
fn named_first(options: &[OsString], program: &[OsString]) -> Option<Hint> {
    let (name, rest) = program.split_first()?;
    let container = name.to_str()?.parse::<Name>().ok()?;
    // With one word alone it is a program rather.
    if rest.is_empty() {
        return None;
    }
    let words = [&["-t".into(), name.clone()], options].concat();
    sentence!("if {} is a container: {}", container, typed_again(&words, rest)?)
}

/// `nsenter-rs -ti web sh`, and `nsenter-rs exec -it web sh`: what docker takes.
fn dockers(options: &[OsString], program: &[OsString]) -> Option<Hint> {
    let is_flag = |word: &&OsString| ["-i", "-t", "-it", "-ti"].iter().any(|flag| *word == flag);
    let rest = match (options, program.split_first()) {
        ([flag], _) if flag == "-ti" => program,
        ([], Some((first, rest))) if first == "exec" => &rest[rest.iter().take_while(is_flag).count()..],
        _ => return None,
    };
    let (name, rest) = rest.split_first()?;
    name.to_str()?.parse::<Name>().ok()?;
    let words = ["-t".into(), name.clone(), "-a".into()];
    typed_again(&words, rest)
}

/// `nsenter-rs -t web -n "ip -br a"`.
fn in_quotes(options: &[OsString], line: &str) -> Option<Hint> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c.is_whitespace() || "_@%+=:,./-".contains(c);
    if line.chars().all(is_plain) {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        typed_again(options, &words)
    } else {
        typed_again(options, &["sh".into(), "-c".into(), line.into()])
    }
}

/// What began with a container's name had -t forgotten.
fn forgotten_target(program: &[OsString], plan: &Plan) -> Option<Hint> {
    let (name, rest) = program.split_first()?;
    if !plan.is_nothing {
        return None;
    }
    if let Some(hint) = dockers(&[], program) {
        return Some(hint);
    }
    if let Some(hint) = name.to_str().filter(|_| rest.is_empty()).and_then(for_job) {
        return Some(hint);
    }
    let container = name.to_str()?.parse::<Name>().ok()?;
    let has_options = rest.first().is_some_and(|word| word.as_bytes().starts_with(b"-"));
    let options: &[&str] = if has_options { &[] } else { &["-n"] };
    let words = ["-t".into(), name.clone()].into_iter().chain(options.iter().map(OsString::from));
    let words: Vec<OsString> = words.chain(rest.iter().cloned()).collect();
    sentence!("if {} is a container: {}", container, command(&words)?)
}

/// The command that was typed, with `more` options.
fn meant(typed: &CommandLine, more: &[OsString]) -> Option<Hint> {
    let options = typed.options();
    let end = options.iter().rposition(|word| word != "--").map_or(0, |last| last + 1);
    typed_again(&[&options[..end], more].concat(), typed.program())
}

fn typed_again(options: &[OsString], program: &[OsString]) -> Option<Hint> {
    command(&[options, program].concat())
}

/// What is no text cannot be pasted.
fn command(words: &[OsString]) -> Option<Hint> {
    let words = words.iter().map(|word| word.to_str()).collect::<Option<Vec<_>>>()?;
    Hint::words(&[&[TOOL], &words[..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &[&str]) -> Option<String> {
        let typed: Vec<OsString> = line.iter().map(OsString::from).collect();
        let (options, program) = typed.split_at(words::options(&typed));
        slip(options, program).map(|hint| hint.to_string())
    }

    #[test]
    fn a_line_in_quotes_is_several_words_or_a_shells() {
        let hint = typed(&["-t", "web", "-n", "ip -br a"]).unwrap();
        assert_eq!(hint, "nsenter-rs -t web -n ip -br a");
        let hint = typed(&["-t", "web", "-n", "ss -tln | grep :80"]).unwrap();
        assert_eq!(hint, "nsenter-rs -t web -n sh -c 'ss -tln | grep :80'");
        let hint = typed(&["-tweb", "-a", "--", "echo 'x'"]).unwrap();
        assert_eq!(hint, r"nsenter-rs -tweb -a sh -c 'echo '\''x'\'''");
        assert_eq!(typed(&["-t", "web", "-n", "ip", "-br a"]), None);
    }

    #[test]
    fn what_docker_takes_leads_to_the_command_of_ours() {
        let all = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for line in ["-ti web sh", "exec web sh", "exec -it web sh", "exec -i -t web sh"] {
            let typed = all(line);
            let (options, program) = typed.split_at(words::options(&typed));
            let hint = dockers(options, program).unwrap();
            assert_eq!(hint, "nsenter-rs -t web -a sh", "{line}");
        }
        for line in ["-t i web sh", "-ti -n web sh", "exec", "run web sh"] {
            let typed = all(line);
            let (options, program) = typed.split_at(words::options(&typed));
            assert_eq!(dockers(options, program), None, "{line}");
        }
        let hint = named_first(&all("-n"), &all("web ip addr")).unwrap();
        assert_eq!(hint, "if web is a container: nsenter-rs -t web -n ip addr");
        assert_eq!(named_first(&all("-n"), &all("ip")), None);
    }

    #[test]
    fn what_follows_an_option_without_its_sign_was_meant_for_it() {
        for (line, says) in [
            (&["-t", "web", "-a", "-w", "/tmp", "pwd"][..], "-W /tmp for a path in the container, -w=/tmp"),
            (&["-t", "web", "-aw", "/tmp", "pwd"], "-W /tmp"),
            (&["-n", "/run/netns/blue", "ip", "a"], "-n=/run/netns/blue"),
            (&["-r", "/x y", "sh"], "-r='/x y'"),
            (&["-t", "web", "-u", "root", "id"], "-S 0 is root"),
            (&["-t", "web", "-a", "-e", "A=1", "sh"], "nsenter-rs -t web -a -e env 'A=1' sh"),
            (&["-t", "web", "-e", "A=1", "-a", "sh"], "nsenter-rs -t web -e -a env 'A=1' sh"),
        ] {
            let hint = typed(line).unwrap_or_else(|| panic!("{line:?}"));
            assert!(hint.contains(says), "{line:?}: {hint}");
        }
        for line in
            [&["-t", "web", "-n", "ipp", "a"][..], &["-w=/x", "/y"], &["-W", "/x", "/y"], &["-t", "u", "x"]]
        {
            assert_eq!(typed(line), None, "{line:?}");
        }
    }
}
