//! Manuals as plain text, for a host without man(1): of roff(7) and man(7) only what `make docs` writes. Pure.

/// Columns of the text.
const WIDTH: usize = 78;
/// Where text begins below a heading, as man(1) has it.
const INDENT: usize = 7;

/// `roff` as text of 78 columns.
pub fn plain(roff: &str) -> String {
    let mut page = PlainPage::default();
    for line in roff.lines() {
        page.take(line);
    }
    page.flush();
    page.text
}

/// What has been written so far, and the paragraph at hand.
#[derive(Debug, Default)]
struct PlainPage {
    text: String,
    /// Words of the paragraph at hand.
    words: Vec<String>,
    /// Where the paragraph begins, beyond [`INDENT`].
    indent: usize,
    /// What stands before the paragraph, in the columns that it is indented by.
    tag: Option<String>,
    /// The next line of text is a tag.
    is_tag: bool,
    /// Lines are kept as they are.
    is_kept: bool,
    /// Within a table: which cell of its row begins next, or `None` before the first row.
    cell: Option<usize>,
    /// Within a table.
    is_table: bool,
    /// Of the paragraphs around: `.RS`.
    outer: Vec<usize>,
}

impl PlainPage {
    fn take(&mut self, line: &str) {
        let Some(request) = line.strip_prefix('.') else {
            if !line.starts_with("'\\\"") {
                self.text_line(line);
            }
            return;
        };
        let (name, rest) = request.split_once(' ').unwrap_or((request, ""));
        match name {
            "TH" => {
                self.flush();
                self.is_kept = false;
                self.outer.clear();
                let words = arguments(rest);
                let title = words.get(..2).map(|words| format!("{}({})", words[0], words[1]));
                self.line(&title.unwrap_or_default());
            }
            "SH" | "SS" => {
                self.flush();
                self.indent = 0;
                let heading = arguments(rest).join(" ");
                let before = if name == "SS" { "   " } else { "" };
                self.line(&format!("\n{before}{}", spoken(&heading)));
            }
            "PP" => {
                self.flush();
                self.indent = self.outer.last().copied().unwrap_or(0);
                self.line("");
            }
            "IP" | "TP" | "TQ" => {
                self.flush();
                if name != "TQ" {
                    self.line("");
                }
                self.indent = self.outer.last().copied().unwrap_or(0) + if rest.is_empty() { 7 } else { 2 };
                self.tag = arguments(rest).first().map(|tag| spoken(tag));
                self.is_tag = name != "IP";
                if name == "IP" && rest.is_empty() {
                    self.indent = self.outer.last().copied().unwrap_or(0) + 7;
                }
            }
            "RS" => {
                self.flush();
                self.outer.push(self.indent);
            }
            "RE" => {
                self.flush();
                self.indent = self.outer.pop().unwrap_or(0);
            }
            "EX" | "EE" | "nf" | "fi" => {
                self.flush();
                self.is_kept = name == "EX" || name == "nf";
            }
            "br" => self.flush(),
            "TS" | "TE" => {
                self.flush();
                (self.is_table, self.cell) = (name == "TS", None);
                self.indent = 0;
            }
            "B" | "I" => self.text_line(&arguments(rest).join(" ")),
            "BR" | "BI" | "IR" | "IB" | "RB" | "RI" => self.text_line(&arguments(rest).concat()),
            _ => {}
        }
    }

    /// A line of text; in a table also what separates its cells.
    fn text_line(&mut self, line: &str) {
        if self.is_table {
            return self.table(line);
        }
        let line = spoken(line);
        if self.is_kept {
            let indent = " ".repeat(INDENT + self.indent);
            return self.line(format!("{indent}{line}").trim_end());
        }
        if std::mem::take(&mut self.is_tag) {
            self.tag = Some(line);
            return;
        }
        self.words.extend(line.split_whitespace().map(str::to_owned));
    }

    fn table(&mut self, line: &str) {
        let begins = line.strip_prefix("T{");
        let ends = line.strip_prefix("T}");
        match (begins, ends, self.cell) {
            (Some(_), ..) => self.cell = Some(self.cell.unwrap_or(0)),
            (_, Some(more), Some(cell)) => {
                self.indent = 4 * cell;
                self.flush();
                if more.ends_with("T{") {
                    self.cell = Some(cell + 1);
                } else {
                    self.cell = Some(0);
                    self.line("");
                }
            }
            (_, _, Some(_)) => self.words.extend(spoken(line).split_whitespace().map(str::to_owned)),
            // What a table looks like.
            _ => {}
        }
    }

    fn line(&mut self, line: &str) {
        // One empty line separates, not several.
        if !(line.is_empty() && self.text.ends_with("\n\n")) {
            self.text += &line.replace('\u{a0}', " ");
            self.text.push('\n');
        }
    }

    /// Writes the paragraph at hand.
    fn flush(&mut self) {
        self.is_tag = false;
        let (words, tag) = (std::mem::take(&mut self.words), self.tag.take());
        let begin = INDENT + self.indent;
        let mut line = " ".repeat(begin);
        if let Some(tag) = tag {
            let outer = INDENT + self.outer.last().copied().unwrap_or(0);
            let beside = format!("{}{tag}", " ".repeat(outer));
            match begin.checked_sub(beside.chars().count()) {
                Some(room @ 1..) => line = beside + &" ".repeat(room),
                _ => self.fill(" ".repeat(outer), tag.split_whitespace()),
            }
        }
        self.fill(line, words.iter().map(String::as_str));
    }

    /// Writes words behind `first`, in lines that are no longer than [`WIDTH`] where words allow it, all indented alike.
    fn fill<'w>(&mut self, first: String, words: impl Iterator<Item = &'w str>) {
        let indent = " ".repeat(first.chars().count());
        let (mut line, mut is_empty) = (first, true);
        for word in words {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                (line, is_empty) = (indent.clone(), true);
            }
            if !is_empty {
                line.push(' ');
            }
            line += word;
            is_empty = false;
        }
        if !line.trim().is_empty() {
            self.line(line.trim_end());
        }
    }
}

/// The arguments of a request: words, or what is between quotation marks.
fn arguments(text: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted, mut is_word) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        match c {
            '"' => (is_quoted, is_word) = (!is_quoted, true),
            ' ' if !is_quoted => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            c => {
                word.push(c);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

/// Without the escapes.
fn spoken(text: &str) -> String {
    let mut spoken = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        spoken += before;
        let known: [(&str, &str); 13] = [
            ("fB", ""),
            ("fI", ""),
            ("fR", ""),
            ("fP", ""),
            ("(aq", "'"),
            ("(dq", "\""),
            ("(bu", "*"),
            ("*(Aq", "'"),
            ("e", "\\"),
            ("-", "-"),
            ("&", ""),
            ("%", ""),
            (" ", "\u{a0}"),
        ];
        let one = known.iter().find_map(|(escape, text)| Some((after.strip_prefix(escape)?, text)));
        let (after, text) = one.unwrap_or((after, &""));
        spoken += text;
        rest = after;
    }
    spoken += rest;
    spoken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_paragraph_is_laid_out_as_man_does() {
        let roff = ".TH CPID 1 2026-01-01 x x\n.SH NAME\ncpid \\- prints\n.SH OPTIONS\n.TP\n\\fB\\-\\-list\\fR\nPrint\na table.\n\
                    .IP\nMore.\n.PP\nA \\(aqword\\(aq.\n.EX\n.RB \"$ \" \"cpid  x\"\n  1\n.EE\n.IP \\(bu 2\none\n.SS Sub\n.BR a ( 1 ),\n";
        let expected = "CPID(1)\n\nNAME\n       cpid - prints\n\nOPTIONS\n\n       --list Print a table.\n\n              More.\n\n       \
                        A 'word'.\n       $ cpid  x\n         1\n\n       * one\n\n   Sub\n       a(1),\n";
        assert_eq!(plain(roff), expected);
    }

    #[test]
    fn nothing_of_a_real_manual_is_lost_or_left_as_roff() {
        for page in [include_str!("../../../man/nsenter-rs.1"), include_str!("../../../man/netns-toolbox.7")]
        {
            let text = plain(page);
            let wide = text.lines().find(|line| line.chars().count() > 100);
            assert_eq!(wide, None);
            for left in ["\\f", "\\-", "T{", ".PP", "\\(", ".TP"] {
                assert!(!text.contains(left), "{left}");
            }
            assert!(text.contains("\nEXAMPLES\n") && text.contains("SECURITY"));
        }
    }
}
