//! The wildcards of a shell, matched against one name: `*`, `?` and `[abc]` as in glob(7). Pure.
//!
//! What no engine allows in a name is refused, and not matched in vain: `{web,db}` is for the shell to expand, and
//! a backslash has nothing to escape.

/// A pattern for one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// `*`: any number of characters, also none.
    Any,
    /// `?`: one.
    One,
    Literal(char),
    /// `[a-c7]`, and `[!a-c7]` or `[^a-c7]` for one that is none of these.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Why a word is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// A character that no engine allows in a name.
    #[error("{0:?} cannot be in a container's name, nor in a pattern for one")]
    Character(char),
    /// A class that does not end.
    #[error("a [ has no closing ]")]
    Unclosed,
    /// A range from a greater character to a lesser one.
    #[error("[{0}-{1}] runs backwards")]
    Backwards(char, char),
    /// More characters than any name has.
    #[error("a pattern is longer than any name")]
    Length,
    /// Nothing at all.
    #[error("a pattern for a name is empty")]
    Empty,
}

impl Glob {
    /// The pattern that `text` spells.
    ///
    /// # Errors
    /// [`GlobError`].
    pub fn new(text: &str) -> Result<Self, GlobError> {
        match text.len() {
            0 => return Err(GlobError::Empty),
            1..=255 => {}
            _ => return Err(GlobError::Length),
        }
        let mut pieces = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let piece = match c {
                '*' => Piece::Any,
                '?' => Piece::One,
                '[' => class(&mut rest)?,
                c => Piece::Literal(of_a_name(c)?),
            };
            pieces.push(piece);
        }
        Ok(Glob(pieces))
    }

    /// Whether all of `name` fits.
    pub fn fits(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut piece) = (0, 0);
        // Where the last * was, and how far what it stands for reaches by now: an earlier one needs no second
        // thought, so this takes no more steps than pieces times characters.
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.0.get(piece) {
                Some(Piece::Any) => {
                    star = Some((piece + 1, at));
                    piece += 1;
                }
                Some(this) if this.takes(name[at]) => {
                    at += 1;
                    piece += 1;
                }
                _ => match &mut star {
                    Some((behind, reach)) => {
                        *reach += 1;
                        (piece, at) = (*behind, *reach);
                    }
                    None => return false,
                },
            }
        }
        self.0[piece..].iter().all(|piece| *piece == Piece::Any)
    }
}

impl Piece {
    fn takes(&self, c: char) -> bool {
        match self {
            Piece::Any | Piece::One => true,
            Piece::Literal(literal) => *literal == c,
            Piece::Class { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

/// The rest of `[…]`. A `]` right at its beginning stands for itself, and so does a `-` at either end.
fn class(rest: &mut std::str::Chars<'_>) -> Result<Piece, GlobError> {
    let inside = rest.as_str();
    let negated = inside.starts_with(['!', '^']);
    let inside = &inside[usize::from(negated)..];
    let end = inside.char_indices().skip(1).find(|(_, c)| *c == ']').ok_or(GlobError::Unclosed)?.0;
    let members: Vec<char> = inside[..end].chars().collect();
    *rest = inside[end + 1..].chars();
    let mut ranges = Vec::new();
    let mut members = members.as_slice();
    while let Some((&first, behind)) = members.split_first() {
        let (last, behind) = match behind {
            ['-', last, behind @ ..] => (*last, behind),
            behind => (first, behind),
        };
        members = behind;
        if last < first {
            return Err(GlobError::Backwards(of_a_name(first)?, of_a_name(last)?));
        }
        ranges.push((of_a_name(first)?, of_a_name(last)?));
    }
    Ok(Piece::Class { negated, ranges })
}

/// The characters of `common::target::Name`.
fn of_a_name(c: char) -> Result<char, GlobError> {
    if c.is_ascii_alphanumeric() || "_.+@,-".contains(c) { Ok(c) } else { Err(GlobError::Character(c)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        Glob::new(pattern).unwrap().fits(name)
    }

    #[test]
    fn wildcards_mean_what_they_mean_in_a_shell() {
        for (pattern, fitting, others) in [
            ("web", &["web"][..], &["we", "web1", "WEB"][..]),
            ("web-*", &["web-", "web-1", "web-1-2"], &["web", "xweb-1"]),
            ("*", &["a", "web-1", "x.y_z"], &[]),
            ("*-db", &["a-db", "-db", "a-db-db"], &["db", "a-db1"]),
            ("a*b*c", &["abc", "axbxc", "abcbc"], &["acb", "abcd"]),
            ("web-?", &["web-1"], &["web-", "web-12"]),
            ("web-[0-9]", &["web-7"], &["web-a", "web-77"]),
            ("web-[!0-9]", &["web-a"], &["web-7", "web-"]),
            ("web-[^ab]", &["web-c"], &["web-a", "web-b"]),
            ("[a-]x", &["ax", "-x"], &["bx"]),
            ("[-a]x", &["ax", "-x"], &["bx"]),
            ("**", &["", "a"], &[]),
        ] {
            for name in fitting {
                assert!(fits(pattern, name), "{pattern} {name}");
            }
            for name in others {
                assert!(!fits(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn what_cannot_fit_any_name_is_refused() {
        for (pattern, error) in [
            ("", GlobError::Empty),
            ("web-[1", GlobError::Unclosed),
            ("[]", GlobError::Unclosed),
            ("[]a]", GlobError::Character(']')),
            ("[9-0]", GlobError::Backwards('9', '0')),
            ("{web,db}", GlobError::Character('{')),
            ("we b", GlobError::Character(' ')),
            ("web\\*", GlobError::Character('\\')),
            ("web\x1b[2J", GlobError::Character('\x1b')),
            ("[[:alpha:]]", GlobError::Character('[')),
        ] {
            assert_eq!(Glob::new(pattern), Err(error), "{pattern}");
        }
        assert_eq!(Glob::new(&"a".repeat(256)), Err(GlobError::Length));
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = format!("{}b", "*a".repeat(100));
        assert!(!fits(&pattern, &"a".repeat(255)));
    }

    /// What the matching means, said in the shortest way and slowly.
    fn by_definition(pieces: &[Piece], name: &[char]) -> bool {
        match (pieces.split_first(), name.split_first()) {
            (None, name) => name.is_none(),
            (Some((Piece::Any, pieces)), None) => by_definition(pieces, name),
            (Some((Piece::Any, behind)), Some((_, rest))) => {
                by_definition(behind, name) || by_definition(pieces, rest)
            }
            (Some((piece, pieces)), Some((c, name))) => piece.takes(*c) && by_definition(pieces, name),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn nothing_typed_is_a_panic(text in ".{0,40}") {
            if let Ok(glob) = Glob::new(&text) {
                glob.fits(&text);
            }
        }

        #[test]
        fn a_name_without_wildcards_fits_itself_alone(name in "[a-z0-9_.-]{1,12}", other in "[a-z0-9_.-]{1,12}") {
            prop_assert_eq!(fits(&name, &other), name == other);
        }

        #[test]
        fn the_quick_way_gives_the_same_answer_as_the_definition(
            pattern in "([ab*?]|\\[ab\\]|\\[!a\\]){1,10}",
            name in "[abc]{0,10}",
        ) {
            let glob = Glob::new(&pattern).unwrap();
            let characters: Vec<char> = name.chars().collect();
            prop_assert_eq!(glob.fits(&name), by_definition(&glob.0, &characters));
        }
    }
}
