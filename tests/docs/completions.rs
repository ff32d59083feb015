//! The completions of a tool: what clap knows of its options, and behind TAB the containers, interfaces and engines that there
//! are, which `cpid --complete` says.

use clap::{Arg, Command};
use clap_complete::{Shell, generate};

/// What stands at a place of a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// Containers and namespaces.
    Targets,
    /// Containers, and `gateway`.
    Dests,
    /// Containers, and the host's interfaces.
    Words,
    /// Names in /run/netns.
    Links,
    /// Engines.
    Engines,
    /// The host's bridges.
    Bridges,
    /// The host's interfaces.
    HostInterfaces,
    /// The interfaces of the first TARGET.
    Interfaces,
    /// A program of the host, with whatever it completes itself.
    Program,
    /// Nothing that is known beforehand.
    Nothing,
}

impl Offer {
    fn word(self) -> &'static str {
        match self {
            Offer::Targets => "targets",
            Offer::Dests => "dests",
            Offer::Words => "words",
            Offer::Links => "links",
            Offer::Engines => "engines",
            Offer::Bridges => "bridges",
            Offer::HostInterfaces => "host-interfaces",
            Offer::Interfaces => "interfaces",
            Offer::Program => "program",
            Offer::Nothing => "nothing",
        }
    }
}

/// What a tool's words are: the last of them again and again.
struct Offers {
    tool: &'static str,
    /// By the option's long name.
    options: &'static [(&'static str, Offer)],
    places: &'static [Offer],
    /// With --rm or --repair.
    removes: &'static [Offer],
}

const OFFERS: [Offers; 7] = [
    Offers { tool: "cpid", options: &[("engine", Offer::Engines)], places: &[Offer::Targets], removes: &[] },
    Offers {
        tool: "nsenter-rs",
        options: &[("target", Offer::Targets)],
        places: &[Offer::Program],
        removes: &[],
    },
    Offers { tool: "netns-link", options: &[], places: &[Offer::Targets], removes: &[Offer::Links] },
    Offers {
        tool: "add-nic",
        options: &[
            ("bridge", Offer::Bridges),
            ("peer", Offer::Targets),
            ("phys", Offer::HostInterfaces),
            ("macvlan", Offer::HostInterfaces),
            ("ipvlan", Offer::HostInterfaces),
        ],
        places: &[Offer::Targets, Offer::Nothing],
        removes: &[Offer::Targets, Offer::Interfaces],
    },
    Offers {
        tool: "netns-ping",
        options: &[("interface", Offer::Interfaces)],
        places: &[Offer::Targets, Offer::Dests],
        removes: &[],
    },
    Offers { tool: "netns-ls", options: &[], places: &[Offer::Words], removes: &[] },
    Offers { tool: "netns-trace", options: &[], places: &[Offer::Targets, Offer::Dests], removes: &[] },
];

/// Which tools have words that are known only at TAB.
pub fn tools() -> Vec<&'static str> {
    OFFERS.iter().map(|offers| offers.tool).collect()
}

/// The file of that shell.
pub fn completion(command: &Command, name: &str, shell: Shell) -> String {
    let mut text = Vec::new();
    generate(shell, &mut command.clone(), name, &mut text);
    let text = without_hidden(&String::from_utf8(text).unwrap());
    let offers = OFFERS
        .iter()
        .find(|offers| offers.tool == name)
        .unwrap_or_else(|| panic!("{name}: no line in OFFERS"));
    let options: Vec<(&Arg, Offer)> =
        offers.options.iter().map(|(long, offer)| (option(command, long), *offer)).collect();
    match shell {
        Shell::Bash => bash(text, command, offers, &options),
        Shell::Zsh => zsh(&text, command, offers, &options),
        Shell::Fish => fish(&text, command, offers, &options),
        other => panic!("no completions for {other}"),
    }
}

/// Without the option that nobody types.
fn without_hidden(text: &str) -> String {
    let is_hidden = |line: &&str| line.contains("--complete=") || line.contains(" -l complete ");
    let kept: Vec<&str> = text.lines().filter(|line| !is_hidden(line)).collect();
    kept.join("\n").replace(" --complete ", " ") + "\n"
}

fn option<'a>(command: &'a Command, long: &str) -> &'a Arg {
    let found = command.get_arguments().find(|arg| arg.get_long() == Some(long));
    found.unwrap_or_else(|| panic!("{}: no option --{long}", command.get_name()))
}

/// How an option is typed: `-t`, `--target`.
fn spellings(arg: &Arg) -> Vec<String> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    short.into_iter().chain(arg.get_long().map(|long| format!("--{long}"))).collect()
}

/// All options whose value, if there is one, is in the same word: `-n`, `-n/proc/1/ns/net`.
fn with_optional_value(command: &Command) -> Vec<&Arg> {
    let may = |arg: &&Arg| {
        arg.get_action().takes_values()
            && !arg.is_positional()
            && arg.get_num_args().is_some_and(|range| range.min_values() == 0)
    };
    command.get_arguments().filter(may).collect()
}

/// All options whose value is a word of its own.
fn with_value(command: &Command) -> Vec<String> {
    let takes = |arg: &&Arg| {
        let least = arg.get_num_args().map_or(1, |range| range.min_values());
        arg.get_action().takes_values() && !arg.is_positional() && !arg.is_hide_set() && least > 0
    };
    command.get_arguments().filter(takes).flat_map(spellings).collect()
}

/// Bash splits at colons and equals signs, clap's function knows options only: ours comes first.
fn bash(text: String, command: &Command, offers: &Offers, options: &[(&Arg, Offer)]) -> String {
    let name = offers.tool;
    let ours = format!("_{}_now", name.replace('-', "_"));
    let theirs = text.lines().find_map(|line| line.strip_suffix("() {")).unwrap().to_owned();
    let known: Vec<String> = options
        .iter()
        .map(|(arg, offer)| format!("            {}) kind={} ;;", spellings(arg).join(" | "), offer.word()))
        .collect();
    let other = with_value(command)
        .into_iter()
        .filter(|spelling| !options.iter().any(|(arg, _)| spellings(arg).contains(spelling)));
    let other: Vec<String> = other.collect();
    let places = |places: &[Offer]| places.iter().map(|offer| offer.word()).collect::<Vec<_>>().join(" ");
    let removes = match offers.removes {
        [] => String::new(),
        kinds => format!("            --rm | --repair) places=({}) ;;\n", places(kinds)),
    };
    let other = match other.is_empty() {
        true => String::new(),
        false => format!("            {}) kind=clap ;;\n", other.join(" | ")),
    };
    let known = if known.is_empty() { String::new() } else { known.join("\n") + "\n" };
    let table = format!("{known}{other}{removes}");
    let function = include_str!("completion.bash")
        .replace("@FUNCTION@", &ours)
        .replace("@CLAP@", &theirs)
        .replace("@PLACES@", &places(offers.places))
        .replace("            @TABLE@\n", &table);
    let (functions, end) = text.rsplit_once("\nif [[").unwrap();
    // Where nothing is known nothing is offered: files are not what stands there.
    let end = end
        .replace(&format!("-F {theirs} "), &format!("-F {ours} "))
        .replace(" -o bashdefault -o default", "");
    format!("{functions}\n{function}\nif [[{end}")
}

fn zsh(text: &str, command: &Command, offers: &Offers, options: &[(&Arg, Offer)]) -> String {
    let function = format!("_{}_now", offers.tool.replace('-', "_"));
    let action = |offer: Offer| match offer {
        Offer::Program => "_normal".to_owned(),
        Offer::Nothing => String::new(),
        offer => format!("{{{function} {}}}", offer.word()),
    };
    let mut made = String::new();
    let mut text = text.to_owned();
    for arg in with_optional_value(command) {
        let short = arg.get_short().map(|short| (format!("-{short}+["), format!("-{short}-[")));
        let long = arg.get_long().map(|long| (format!("--{long}=["), format!("--{long}=-[")));
        for (apart, together) in short.into_iter().chain(long) {
            text = text.replace(&apart, &together);
        }
    }
    for line in text.lines() {
        let option = options.iter().find(|(arg, _)| {
            spellings(arg).iter().any(|spelling| {
                let at = line.trim_start_matches('\'').split_once(spelling.as_str());
                at.is_some_and(|(before, after)| {
                    after.starts_with(['+', '=']) && (before.is_empty() || before.ends_with([')', '*']))
                })
            })
        });
        if let (Some((_, offer)), true) = (option, line.ends_with(":' \\")) {
            made += &format!("{}:{}' \\\n", &line[..line.len() - 4], action(*offer));
        } else if line.starts_with("'*::") {
            for (at, offer) in offers.places.iter().enumerate() {
                let is_last = at + 1 == offers.places.len();
                let place = match (is_last, offer) {
                    (true, Offer::Program) => "*:".to_owned(),
                    (true, _) => "*".to_owned(),
                    (false, _) => (at + 1).to_string(),
                };
                let removes =
                    offers.removes.get(at).map_or(String::new(), |offer| format!(" {}", offer.word()));
                let action = match offer {
                    // What is behind it is the program's own.
                    Offer::Program => "_normal".to_owned(),
                    Offer::Nothing if removes.is_empty() => String::new(),
                    offer => format!("{{{function} {}{removes}}}", offer.word()),
                };
                made += &format!("'{place}:{}:{action}' \\\n", offer.word());
            }
        } else if line.starts_with("(( $+functions[_") {
            made += &include_str!("completion.zsh").replace("@FUNCTION@", &function);
            made.push_str(line);
            made.push('\n');
        } else {
            made.push_str(line);
            made.push('\n');
        }
    }
    made
}

fn fish(text: &str, command: &Command, offers: &Offers, options: &[(&Arg, Offer)]) -> String {
    let name = offers.tool;
    let function = format!("__{}", name.replace('-', "_"));
    let asked = |offer: Offer| match offer {
        Offer::Program => format!("(__fish_complete_subcommand -- {})", with_value(command).join(" ")),
        Offer::HostInterfaces => "(cpid --complete interfaces 2>/dev/null)".to_owned(),
        Offer::Interfaces => format!("({function}_interfaces)"),
        Offer::Targets => format!("({function}_targets)"),
        Offer::Dests => format!("({function}_targets; echo gateway)"),
        Offer::Words => format!("({function}_targets; cpid --complete interfaces 2>/dev/null)"),
        offer => format!("(cpid --complete {} 2>/dev/null)", offer.word()),
    };
    let mut made = String::new();
    let optional = with_optional_value(command);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let is_it = |arg: &Arg| arg.get_long().is_some_and(|long| line.contains(&format!(" -l {long} ")));
        match options.iter().find(|(arg, _)| is_it(arg)) {
            Some((_, offer)) => {
                made += &format!("{} -x -a '{}'\n", line.trim_end_matches(" -r -f"), asked(*offer))
            }
            None if optional.iter().any(|arg| is_it(arg)) => {
                let (before, values) = line.rsplit_once(" -r").unwrap_or((line, ""));
                made += &format!("{before}\n");
                // The values that it may have go on over several lines.
                if values.matches('"').count() % 2 == 1 {
                    let _ = lines.by_ref().find(|line| line.ends_with('"'));
                }
            }
            None => made += &format!("{line}\n"),
        }
    }
    made += &include_str!("completion.fish").replace("@FUNCTION@", &function);
    made += &format!("complete -c {name} -f\n");
    let mut offer = |condition: &str, offer: Offer| {
        if offer != Offer::Nothing {
            made += &format!("complete -c {name} {condition}-a '{}'\n", asked(offer));
        }
    };
    let each = |kinds: &[Offer]| {
        let last = kinds.len().saturating_sub(1);
        kinds.iter().enumerate().map(|(at, kind)| (at, at == last, *kind)).collect::<Vec<_>>()
    };
    for (place, is_last, kind) in each(offers.places) {
        let unless = if offers.removes.is_empty() { "" } else { "not __fish_contains_opt rm repair" };
        let at = match (offers.places.len(), is_last) {
            (1, _) => String::new(),
            (_, true) => format!("test (count (__fish_print_cmd_args_without_options)) -gt {place}"),
            (_, false) => format!("test (count (__fish_print_cmd_args_without_options)) -eq {}", place + 1),
        };
        let conditions: Vec<&str> =
            [unless, &at].into_iter().filter(|condition| !condition.is_empty()).collect();
        match conditions.is_empty() {
            true => offer("", kind),
            false => offer(&format!("-n '{}' ", conditions.join("; and ")), kind),
        }
    }
    for (place, is_last, kind) in each(offers.removes) {
        let at = match (offers.removes.len(), is_last) {
            (1, _) => String::new(),
            (_, true) => format!("; and test (count (__fish_print_cmd_args_without_options)) -gt {place}"),
            (_, false) => {
                format!("; and test (count (__fish_print_cmd_args_without_options)) -eq {}", place + 1)
            }
        };
        offer(&format!("-n '__fish_contains_opt rm repair{at}' "), kind);
    }
    made
}
