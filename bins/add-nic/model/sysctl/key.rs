//! `--sysctl KEY=VALUE`: settings of a network namespace, as sysctl(8) names them. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What stands for the new NIC's name in a key.
const THE_NIC: &str = "IF";

/// The name of a setting: its path below `/proc/sys`, which begins with `net/` and leads nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SysctlKey(String);

/// Why a word is none, or not one to set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no `=` in it.
    #[error("not KEY=VALUE, for example net.ipv4.conf.IF.rp_filter=2")]
    NoValue,
    /// A setting that all namespaces share.
    #[error("not a network setting: these begin with net.")]
    NotOfANetwork,
    /// A path that leads somewhere else, or has an empty part.
    #[error("not a valid setting name")]
    NoName,
    /// A value of several lines, or with something in it that no setting takes.
    #[error("control character in the value")]
    Control,
}

impl FromStr for SysctlKey {
    type Err = SettingError;

    /// As sysctl(8): if a dot comes first, dots part the name and a slash is a dot in it; otherwise the other way round.
    fn from_str(word: &str) -> Result<Self, SettingError> {
        let swapped = |c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        };
        let path: String = match word.find(['.', '/']).map(|at| word.as_bytes()[at]) {
            Some(b'.') => word.chars().map(swapped).collect(),
            _ => word.to_owned(),
        };
        let mut parts = path.split('/');
        if parts.next() != Some("net") || parts.clone().next().is_none() {
            return Err(SettingError::NotOfANetwork);
        }
        let is_odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(char::is_control);
        if parts.any(is_odd) || path.len() > 255 {
            return Err(SettingError::NoName);
        }
        Ok(SysctlKey(path))
    }
}

impl TryFrom<String> for SysctlKey {
    type Error = SettingError;

    fn try_from(path: String) -> Result<Self, SettingError> {
        path.parse()
    }
}

impl From<SysctlKey> for String {
    fn from(key: SysctlKey) -> String {
        key.0
    }
}

/// With slashes, which sysctl(8) takes too, and which leave a dot in a link's name alone.
impl fmt::Display for SysctlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SysctlKey {
    /// That setting of one link: `SysctlKey::of_link("ipv4", &link, "rp_filter")`.
    pub fn of_link(family: &str, link: &str, setting: &str) -> Self {
        SysctlKey(format!("net/{family}/conf/{link}/{setting}"))
    }

    /// A setting of the whole namespace.
    pub fn of_network(setting: &str) -> Self {
        SysctlKey(format!("net/{setting}"))
    }

    /// With the NIC's name for `IF`.
    pub fn about(&self, nic: &str) -> Self {
        let parts = self.0.split('/').map(|part| if part == THE_NIC { nic } else { part });
        SysctlKey(parts.collect::<Vec<_>>().join("/"))
    }

    /// The link that it is a setting of, and goes with: net/ipv4/conf/LINK/rp_filter, net/ipv6/neigh/LINK/….
    pub fn link(&self) -> Option<&str> {
        let mut parts = self.0.split('/').skip(2);
        let link = parts.next().filter(|part| matches!(*part, "conf" | "neigh")).and(parts.next());
        link.filter(|link| !matches!(*link, "all" | "default"))
    }

    /// Whether it makes a router of the whole network, which others on the host may need too.
    pub fn is_forwarding(&self) -> bool {
        matches!(self.0.as_str(), "net/ipv4/ip_forward" | "net/ipv6/conf/all/forwarding")
    }

    /// The same of its link under another name.
    pub fn with_link(&self, name: &str) -> Self {
        match self.link() {
            Some(link) if link != name => {
                let mut parts: Vec<&str> = self.0.split('/').collect();
                // net/FAMILY/conf/LINK/…
                if let Some(part) = parts.get_mut(3) {
                    *part = name;
                }
                SysctlKey(parts.join("/"))
            }
            _ => self.clone(),
        }
    }

    /// The same of links that are yet to be: what a new one starts with, and where it shows that there is such a setting.
    pub fn of_new_links(&self) -> Self {
        let whose = self.link();
        let parts = self.0.split('/').map(|part| if Some(part) == whose { "default" } else { part });
        SysctlKey(parts.collect::<Vec<_>>().join("/"))
    }
}

/// KEY=VALUE, as it is asked for: the key may have `IF` in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlSetting {
    pub key: SysctlKey,
    pub value: String,
}

impl FromStr for SysctlSetting {
    type Err = SettingError;

    fn from_str(word: &str) -> Result<Self, SettingError> {
        let (key, value) = word.split_once('=').ok_or(SettingError::NoValue)?;
        if value.contains(char::is_control) {
            return Err(SettingError::Control);
        }
        Ok(SysctlSetting { key: key.trim().parse()?, value: value.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(word: &str) -> Result<String, SettingError> {
        word.parse::<SysctlKey>().map(|key| key.to_string())
    }

    #[test]
    fn dots_and_slashes_part_a_key_as_sysctl_has_it() {
        assert_eq!(key("net.ipv4.conf.IF.rp_filter").unwrap(), "net/ipv4/conf/IF/rp_filter");
        assert_eq!(key("net/ipv4/conf/eth0.5/rp_filter").unwrap(), "net/ipv4/conf/eth0.5/rp_filter");
        assert_eq!(key("net.ipv4.conf.eth0/5.rp_filter").unwrap(), "net/ipv4/conf/eth0.5/rp_filter");
    }

    #[test]
    fn what_is_not_a_networks_or_leads_elsewhere_is_none() {
        for word in
            ["kernel.core_pattern", "vm/swappiness", "", "net", "ipv4.ip_forward", "/net/ipv4/x", "..", "=1"]
        {
            assert_eq!(key(word), Err(SettingError::NotOfANetwork), "{word}");
        }
        for word in [
            "net/../kernel/core_pattern",
            "net.",
            "net..x",
            "net/./x",
            "net/ipv4/",
            "net.a\nb",
            "net.//.kernel",
        ] {
            assert_eq!(key(word), Err(SettingError::NoName), "{word}");
        }
    }

    #[test]
    fn if_is_the_nic_and_its_settings_go_with_it() {
        let setting: SysctlSetting = "net.ipv6.conf.IF.accept_ra = 0".parse().unwrap();
        let key = setting.key.about("eth0.5");
        assert_eq!(
            (key.to_string().as_str(), setting.value.as_str()),
            ("net/ipv6/conf/eth0.5/accept_ra", "0")
        );
        assert_eq!(key.link(), Some("eth0.5"));
        assert_eq!(key.with_link("conf").to_string(), "net/ipv6/conf/conf/accept_ra");
        let link = |word: &str| word.parse::<SysctlKey>().unwrap().link().map(str::to_owned);
        assert_eq!(link("net.ipv4.neigh.eth1.gc_stale_time").as_deref(), Some("eth1"));
        for whole in ["net.ipv4.conf.all.rp_filter", "net.ipv4.ip_forward", "net.ipv4.conf.default.rp_filter"]
        {
            assert_eq!(link(whole), None);
        }
    }

    #[test]
    fn what_is_no_setting_says_why() {
        assert_eq!("net.ipv4.ip_forward".parse::<SysctlSetting>(), Err(SettingError::NoValue));
        assert_eq!("net.ipv4.x=a\nb".parse::<SysctlSetting>(), Err(SettingError::Control));
        assert_eq!("kernel.panic=1".parse::<SysctlSetting>(), Err(SettingError::NotOfANetwork));
    }
}
