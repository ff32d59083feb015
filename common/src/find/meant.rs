//! What was meant by a word that is no TARGET: an address, a pattern, a job's name, a name with a slip in it; and the command
//! line that says it, as it was typed but for that word.

use std::collections::BTreeSet;

use super::answers::{ask, is_others};
use crate::engine::{EngineName, EngineSession, engines};
use crate::hint;
use crate::hint::Hint;
use crate::output::is_harmful;
use crate::target::{LinkName, Mac, SocketPlace, Target, WireAddress};
use crate::typed::{for_job, instead_of};

/// No more names are offered.
const MOST_NAMES: usize = 3;

/// The TARGET that `word` is without its kind: `ip:198.19.0.2` for `198.19.0.2`.
fn with_kind(word: &str) -> Option<String> {
    if let Ok(address) = word.parse::<WireAddress>() {
        return Some(format!("ip:{address}"));
    }
    // Twelve digits and no sign are the beginning of an ID.
    if word.contains([':', '-', '.']) && word.parse::<Mac>().is_ok() {
        return Some(format!("mac:{word}"));
    }
    let is_index =
        |peer: &str| peer.strip_prefix("if").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let is_veth = word.starts_with("veth") || word.rsplit_once('@').is_some_and(|(_, peer)| is_index(peer));
    (is_veth && word.parse::<LinkName>().is_ok()).then(|| format!("veth:{word}"))
}

/// What helps whoever typed `word`, which is no TARGET by the grammar.
pub fn hint_for_refused(word: &str) -> Option<Hint> {
    if let Some(meant) = with_kind(word) {
        return instead_of(&[word], &meant);
    }
    if SocketPlace::is_meant(word) {
        return hint!("cpid {}", word);
    }
    let is_pattern = word.contains(['*', '?', '['])
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "_.+@,-*?[]!:/".contains(c));
    match is_pattern {
        true => hint!("nsenter-rs --each {} -n ip addr", word),
        false => None,
    }
}

/// What helps whoever typed `target`, which is no container.
pub(super) fn hint_for_unknown(target: &Target) -> Option<Hint> {
    let Target::Container { engine, name, .. } = target else { return hint!("cpid --list") };
    let word = name.as_str();
    if let (None, Some(meant)) = (engine, with_kind(word)) {
        return instead_of(&[word], &meant);
    }
    match engine {
        None => for_job(word).or_else(|| hint!("cpid --list")),
        Some(engine) => hint!("cpid --list --engine {}", engine),
    }
}

/// Names of containers that look like the one in `target`, at most three. Only engines of ours that have `answered` are
/// asked, and what other users claim is left out.
pub(super) fn nearest(target: &Target, answered: &[EngineName], session: &EngineSession) -> Vec<String> {
    let Target::Container { engine, name, .. } = target else { return Vec::new() };
    if with_kind(name.as_str()).is_some() {
        return Vec::new();
    }
    let mut asked = engines(*engine, session);
    asked.retain(|engine| answered.contains(&engine.name()));
    let answers = ask(&asked, session, |engine| engine.list());
    let names = answers.hits.iter().filter(|hit| !is_others(hit)).map(|hit| hit.name.as_str());
    alike(name.as_str(), names)
}

/// Those of `names` that are closest to `word`: by few slips, or because it is a part of them.
fn alike<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let word = word.to_lowercase();
    let most = (word.chars().count() / 3).clamp(1, 3);
    let rank = |name: &str| {
        let name = name.to_lowercase();
        let slips = strsim::osa_distance(&word, &name);
        match slips <= most && slips < name.chars().count() {
            true => Some(slips),
            false => (word.len() >= 3 && name.contains(&word)).then_some(most + 1),
        }
    };
    let is_shown = |name: &&str| name.len() <= 64 && !name.chars().any(|c| c == '\n' || is_harmful(c));
    let ranked: BTreeSet<(usize, &str)> =
        names.filter(is_shown).filter_map(|name| Some((rank(name)?, name))).collect();
    ranked.into_iter().map(|(_, name)| name.to_owned()).take(MOST_NAMES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_and_another_name_is_none() {
        let names = ["nginx", "web", "shop-web-1", "redis", "postgres"];
        let alike = |word: &str| alike(word, names.into_iter());
        assert_eq!(alike("ngnix"), ["nginx"]);
        assert_eq!(alike("Nginx"), ["nginx"]);
        assert_eq!(alike("wbe"), ["web"]);
        assert_eq!(alike("postgers"), ["postgres"]);
        assert_eq!(alike("shop"), ["shop-web-1"]);
        assert_eq!(alike("mysql"), [""; 0]);
        assert_eq!(alike("x"), [""; 0]);
    }

    #[test]
    fn no_more_than_three_names_are_offered_and_none_that_drives_a_terminal() {
        let many = ["web1", "web2", "web3", "web4"];
        assert_eq!(alike("web", many.into_iter()), ["web1", "web2", "web3"]);
        assert_eq!(alike("web", ["web\n", "we\u{202e}"].into_iter()), [""; 0]);
    }

    #[test]
    fn a_word_without_its_kind_gets_it() {
        for (word, meant) in [
            ("198.19.0.2", "ip:198.19.0.2"),
            ("198.19.0.2/24", "ip:198.19.0.2"),
            ("[fd00::2]", "ip:fd00::2"),
            ("fe80::1%eth0", "ip:fe80::1%eth0"),
            ("02:42:ac:11:00:05", "mac:02:42:ac:11:00:05"),
            ("0242.ac11.0005", "mac:0242.ac11.0005"),
            ("veth5149ce6@if2", "veth:veth5149ce6@if2"),
            ("eth0@if98", "veth:eth0@if98"),
            ("veth12ab", "veth:veth12ab"),
        ] {
            assert_eq!(with_kind(word).as_deref(), Some(meant));
            assert!(meant.parse::<Target>().is_ok(), "{meant}");
        }
        for word in ["nginx", "0242ac110005", "web@db", "1.2.3", "a:b"] {
            assert_eq!(with_kind(word), None, "{word}");
        }
    }
}
