//! JSON on standard output, for all tools: nothing in it drives a terminal, or shows it in another order.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};

use crate::output::is_harmful;

/// One object on a line of its own.
///
/// # Errors
/// What writing says.
///
/// ```
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Row<'a> {
///     name: &'a str,
///     rtt_us: u32,
/// }
///
/// let mut out = Vec::new();
/// common::json::line(&mut out, &Row { name: "web\u{202e}", rtt_us: 63 })?;
/// // What would turn text around on a terminal is spelled out, and stays the same value.
/// assert_eq!(out, b"{\"name\":\"web\\u202e\",\"rtt_us\":63}\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    write(out, value, Harmless(Compact))
}

/// An object or a list over several lines.
///
/// # Errors
/// As [`line()`].
pub fn pretty(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    write(out, value, Harmless(PrettyFormatter::new()))
}

fn write(out: &mut impl Write, value: &impl Serialize, formatter: impl Formatter) -> io::Result<()> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter)).map_err(io::Error::from)?;
    bytes.push(b'\n');
    out.write_all(&bytes)
}

struct Compact;

impl Formatter for Compact {}

/// Spells out in strings what a terminal would obey. RFC 8259 asks that only of what is below U+0020, and so does
/// serde_json.
struct Harmless<F>(F);

impl<F: Formatter> Formatter for Harmless<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_harmful(*c)) {
            writer.write_all(&text.as_bytes()[plain..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        writer.write_all(&text.as_bytes()[plain..])
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out_and_the_value_stays_the_same() {
        let text: String =
            ('\0'..='\u{e0100}').filter(|c| is_harmful(*c)).chain("\n\"\\ ä".chars()).collect();
        let value = BTreeMap::from([(text.clone(), vec![text.clone(), text])]);
        let (mut compact, mut long) = (Vec::new(), Vec::new());
        line(&mut compact, &value).unwrap();
        pretty(&mut long, &value).unwrap();
        for bytes in [&compact, &long] {
            let shown = std::str::from_utf8(bytes).unwrap();
            assert!(!shown.chars().any(is_harmful), "{shown}");
            assert_eq!(serde_json::from_str::<BTreeMap<String, Vec<String>>>(shown).unwrap(), value);
        }
        assert_eq!(compact.iter().filter(|byte| **byte == b'\n').count(), 1);
        #[expect(clippy::disallowed_methods, reason = "the naive twin")]
        let naive = serde_json::to_string(&value).unwrap();
        assert!(naive.chars().any(is_harmful), "serde_json alone lets them through");
    }

    #[test]
    fn the_form_is_that_of_serde_json() {
        let value = serde_json::json!({"a": [1, {"b": null}, []], "c": {}});
        let mut bytes = Vec::new();
        line(&mut bytes, &value).unwrap();
        pretty(&mut bytes, &value).unwrap();
        let expected = format!("{value}\n{value:#}\n");
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
