//! Text for XML and for graphviz: nothing in a name ends the text, begins a tag, or is a character that no XML may have.

use common::sign::ELLIPSIS;

/// `text` as the content of an element or a value in double quotes. [`common::output::one_line`] comes before.
pub fn xml(text: &str) -> String {
    let mut clean = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => clean.push_str("&amp;"),
            '<' => clean.push_str("&lt;"),
            '>' => clean.push_str("&gt;"),
            '"' => clean.push_str("&quot;"),
            '\'' => clean.push_str("&#39;"),
            c if is_no_xml(c) => clean.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => clean.push(c),
        }
    }
    clean
}

/// The same for a label of graphviz in HTML: after that is read, `\N` in its text becomes the node's name (escString in its
/// manual; a reference such as `&#92;` has become a backslash by then).
pub fn dot(text: &str) -> String {
    xml(text).replace('\\', r"\\")
}

/// Characters that XML 1.0 has not, not even as references (its production 2, Char): with one of them nothing of the file is
/// shown. Control characters among them are spelled out by [`common::output::one_line`] already.
fn is_no_xml(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// How wide `text` is at most, in widths of an ASCII letter of a fixed-width font: any other letter may be from another font.
pub fn cells(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

/// `text` in no more than so many cells: its middle is left out, for both ends tell names apart.
pub fn fitted(text: &str, most: usize) -> String {
    if cells(text) <= most {
        return text.to_owned();
    }
    let keep = most.saturating_sub(2);
    let take = |letters: &mut dyn Iterator<Item = char>, most: usize| {
        let mut taken: Vec<char> = Vec::new();
        let mut width = 0;
        for c in letters {
            width += if c.is_ascii() { 1 } else { 2 };
            if width > most {
                break;
            }
            taken.push(c);
        }
        taken
    };
    let head = take(&mut text.chars(), keep.div_ceil(2));
    let tail = take(&mut text.chars().rev(), keep / 2);
    head.into_iter().chain(ELLIPSIS.utf8.chars()).chain(tail.into_iter().rev()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_element_or_is_no_xml() {
        let hostile = "</text><script>alert('1')</script>\" &amp; \u{fffe}\u{ffff}\u{1}ä";
        let clean = xml(hostile);
        assert!(!clean.contains(['<', '>', '"', '\'']), "{clean}");
        assert_eq!(
            clean,
            "&lt;/text&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; &amp;amp; \\u{fffe}\\u{ffff}\\u{1}ä"
        );
    }

    #[test]
    fn graphviz_takes_no_backslash_for_its_own() {
        assert_eq!(dot(r"\N<\G>"), r"\\N&lt;\\G&gt;");
    }

    #[test]
    fn a_long_text_keeps_both_ends() {
        assert_eq!(fitted("web", 5), "web");
        assert_eq!(fitted("my-project-web-1", 9), "my-p…b-1");
        for most in 4..20 {
            let short = fitted("größer-als-erlaubt-ß", most);
            assert!(cells(&short) <= most, "{most}: {short}");
            assert!(short.contains('…'), "{most}: {short}");
        }
    }
}
