//! Text for terminals: nothing that came from a container, an engine or a file name may drive one.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::time::Duration;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

/// `text` with everything that a terminal would obey, or that would show it in another order, spelled out:
/// control characters (also the C1 ones) and bidirectional overrides become `\u{1b}`; line feeds stay.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmful(c) {
            // Writing to a String cannot fail.
            let _ = write!(clean, "\\u{{{:x}}}", u32::from(c));
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Like [`harmless`] for a value that must stay on one line: line feeds are spelled out too.
pub fn one_line(text: &str) -> Cow<'_, str> {
    match harmless(text) {
        clean if clean.contains('\n') => Cow::Owned(clean.replace('\n', "\\n")),
        clean => clean,
    }
}

/// What was typed, as an error quotes it: on one line, and no more of it than it takes to recognize it.
pub fn quotable(text: &str) -> String {
    const LENGTH: usize = 80;
    one_line(&shortened(text, LENGTH)).into_owned()
}

/// No more of `text` than so many characters.
pub fn shortened(text: &str, length: usize) -> Cow<'_, str> {
    match text.char_indices().nth(length) {
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// As a shell takes it for one word.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@+%,=".contains(c);
    match word.chars().all(plain) && !word.is_empty() && !sets_a_variable(word) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Whether a shell could take it for `NAME=value`, or zsh for `=command`.
fn sets_a_variable(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '+')
    })
}

/// A time with its unit, `300ms`, in ASCII.
pub fn time(time: Duration) -> String {
    format!("{time:?}").replace('\u{b5}', "u")
}

/// How many columns the terminal has that standard output goes to; `None` where it goes to none.
pub fn columns() -> Option<usize> {
    let (terminal_size::Width(width), _) = terminal_size::terminal_size()?;
    io::stdout().is_terminal().then_some(width.into())
}

/// A sentence for a terminal of so many columns: in lines that end between words, those after the first with `indent` blanks
/// before them. A pipe gets one line.
pub fn wrapped(sentence: &str, columns: Option<usize>, indent: usize) -> String {
    let Some(limit) = columns else { return sentence.to_owned() };
    let (mut text, mut width, mut has_word) = (String::new(), 0, false);
    for (at, word) in sentence.split(' ').enumerate() {
        let length = word.chars().count();
        if has_word && width + 1 + length > limit {
            text += "\n";
            text += &" ".repeat(indent);
            width = indent;
        } else if at > 0 {
            text += " ";
            width += 1;
        }
        text += word;
        width += length;
        has_word |= length > 0;
    }
    text
}

/// A table without any lines, in which no word is ever broken: a pipe gets all of it, and for a narrow terminal
/// [`leave_out`] hides columns. The columns `numbers` are aligned to the right.
///
/// ```
/// let mut table = common::output::table(["NAME", "PID"], &[1]);
/// table.add_row(["web", "686"]);
/// table.add_row(["database", "1772"]);
/// assert_eq!(table.to_string().lines().nth(1).unwrap().trim_end(), "web        686");
/// ```
pub fn table<'a>(header: impl IntoIterator<Item = &'a str>, numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.into_iter().collect::<Vec<_>>());
    // Any other arrangement gives a column that has no room left the width of a letter, and shows its words in letters.
    table.set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = columns().and_then(|width| u16::try_from(width).ok()) {
        table.set_width(width);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The same for columns of sentences, which are shown in several lines on a narrow terminal; the first `whole` columns, whose
/// words people copy, stay in one piece.
pub fn table_of_sentences<'a>(
    header: impl IntoIterator<Item = &'a str>,
    numbers: &[usize],
    whole: usize,
) -> Table {
    let mut table = table(header, numbers);
    if table.width().is_some() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for column in table.column_iter_mut().take(whole) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// Hides `columns` of a table that is wider than its terminal, one after the other, until the rest fits; after that its lines
/// run over. Whole words in a line that runs over are worth more than all of them in pieces.
pub fn leave_out(table: &mut Table, columns: &[usize]) {
    const PADDING: usize = 2;
    let Some(limit) = table.width().map(usize::from) else { return };
    let widths: Vec<usize> = table.column_max_content_widths().into_iter().map(usize::from).collect();
    let mut is_shown = vec![true; widths.len()];
    // What follows the last column is cut off.
    let width = |is_shown: &[bool]| {
        let shown = widths.iter().zip(is_shown).filter(|(_, is_shown)| **is_shown);
        shown.map(|(content, _)| content + PADDING).sum::<usize>().saturating_sub(PADDING)
    };
    for &at in columns {
        if width(&is_shown) <= limit {
            return;
        }
        if let Some(column) = table.column_mut(at) {
            column.set_constraint(ColumnConstraint::Hidden);
            is_shown[at] = false;
        }
    }
}

/// Whether a terminal would obey `c`, or show others in another order because of it.
pub fn is_harmful(c: char) -> bool {
    // Bidirectional marks and overrides; separators of lines; and what takes no room, so that two names look like one.
    let is_unseen = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    (c.is_control() && c != '\n') || is_unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(harmless("nginx (exited)\nhint: größer"), Cow::Borrowed(_)));
    }

    #[test]
    fn escape_sequences_are_spelled_out() {
        assert_eq!(harmless("a\x1b[2Jb\u{9b}c\rd\u{202e}e"), "a\\u{1b}[2Jb\\u{9b}c\\u{d}d\\u{202e}e");
    }

    #[test]
    fn one_line_has_one_line() {
        assert_eq!(one_line("a\nb\tc"), "a\\nb\\u{9}c");
    }

    #[test]
    fn a_table_that_is_too_wide_loses_columns_in_their_order_and_breaks_no_word() {
        let shown = |width| {
            let mut table = table(["NAME", "IMAGE", "STARTED"], &[]);
            table.add_row(["nginx", "docker.io/nginx", "3 minutes ago"]);
            table.set_width(width);
            leave_out(&mut table, &[1, 2]);
            table.trim_fmt()
        };
        assert_eq!(shown(37), "NAME   IMAGE            STARTED\nnginx  docker.io/nginx  3 minutes ago");
        assert_eq!(shown(36), "NAME   STARTED\nnginx  3 minutes ago");
        assert_eq!(shown(20), shown(36));
        for narrow in [19, 5, 4, 1] {
            assert_eq!(shown(narrow), "NAME\nnginx", "at {narrow}");
        }
    }

    #[test]
    fn what_cannot_be_left_out_runs_over_in_one_line() {
        let mut table = table(["NAME", "PID", "SHARES-WITH"], &[1]);
        table.add_row(["my-compose-project-web-frontend-12", "686", "kubernetes-dashboard,metrics"]);
        table.set_width(10);
        leave_out(&mut table, &[2]);
        assert_eq!(
            table.trim_fmt(),
            "NAME                                PID\nmy-compose-project-web-frontend-12  686"
        );
    }

    #[test]
    fn a_word_that_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(quoted("/proc/12/ns/net"), "/proc/12/ns/net");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; $(reboot)"), r"'it'\''s; $(reboot)'");
        assert_eq!(quoted(""), "''");
        for plain in ["--engine-timeout=10s", "net.ipv4.ip_forward=1", "-bbr0", "1=2"] {
            assert_eq!(quoted(plain), plain);
        }
        for variable in ["PATH=/tmp", "_a=", "=ls", "a+=b"] {
            assert_eq!(quoted(variable), format!("'{variable}'"));
        }
    }

    #[test]
    fn a_sentence_goes_on_in_the_next_line_between_two_words() {
        let text =
            "  note: have nothing that is bridged filtered: sysctl -w net.bridge.bridge-nf-call-iptables=0";
        assert_eq!(wrapped(text, None, 4), text);
        let shown = wrapped(text, Some(40), 4);
        assert_eq!(
            shown,
            "  note: have nothing that is bridged\n    filtered: sysctl -w\n    net.bridge.bridge-nf-call-iptables=0"
        );
        // A word that is longer than the terminal is in one piece all the same.
        assert_eq!(wrapped("ab abcdefgh cd", Some(4), 2), "ab\n  abcdefgh\n  cd");
        assert_eq!(wrapped("", Some(4), 2), "");
    }

    #[test]
    fn a_time_is_ascii() {
        assert_eq!([300, 1_500, 2_000_000].map(Duration::from_micros).map(time), ["300us", "1.5ms", "2s"]);
    }

    #[test]
    fn a_quotation_is_short() {
        assert_eq!(quotable("a\nb"), "a\\nb");
        assert_eq!(quotable(&"ä".repeat(4096)), format!("{}...", "ä".repeat(80)));
    }
}
