//! Names for the two ends. Pure.

use common::output::one_line;
use common::target::IfName;

/// IFNAMSIZ without the NUL.
const MOST: usize = 15;

/// The first free one of `prefix`0, `prefix`1, … after so many free ones that are `left` to others.
pub fn next_free(prefix: &str, left: usize, is_taken: impl Fn(&str) -> bool) -> Option<IfName> {
    let names = (0..10_000).map(|number| format!("{prefix}{number}"));
    names.filter(|name| !is_taken(name)).nth(left).and_then(|name| name.parse().ok())
}

/// The name of the host's end: after the container and the NIC, shortened where it must be, and with a number where
/// that is taken.
pub fn of_host_end(container: &str, nic: &IfName, is_taken: impl Fn(&str) -> bool) -> Option<IfName> {
    let usable = |c: &char| c.is_ascii_alphanumeric() || "_.-".contains(*c);
    let stem: String = container.chars().filter(usable).skip_while(|c| "-.".contains(*c)).collect();
    let stem = if stem.is_empty() { "nic".to_owned() } else { stem };
    // A long NIC's name would leave nothing of the container's.
    let ending = if nic.as_str().len() <= 8 { format!("-{nic}") } else { String::new() };
    let numbers = std::iter::once(String::new()).chain((2..10_000).map(|number| format!("~{number}")));
    let mut names = numbers.map(|number| {
        let room = MOST.saturating_sub(number.len() + ending.len());
        format!("{}{number}{ending}", &stem[..stem.len().min(room)])
    });
    names.find(|name| !is_taken(name)).and_then(|name| name.parse().ok())
}

/// What is written on the host's end, at most what an alias can hold.
pub fn alias(container: &str, nic: &IfName) -> String {
    let name: String = one_line(container).chars().take(60).collect();
    format!("add-nic: {nic} of {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_end(container: &str, nic: &str, taken: &[&str]) -> String {
        let name = of_host_end(container, &nic.parse().unwrap(), |name| taken.contains(&name)).unwrap();
        assert!(name.as_str().len() <= MOST);
        name.to_string()
    }

    #[test]
    fn the_next_free_one_fills_the_first_gap() {
        let next = |taken: &[&str]| next_free("eth", 0, |name| taken.contains(&name)).unwrap().to_string();
        assert_eq!(next(&["lo"]), "eth0");
        assert_eq!(next(&["lo", "eth0", "eth2"]), "eth1");
        let second = next_free("eth", 1, |name| ["eth0", "eth2"].contains(&name)).unwrap();
        assert_eq!(second.as_str(), "eth3");
    }

    #[test]
    fn the_hosts_end_is_named_after_the_container_and_the_nic() {
        assert_eq!(host_end("nginx", "eth1", &[]), "nginx-eth1");
        assert_eq!(host_end("default/shop/frontend", "eth1", &[]), "defaultsho-eth1");
        assert_eq!(host_end("größe", "eth1", &[]), "gre-eth1");
        assert_eq!(host_end("--x", "eth1", &[]), "x-eth1");
        assert_eq!(host_end("größe", "a-very-long-nic", &[]), "gre");
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        assert_eq!(host_end("nginx", "eth1", &["nginx-eth1"]), "nginx~2-eth1");
        assert_eq!(host_end("verylongname", "eth1", &["verylongna-eth1"]), "verylong~2-eth1");
        assert_eq!(host_end("nginx", "eth1", &["nginx-eth1", "nginx~2-eth1"]), "nginx~3-eth1");
    }
}
