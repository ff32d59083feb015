//! Bytes as they come, cut into lines. Pure, and bounded: a line that is longer than that goes on in pieces.

/// No line that people read, and few that programs do, are this long.
pub const MOST_BYTES: usize = 256 << 10;

/// The lines of one stream.
#[derive(Debug, Default)]
pub struct LineSplitter {
    /// What came after the last line feed.
    begun: Vec<u8>,
}

/// A line, or a piece of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Without its line feed.
    pub text: &'a [u8],
    /// Whether the next piece belongs to the same line.
    pub goes_on: bool,
}

impl LineSplitter {
    /// Hands out every line that `bytes` complete.
    pub fn take(&mut self, mut bytes: &[u8], mut line: impl FnMut(Line<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(&bytes[..end], &mut line);
            line(Line { text: &self.begun, goes_on: false });
            self.begun.clear();
            bytes = &bytes[end + 1..];
        }
        self.add(bytes, &mut line);
    }

    /// Hands out what is left when nothing more will come: a last line needs no line feed.
    pub fn end(&mut self, mut line: impl FnMut(Line<'_>)) {
        if !self.begun.is_empty() {
            line(Line { text: &self.begun, goes_on: false });
        }
        self.begun = Vec::new();
    }

    /// Adds bytes of one line, in pieces where that grows too long.
    fn add(&mut self, mut bytes: &[u8], line: &mut impl FnMut(Line<'_>)) {
        while self.begun.len() + bytes.len() > MOST_BYTES {
            let (fitting, rest) = bytes.split_at(MOST_BYTES - self.begun.len());
            self.begun.extend_from_slice(fitting);
            let end = between_characters(&self.begun);
            line(Line { text: &self.begun[..end], goes_on: true });
            self.begun.drain(..end);
            bytes = rest;
        }
        self.begun.extend_from_slice(bytes);
    }
}

/// How much of `bytes` does not end in the middle of a character of UTF-8, if it is such; else all of it.
fn between_characters(bytes: &[u8]) -> usize {
    let begins = |byte: u8| byte & 0b1100_0000 != 0b1000_0000;
    let last = bytes.len().saturating_sub(4)..bytes.len();
    match last.rev().find(|at| begins(bytes[*at])) {
        Some(at) if std::str::from_utf8(&bytes[at..]).is_err() && at > 0 => at,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines of these chunks, and whether each goes on.
    fn cut(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let (mut lines, mut cut) = (LineSplitter::default(), Vec::new());
        let mut keep = |line: Line<'_>| cut.push((line.text.to_vec(), line.goes_on));
        chunks.iter().for_each(|chunk| lines.take(chunk, &mut keep));
        lines.end(&mut keep);
        cut
    }

    fn whole(lines: &[&str]) -> Vec<(Vec<u8>, bool)> {
        lines.iter().map(|line| (line.as_bytes().to_vec(), false)).collect()
    }

    #[test]
    fn a_line_is_one_however_it_comes() {
        assert_eq!(cut(&[b"one\ntwo\n"]), whole(&["one", "two"]));
        assert_eq!(cut(&[b"o", b"ne", b"\n\ntw", b"o"]), whole(&["one", "", "two"]));
        assert_eq!(cut(&[b""]), whole(&[]));
        assert_eq!(cut(&[b"\n"]), whole(&[""]));
    }

    #[test]
    fn a_line_without_an_end_comes_in_pieces() {
        let chunk = [b'a'; 10_000];
        let cut = cut(&vec![&chunk[..]; 100]);
        let lengths: Vec<usize> = cut.iter().map(|(text, _)| text.len()).collect();
        assert_eq!(lengths, [MOST_BYTES, MOST_BYTES, MOST_BYTES, 1_000_000 - 3 * MOST_BYTES]);
        assert_eq!(cut.iter().map(|(_, goes_on)| *goes_on).collect::<Vec<_>>(), [true, true, true, false]);
    }

    #[test]
    fn no_character_is_cut_in_two() {
        for word in ["ä", "€", "😀"] {
            let text = word.repeat(MOST_BYTES / word.len() + 2);
            for offset in 0..4 {
                let text = ["a".repeat(offset), text.clone()].concat();
                for (piece, _) in cut(&[text.as_bytes()]) {
                    assert!(std::str::from_utf8(&piece).is_ok());
                }
            }
        }
        let junk = vec![0b1000_0000; MOST_BYTES + 1];
        assert_eq!(cut(&[&junk])[0].0.len(), MOST_BYTES);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_added(text in "[a\n]{0,60}", at in 0_usize..60) {
            let (first, second) = text.as_bytes().split_at(at.min(text.len()));
            let lines: Vec<Vec<u8>> = cut(&[first, second]).into_iter().map(|(line, _)| line).collect();
            let expected: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(lines, expected);
        }
    }
}
