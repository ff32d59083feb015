//! The words of a rule as nft(8) writes it. What is in quotes is one word and keeps its quotes, so that a name cannot pass for a keyword;
//! a comma between the elements of a set is a word of its own.

/// Words that begin something else, whatever is in front of them.
const KEYWORDS: [&str; 17] = [
    "accept",
    "drop",
    "return",
    "continue",
    "jump",
    "goto",
    "reject",
    "counter",
    "log",
    "limit",
    "comment",
    "masquerade",
    "snat",
    "dnat",
    "redirect",
    "queue",
    "notrack",
];

/// An element of a set that is written out, by its fields; of a map with what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrittenElement<'w> {
    pub fields: Vec<&'w str>,
    pub value: &'w [String],
}

pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(format!("\"{part}\""));
            continue;
        }
        for word in part.split_whitespace() {
            match word.strip_suffix(',') {
                Some("") => words.push(",".to_owned()),
                Some(word) => words.extend([word.to_owned(), ",".to_owned()]),
                None => words.push(word.to_owned()),
            }
        }
    }
    words
}

/// Without the quotes.
pub(super) fn unquoted(word: &str) -> &str {
    word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or(word)
}

/// How many words there are up to the next one that begins something else.
pub(super) fn up_to_keyword(words: &[String]) -> usize {
    let next = words.iter().skip(1).position(|word| KEYWORDS.contains(&word.as_str()));
    next.map_or(words.len(), |next| next + 1)
}

/// The elements between braces, and how many words these take; nothing where it breaks off.
pub(super) fn elements(words: &[String]) -> Option<(Vec<WrittenElement<'_>>, usize)> {
    let end = words.iter().position(|word| word == "}")?;
    let inside = words.get(1..end)?;
    let elements = inside.split(|word| word == ",").filter(|element| !element.is_empty()).map(|element| {
        let colon = element.iter().position(|word| word == ":").unwrap_or(element.len());
        let fields = fields(&element[..colon]);
        WrittenElement { fields, value: element.get(colon + 1..).unwrap_or_default() }
    });
    Some((elements.collect(), end + 1))
}

/// `10.1.0.2 . 80`
pub(super) fn fields(words: &[String]) -> Vec<&str> {
    words.split(|word| word == ".").filter_map(|field| field.first()).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_quotes_is_one_word_that_no_keyword_is() {
        let read = words(
            "iifname { \"br 0\", \"}\" } ip daddr . tcp dport { 10.0.0.1 . 80 : jump x, 10.0.0.2 . 81 : drop }",
        );
        let (names, taken) = elements(&read[1..]).unwrap();
        let names: Vec<_> = names.iter().map(|name| unquoted(name.fields[0])).collect();
        assert_eq!((names, taken), (vec!["br 0", "}"], 5));
        let (cases, _) = elements(&read[11..]).unwrap();
        assert_eq!(cases[0].fields, ["10.0.0.1", "80"]);
        assert_eq!(cases[0].value, ["jump", "x"]);
        assert_eq!(cases[1].value, ["drop"]);
        assert_eq!(words("ct state established,related accept").len(), 4);
    }

    #[test]
    fn what_breaks_off_is_no_panic() {
        for text in ["{", "{ 80", "{ : }", "{ }", ", ,", "\"", "{ . : . , }"] {
            let read = words(text);
            let _ = elements(&read);
            let _ = up_to_keyword(&read);
        }
    }
}
