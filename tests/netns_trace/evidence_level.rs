//! The levels of evidence that the tool can be told to use, and what it says at one of them.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use support::run::Run;
use support::tools;

use crate::inside_lab::{InsideLab, in_time};
use crate::rows::ProbeWords;

/// From the poorest to the richest: `--explain` sends nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EvidenceLevel {
    Explain,
    State,
    Perf,
    All,
}

impl EvidenceLevel {
    const ALL: [Self; 4] = [Self::Explain, Self::State, Self::Perf, Self::All];

    pub fn word(self) -> &'static str {
        match self {
            Self::Explain => "explain",
            Self::State => "state",
            Self::Perf => "perf",
            Self::All => "all",
        }
    }

    fn options(self) -> &'static str {
        match self {
            Self::Explain => "--explain",
            Self::State => "--evidence state",
            Self::Perf => "--evidence perf",
            Self::All => "",
        }
    }

    /// Those that this build has, by what its own help says.
    pub fn there() -> Vec<Self> {
        if !tools::names().contains(&"netns-trace") {
            return Vec::new();
        }
        let help = Command::new(tools::tool("netns-trace")).arg("--help").run().ok().stdout;
        let is_there = |level: &Self| match level {
            Self::Explain => help.contains("--explain"),
            Self::State | Self::Perf | Self::All => help.contains("--evidence"),
        };
        let wanted = std::env::var("NETNS_TOOLBOX_LEVEL").unwrap_or_default();
        let is_wanted =
            |level: &Self| wanted.is_empty() || wanted.split(',').any(|word| word == level.word());
        Self::ALL.into_iter().filter(|level| is_there(level) && is_wanted(level)).collect()
    }

    /// So many of a hundred faults have the right cause and hop at least: what was reached, and never less.
    pub fn least_percent(self) -> usize {
        match self {
            Self::All => 98,
            Self::State => 97,
            Self::Explain => 90,
            // Without addresses and namespaces it differs from run to run.
            Self::Perf => 90,
        }
    }

    /// The verdict for what works.
    pub fn works(self) -> &'static str {
        if self == Self::Explain { "passes" } else { "works" }
    }
}

/// What the tool said, or why that is no answer.
#[derive(Debug, Clone)]
pub struct TraceSaid {
    pub json: Value,
    pub text: String,
}

impl TraceSaid {
    /// Traces in the lab.
    #[track_caller]
    pub fn by(lab: &mut InsideLab, level: EvidenceLevel, probe: ProbeWords) -> Self {
        let (options, target, dest) = (probe.options, probe.target(), probe.dest);
        let ran = lab.run(&format!(
            "{} netns-trace --json {} {options} {target} '{dest}'",
            in_time(),
            level.options()
        ));
        let json = ran.said.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        TraceSaid {
            json: json.unwrap_or(Value::Null),
            text: format!("status {}: {}", ran.status, ran.said.trim()),
        }
    }

    pub fn verdict(&self) -> &str {
        self.json["verdict"].as_str().unwrap_or("nothing")
    }

    pub fn cause(&self) -> &str {
        self.json["cause"].as_str().unwrap_or("-")
    }

    pub fn fix(&self) -> Vec<String> {
        let commands = self.json["fix"].as_array().cloned().unwrap_or_default();
        commands.iter().map(|command| command.as_str().unwrap_or_default().to_owned()).collect()
    }

    pub fn advice(&self) -> &str {
        self.json["advice"].as_str().unwrap_or_default()
    }

    /// The hop, as a row has it.
    pub fn hop(&self, inodes: &BTreeMap<String, u64>) -> String {
        let hop = &self.json["hop"];
        let name = inodes.iter().find(|(_, inode)| hop["netns"].as_u64() == Some(**inode));
        let netns = name.map_or("?", |(name, _)| name);
        let part =
            |mark: &str, key: &str| hop[key].as_str().map(|word| format!("{mark}{word}")).unwrap_or_default();
        format!("{netns}{}{}", part("/", "ifname"), part("@", "hook"))
    }

    /// Whether the hop is that of a row: what it names has to be named.
    pub fn is_at(&self, expected: &str, inodes: &BTreeMap<String, u64>) -> bool {
        let netns = expected.split(['/', '@']).next().unwrap();
        let said = |key: &str| self.json["hop"][key].as_str();
        let is_netns = self.json["hop"]["netns"].as_u64() == inodes.get(netns).copied();
        let is_link = expected.split_once('/').is_none_or(|(_, ifname)| said("ifname") == Some(ifname));
        let is_hook = expected.split_once('@').is_none_or(|(_, hook)| said("hook") == Some(hook));
        is_netns && is_link && is_hook
    }
}
