//! Capabilities as people name them.

use common::failure::Failure;
use common::output::quotable;
use rustix::thread::{CapabilitySet, capabilities};

/// `NET_ADMIN,SYS_PTRACE`.
pub fn names(set: CapabilitySet) -> String {
    set.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(",")
}

/// The capabilities that a word of the command line means: `NET_ADMIN`, `cap_net_admin`, several of them with commas between,
/// `all`, which is all that we have.
///
/// # Errors
/// Says what is none.
pub fn parse(words: &[String]) -> Result<CapabilitySet, Failure> {
    let permitted = capabilities(None).map_err(|errno| Failure::failed("capabilities", errno))?.permitted;
    let one = |word: &str| {
        let upper = word.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        match name {
            "ALL" => Some(permitted),
            name => CapabilitySet::from_name(name),
        }
    };
    let mut words = words.iter().flat_map(|word| word.split(','));
    words.try_fold(CapabilitySet::empty(), |all, word| {
        let word = word.trim();
        let found = one(word).ok_or_else(|| {
            Failure::failed(format_args!("--cap-add {}", quotable(word)), "no such capability")
                .hint(common::sentence!("the names are in capabilities(7): NET_ADMIN, SYS_PTRACE, ..."))
        });
        Ok(all | found?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_named_as_people_name_it() {
        let parsed = |words: &[&str]| {
            parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).map_err(drop)
        };
        for word in ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_net_admin"] {
            assert_eq!(parsed(&[word]), Ok(CapabilitySet::NET_ADMIN));
        }
        let two = CapabilitySet::NET_ADMIN | CapabilitySet::SYS_PTRACE;
        assert_eq!(parsed(&["net_admin,sys_ptrace"]), Ok(two));
        assert_eq!(parsed(&["net_admin", "sys_ptrace"]), Ok(two));
        let ours = capabilities(None).unwrap().permitted;
        assert_eq!(parsed(&["All"]), Ok(ours), "all that we have, and no more");
        for word in ["", "NET", "CAP_", "NET_ADMIN;"] {
            assert_eq!(parsed(&[word]), Err(()), "{word}");
        }
    }
}
