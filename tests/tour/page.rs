//! A page as what is to be pasted: Markdown, or the EXAMPLES of a manual's source.

use std::ops::Range;

/// What a page has a reader do, or see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A line to paste, and what it prints. What a session shows, a shell or a window, is nothing that a page could have.
    Paste { command: String, printed: Vec<String>, lines: Range<usize>, is_session: bool },
    /// `<!-- run: … -->`: what has happened meanwhile, which the page tells in words.
    Meanwhile(String),
    /// A picture of the host at this point: its file.
    Picture(String),
}

/// How a page writes commands and what they print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Markdown,
    Roff,
}

impl Form {
    /// The steps of a page, in order.
    pub fn steps(self, text: &str) -> Vec<Step> {
        let lines: Vec<&str> = text.lines().collect();
        let mut steps = Vec::new();
        let (mut at, mut is_session) = (0, false);
        if self == Form::Roff {
            at = lines.iter().position(|line| *line == ".SH EXAMPLES").unwrap();
        }
        while at < lines.len() {
            let line = lines[at];
            if line == ".\\\" session" {
                is_session = true;
            } else if let Some(command) = self.meanwhile(line) {
                steps.push(Step::Meanwhile(command.to_owned()));
            } else if let Some(file) = self.picture(line) {
                steps.push(Step::Picture(file.to_owned()));
            } else if let Some(command) = self.command(line) {
                let begin = at + 1;
                let mut end = begin;
                while lines.get(end).is_some_and(|line| self.printed(line, &lines[end..]).is_some()) {
                    end += 1;
                }
                let printed = (begin..end).filter_map(|at| self.printed(lines[at], &lines[at..])).collect();
                steps.push(Step::Paste { command, printed, lines: begin..end, is_session });
                is_session = false;
                at = end;
                continue;
            }
            at += 1;
        }
        steps
    }

    fn meanwhile(self, line: &str) -> Option<&str> {
        match self {
            Form::Markdown => line.strip_prefix("<!-- run: ")?.strip_suffix(" -->"),
            Form::Roff => line.strip_prefix(".\\\" run: "),
        }
    }

    fn picture(self, line: &str) -> Option<&str> {
        let file = line.strip_prefix("![")?.split_once("](")?.1.strip_suffix(')')?;
        (self == Form::Markdown && file.starts_with("tour/")).then_some(file)
    }

    fn command(self, line: &str) -> Option<String> {
        match self {
            Form::Markdown => line.strip_prefix("    # ").map(str::to_owned),
            Form::Roff => {
                let quoted =
                    line.strip_prefix(".RB \"# \" \"").or_else(|| line.strip_prefix(".RB \"$ \" \""))?;
                Some(without_roff(quoted.strip_suffix('"')?))
            }
        }
    }

    /// The line as it was printed, if it belongs to what was printed. An empty line does where more follows.
    fn printed(self, line: &str, rest: &[&str]) -> Option<String> {
        match self {
            Form::Markdown if line.is_empty() => {
                let next = rest.iter().find(|line| !line.is_empty())?;
                (next.starts_with("    ") && !next.starts_with("    # ")).then(String::new)
            }
            Form::Markdown => {
                line.strip_prefix("    ").filter(|line| !line.starts_with("# ")).map(str::to_owned)
            }
            Form::Roff => (!line.starts_with('.')).then(|| without_roff(line)),
        }
    }

    /// What was printed, as the page has it.
    pub fn written(self, line: &str) -> String {
        match self {
            Form::Markdown if line.is_empty() => String::new(),
            Form::Markdown => format!("    {line}"),
            Form::Roff => {
                let escaped = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
                if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
            }
        }
    }
}

fn without_roff(text: &str) -> String {
    let plain = text.replace("\\(aq", "'").replace("\\(dq", "\"").replace("\\-", "-").replace("\\&", "");
    plain.replace("\\e", "\\")
}
