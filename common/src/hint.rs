//! Hints: what the user can do next, which people paste into a root shell. Names that come from others are quoted, so
//! that they cannot act there.

use std::fmt::Display;
use std::ops::Deref;

use serde::{Serialize, Serializer};

use crate::output::{is_harmful, quoted};

/// The programs that a hint may run. What begins with one of them is a command, pasted as it stands, and nothing else does.
pub const COMMANDS: [&str; 47] = [
    "add-nic",
    "bridge",
    "cat",
    "chmod",
    "chown",
    "conntrack",
    "cpid",
    "docker",
    "env",
    "findmnt",
    "firewall-cmd",
    "incus",
    "ip",
    "ip6tables",
    "ip6tables-legacy",
    "ip6tables-nft",
    "iptables",
    "iptables-legacy",
    "iptables-nft",
    "kill",
    "ls",
    "lxc",
    "lxc-start",
    "machinectl",
    "modprobe",
    "mount",
    "netns-link",
    "netns-ls",
    "netns-ping",
    "netns-trace",
    "nft",
    "nsenter",
    "nsenter-rs",
    "podman",
    "ps",
    "rm",
    "sh",
    "ss",
    "sudo",
    "sysctl",
    "systemctl",
    "tc",
    "tcpdump",
    "touch",
    "ulimit",
    "umount",
    "unshare",
];

/// What helps: literal text of ours, and arguments that a shell takes for one word each.
///
/// It is a command ([`hint!`](crate::hint!)), which is pasted as it stands; an option that the same command would need
/// ([`same_with!`](crate::same_with!)), which is shown as that command; or a sentence ([`sentence!`](crate::sentence!)), which begins as
/// no command does. There is no way from a `String`: a name that a container, an engine or a file brought is an argument, and an
/// argument is quoted. Where it cannot be pasted even so (control characters, text that is shown in another order, a word that begins
/// as an option does), there is no hint.
///
/// ```
/// # use common::{failure::Failure, hint};
/// Failure::no("web", "is paused").hint(hint!("docker unpause {}", "web"));
/// ```
/// ```compile_fail,E0277
/// # use common::failure::Failure;
/// Failure::no("web", "is paused").hint(format!("docker unpause {}", "web"));
/// ```
/// ```compile_fail,E0080
/// # use common::{failure::Failure, hint};
/// let name = "web";
/// Failure::no("web", "is paused").hint(hint!("docker unpause {name}"));
/// ```
/// ```compile_fail,E0080
/// # use common::{failure::Failure, hint};
/// Failure::no("web", "is paused").hint(hint!("unpause it: docker unpause {}", "web"));
/// ```
/// ```compile_fail,E0080
/// # use common::{failure::Failure, sentence};
/// Failure::no("web", "is paused").hint(sentence!("docker unpause {} would end that", "web"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    text: String,
    /// An option, which the command that was typed would need.
    is_option: bool,
}

impl Hint {
    fn new(text: String) -> Hint {
        Hint { text, is_option: false }
    }

    /// The words of a command, each of them quoted; options may be among them, because somebody typed them.
    pub fn words(words: &[impl Display]) -> Option<Hint> {
        let words: Vec<String> = words.iter().map(|word| word.as_part(false)).collect::<Option<_>>()?;
        Some(Hint::new(words.join(" ")))
    }

    /// The hint of a child of ours, which came through a pipe that no program but ours has.
    pub fn relayed(hint: &str) -> Option<Hint> {
        let is_hint = !hint.is_empty() && !hint.chars().any(|c| c == '\n' || is_harmful(c));
        is_hint.then(|| Hint::new(hint.to_owned()))
    }

    /// An option as a line of a TOML file: `--bridge br0` as `bridge = 'br0'`. `None` of what is none, and of a value that cannot be
    /// written so. A shell takes such a line for words without a meaning, too.
    pub fn as_toml(&self) -> Option<Hint> {
        let option = self.text.strip_prefix("--").filter(|_| self.is_option)?;
        let Some((key, value)) = option.split_once([' ', '=']) else {
            return Some(Hint::new(format!("{option} = true")));
        };
        let value = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let value = if is_number { value.to_owned() } else { format!("'{value}'") };
        (value.matches('\'').count() <= 2).then(|| Hint::new(format!("{key} = {value}")))
    }

    /// Whether it is an option that the command that was typed would need.
    pub fn is_option(&self) -> bool {
        self.is_option
    }
}

impl Serialize for Hint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Deref for Hint {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq<&str> for Hint {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}

/// What a failure takes for its hint.
pub trait IntoHint {
    /// The hint, if there is one.
    fn into_hint(self) -> Option<Hint>;
}

impl IntoHint for Hint {
    fn into_hint(self) -> Option<Hint> {
        Some(self)
    }
}

impl IntoHint for Option<Hint> {
    fn into_hint(self) -> Option<Hint> {
        self
    }
}

/// Words of ours in a hint, which are several for a shell too: `ip -6`.
#[derive(Debug, Clone, Copy)]
pub struct Verbatim(pub &'static str);

/// What fills a `{}` of [`hint!`](crate::hint!): another hint as it stands, or anything else as one word of a shell.
pub trait HintPart {
    /// The text, or `None` where it cannot be pasted. `begins` says that a word begins here.
    fn as_part(&self, begins: bool) -> Option<String>;
}

impl<T: Display> HintPart for T {
    fn as_part(&self, begins: bool) -> Option<String> {
        let text = self.to_string();
        let is_option = begins && text.starts_with('-');
        let is_odd = text.chars().any(|c| c == '\n' || is_harmful(c));
        (!is_option && !is_odd).then(|| quoted(&text))
    }
}

impl HintPart for Hint {
    fn as_part(&self, _: bool) -> Option<String> {
        Some(self.text.clone())
    }
}

impl HintPart for &Hint {
    fn as_part(&self, _: bool) -> Option<String> {
        Some(self.text.clone())
    }
}

impl HintPart for Verbatim {
    fn as_part(&self, _: bool) -> Option<String> {
        Some(self.0.to_owned())
    }
}

/// The [`Hint`] of a literal that is a command, in which each `{}` is an argument: see [`HintPart`]. `None` where one cannot be pasted.
///
/// `{name}` is no argument here: the compiler refuses it, a `{}` inside of quotes, and a literal that does not begin with one of
/// [`COMMANDS`] or with a `{}`, which is one.
#[macro_export]
macro_rules! hint {
    ($template:literal $(, $part:expr)* $(,)?) => {
        $crate::hint_of!($crate::hint::HintKind::Command, $template $(, $part)*)
    };
}

/// The [`Hint`] of a literal that is a sentence: the compiler refuses one that begins as a command or an option does. See [`hint!`](crate::hint!).
#[macro_export]
macro_rules! sentence {
    ($template:literal $(, $part:expr)* $(,)?) => {
        $crate::hint_of!($crate::hint::HintKind::Sentence, $template $(, $part)*)
    };
}

/// The [`Hint`] of a literal that is an option: it is shown as the command that was typed, with that option. See [`hint!`](crate::hint!).
#[macro_export]
macro_rules! same_with {
    ($template:literal $(, $part:expr)* $(,)?) => {
        $crate::hint_of!($crate::hint::HintKind::Option, $template $(, $part)*)
    };
}

/// What the three have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! hint_of {
    ($kind:expr, $template:literal $(, $part:expr)*) => {{
        const _: () = $crate::hint::check($kind, $template, <[&str]>::len(&[$(stringify!($part)),*]));
        $crate::hint::fill($kind, $template, &[$(&$part as &dyn $crate::hint::HintPart),*])
    }};
}

/// What a literal is.
#[derive(Debug, Clone, Copy)]
pub enum HintKind {
    /// `ip link set {} up`
    Command,
    /// `run it on the host`
    Sentence,
    /// `--gateway {}`
    Option,
}

/// What the macros have the compiler check.
pub const fn check(kind: HintKind, template: &str, parts: usize) {
    let bytes = template.as_bytes();
    assert!(!bytes.is_empty(), "a hint says something");
    match kind {
        HintKind::Command => {
            assert!(bytes[0] == b'{' || begins_as_command(bytes), "a command: see COMMANDS, or sentence!");
        }
        HintKind::Sentence => {
            assert!(bytes[0].is_ascii_lowercase(), "a sentence begins with a word of its own");
            assert!(!begins_as_command(bytes), "a sentence that looks like a command: see COMMANDS");
        }
        HintKind::Option => assert!(bytes[0] == b'-', "an option"),
    }
    let (mut at, mut holes, mut is_quoted) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'{' => {
                assert!(at + 1 < bytes.len() && bytes[at + 1] == b'}', "other braces than the two of a hole");
                assert!(!is_quoted, "a hole within quotes: it brings its own");
                holes += 1;
                at += 1;
            }
            b'}' => panic!("other braces than the two of a hole"),
            b'\'' | b'"' => is_quoted = !is_quoted,
            _ => {}
        }
        at += 1;
    }
    assert!(holes == parts, "not one hole for each argument");
}

/// Whether the first word is one of [`COMMANDS`].
const fn begins_as_command(text: &[u8]) -> bool {
    let mut end = 0;
    while end < text.len() && text[end] != b' ' {
        end += 1;
    }
    let mut which = 0;
    while which < COMMANDS.len() {
        let command = COMMANDS[which].as_bytes();
        let mut same = 0;
        while same < end && same < command.len() && command[same] == text[same] {
            same += 1;
        }
        if same == end && same == command.len() {
            return true;
        }
        which += 1;
    }
    false
}

/// What the macros do.
pub fn fill(kind: HintKind, template: &'static str, parts: &[&dyn HintPart]) -> Option<Hint> {
    let mut literals = template.split("{}");
    let mut text = literals.next().unwrap_or_default().to_owned();
    for (part, literal) in parts.iter().zip(literals) {
        let begins = text.is_empty() || text.ends_with(|c: char| c.is_whitespace());
        text += &part.as_part(begins)?;
        text += literal;
    }
    Some(Hint { text, is_option: matches!(kind, HintKind::Option) })
}

/// Several words, as in `a or b or c`: each of them quoted; `None` where one of them cannot be pasted.
pub fn any_of(words: &[impl Display]) -> Option<Hint> {
    let words: Vec<String> = words.iter().map(|word| word.as_part(true)).collect::<Option<_>>()?;
    Some(Hint::new(words.join(" or ")))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn an_argument_is_one_word_of_a_shell() {
        let hint = |name: &str| hint!("docker unpause {}", name);
        assert_eq!(hint("web-1.a").unwrap(), "docker unpause web-1.a");
        assert_eq!(hint("p;$(touch /tmp/x)").unwrap(), "docker unpause 'p;$(touch /tmp/x)'");
        assert_eq!(hint("it's").unwrap(), r"docker unpause 'it'\''s'");
        assert_eq!(hint("").unwrap(), "docker unpause ''");
        assert_eq!(hint("~root").unwrap(), "docker unpause '~root'");
        assert_eq!(sentence!("use netns:{}", "a b").unwrap(), "use netns:'a b'");
    }

    #[test]
    fn what_cannot_be_pasted_leaves_no_hint() {
        for name in ["a\nb", "a\rb", "\u{1b}[2J", "a\u{202e}b", "a\u{200b}b", "--host=tcp://x", "-H"] {
            assert_eq!(hint!("docker unpause {}", name), None, "{name:?}");
        }
        assert_eq!(same_with!("--{}", "-a").unwrap(), "---a", "it begins no word");
    }

    #[test]
    fn a_hint_within_a_hint_stays_as_it_is() {
        let inner = same_with!("-n {}", "a b").unwrap();
        assert_eq!(hint!("add-nic {} eth0", inner).unwrap(), "add-nic -n 'a b' eth0");
        assert_eq!(any_of(&["a"]).unwrap(), "a");
        assert_eq!(any_of(&["a", "b c", "d"]).unwrap(), "a or 'b c' or d");
    }

    #[test]
    fn an_option_is_a_line_of_a_file() {
        let line = |option: Option<Hint>| option.unwrap().as_toml().map(|line| line.to_string());
        assert_eq!(line(same_with!("--replace")).unwrap(), "replace = true");
        assert_eq!(line(same_with!("--mtu {}", 1400)).unwrap(), "mtu = 1400");
        assert_eq!(line(same_with!("--nat=all")).unwrap(), "nat = 'all'");
        assert_eq!(line(same_with!("--sysctl a.IF.b=2")).unwrap(), "sysctl = 'a.IF.b=2'");
        assert_eq!(line(same_with!("--bridge {}", "a$(b) c")).unwrap(), "bridge = 'a$(b) c'");
        assert_eq!(line(same_with!("--bridge {}", "it's")), None);
        assert_eq!(line(hint!("ip link")), None);
    }

    /// What a shell prints for the line.
    fn pasted(line: &str) -> String {
        let ran = Command::new("/bin/sh").args(["-c", line]).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    }

    #[test]
    fn a_shell_does_nothing_but_the_command_meant() {
        for name in
            ["$(echo X)", "`echo X`", "a;echo X", "a&&echo X", "a|cat", "'$(echo X)'", "a>/dev/null", "*"]
        {
            let line = hint!("{} {}", Verbatim("echo"), name).unwrap();
            assert_eq!(pasted(&line), format!("{name}\n"), "{:?}", &*line);
            assert_ne!(
                pasted(&format!("echo {name}")),
                format!("{name}\n"),
                "it is an attack without quotes"
            );
        }
    }
}
