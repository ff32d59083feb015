//! Hints: what the user can do next, which people paste into a root shell. Names that come from others are quoted, so
//! that they cannot act there.

use std::fmt::Display;
use std::ops::Deref;

use serde::Serialize;

use crate::output::{is_harmful, quoted};

/// What helps: literal text of ours, and arguments that a shell takes for one word each.
///
/// It is made from a literal, or by [`hint!`](crate::hint!). There is no way from a `String`: a name that a container,
/// an engine or a file brought is an argument, and an argument is quoted. Where it cannot be pasted even so
/// (control characters, text that is shown in another order, a word that begins as an option does), there is no hint.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Hint(String);

impl Hint {
    /// Text of ours.
    pub fn say(text: &'static str) -> Hint {
        Hint(text.to_owned())
    }

    /// The words of a command, each of them quoted; options may be among them, because somebody typed them.
    pub fn words(words: &[impl Display]) -> Option<Hint> {
        let words: Vec<String> = words.iter().map(|word| word.as_part(false)).collect::<Option<_>>()?;
        Some(Hint(words.join(" ")))
    }

    /// The hint of a child of ours, which came through a pipe that no program but ours has.
    pub fn relayed(hint: &str) -> Option<Hint> {
        (!hint.is_empty() && !hint.chars().any(|c| c == '\n' || is_harmful(c))).then(|| Hint(hint.to_owned()))
    }
}

impl Deref for Hint {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<&str> for Hint {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// What a failure takes for its hint.
pub trait IntoHint {
    /// The hint, if there is one.
    fn into_hint(self) -> Option<Hint>;
}

impl IntoHint for &'static str {
    fn into_hint(self) -> Option<Hint> {
        Some(Hint::say(self))
    }
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
        Some(self.0.clone())
    }
}

impl HintPart for &Hint {
    fn as_part(&self, _: bool) -> Option<String> {
        Some(self.0.clone())
    }
}

/// The [`Hint`] of a literal, in which each `{}` is an argument: see [`HintPart`]. `None` where one cannot be pasted.
///
/// `{name}` is no argument here: the compiler refuses it, and a `{}` inside of quotes.
#[macro_export]
macro_rules! hint {
    ($template:literal $(, $part:expr)* $(,)?) => {{
        const _: () = $crate::hint::check($template, <[&str]>::len(&[$(stringify!($part)),*]));
        $crate::hint::fill($template, &[$(&$part as &dyn $crate::hint::HintPart),*])
    }};
}

/// What [`hint!`](crate::hint!) has the compiler check.
pub const fn check(template: &str, parts: usize) {
    let bytes = template.as_bytes();
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

/// What [`hint!`](crate::hint!) does.
pub fn fill(template: &'static str, parts: &[&dyn HintPart]) -> Option<Hint> {
    let mut literals = template.split("{}");
    let mut text = literals.next().unwrap_or_default().to_owned();
    for (part, literal) in parts.iter().zip(literals) {
        let begins = text.is_empty() || text.ends_with(|c: char| c.is_whitespace());
        text += &part.as_part(begins)?;
        text += literal;
    }
    Some(Hint(text))
}

/// Several words, as in `a or b or c`: each of them quoted; `None` where one of them cannot be pasted.
pub fn any_of(words: &[impl Display]) -> Option<Hint> {
    let words: Vec<String> = words.iter().map(|word| word.as_part(true)).collect::<Option<_>>()?;
    Some(Hint(words.join(" or ")))
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
        assert_eq!(hint!("netns:{}", "a b").unwrap(), "netns:'a b'");
    }

    #[test]
    fn what_cannot_be_pasted_leaves_no_hint() {
        for name in ["a\nb", "a\rb", "\u{1b}[2J", "a\u{202e}b", "a\u{200b}b", "--host=tcp://x", "-H"] {
            assert_eq!(hint!("docker unpause {}", name), None, "{name:?}");
        }
        assert_eq!(hint!("--{}", "-a").unwrap(), "---a", "it begins no word");
    }

    #[test]
    fn a_hint_within_a_hint_stays_as_it_is() {
        let inner = hint!("-n {}", "a b").unwrap();
        assert_eq!(hint!("add-nic {} and again", inner).unwrap(), "add-nic -n 'a b' and again");
        assert_eq!(any_of(&["a"]).unwrap(), "a");
        assert_eq!(any_of(&["a", "b c", "d"]).unwrap(), "a or 'b c' or d");
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
            let line = hint!("echo {}", name).unwrap();
            assert_eq!(pasted(&line), format!("{name}\n"), "{:?}", &*line);
            assert_ne!(
                pasted(&format!("echo {name}")),
                format!("{name}\n"),
                "it is an attack without quotes"
            );
        }
    }
}
