//! The command line of netns-ls. Uses only clap, std and `common`, so that manuals are made from it.

use std::path::PathBuf;

use clap::{Parser, ValueEnum, ValueHint};
use common::cli::{FindOptions, TARGETS};

/// Show which container is plugged into what, on the whole host
#[derive(Debug, Parser)]
#[command(name = "netns-ls", version, max_term_width = 80, disable_help_flag = true)]
#[command(
    override_usage = "netns-ls [OPTIONS] [WORD...]\n       netns-ls [OPTIONS] --path A B\n       netns-ls [OPTIONS] --bridges | --tree | --namespaces | --why\n       netns-ls [OPTIONS] --graph FORMAT | --html\n       netns-ls [OPTIONS] --watch | --diff FILE"
)]
#[command(after_help = format!("{WORDS_IN_SHORT}\n\n{EXAMPLES}"))]
#[command(after_long_help = format!("{WORDS}\n\n{TARGETS}\n\n{EXAMPLES}"))]
pub struct Cli {
    /// What to show: all network namespaces, or what these words mean
    #[arg(value_name = "WORD", hide = true, value_hint = ValueHint::Other)]
    pub words: Vec<String>,

    /// Include loopback, and the host's ends of veth pairs
    ///
    /// Without it the list of all namespaces leaves out a loopback interface that has only loopback addresses, and the host's
    /// end of a veth pair that has no address of its own: it is named in the line of the other end. A namespace that has
    /// nothing else is listed with its loopback interface.
    #[arg(short, long, conflicts_with_all = VIEWS)]
    pub all: bool,

    /// Show bridges, their ports, and the containers at them
    ///
    /// What `brctl show` showed, of all network namespaces. A bridge without ports has one line.
    #[arg(long, conflicts_with_all = ["words", "path", "tree", "graph", "html", "namespaces", "watch", "diff"])]
    pub bridges: bool,

    /// Show the veth pairs and bridges between two containers
    ///
    /// A and B are TARGETs, or words as below. Each line is one interface on the shortest way. If the way leads through a namespace
    /// that has to route, a note says so; whether it does, and whether a firewall lets it, is not checked. A macvlan and its own
    /// host do not reach each other through the interface that it is on, so that is no way. Exit status 1 if there is none.
    #[arg(long, num_args = 2, value_names = ["A", "B"], value_hint = ValueHint::Other)]
    #[arg(conflicts_with_all = ["words", "tree", "graph", "html", "namespaces", "watch", "diff"])]
    pub path: Option<Vec<String>>,

    /// Show who is plugged into what as a tree
    #[arg(long, conflicts_with_all = ["words", "graph", "html", "namespaces", "watch", "diff"])]
    pub tree: bool,

    /// Show who listens on which port, and published ports
    ///
    /// A line for each port that something listens on, or that a rule or a proxy of Docker's forwards: where it leads to, by what, and
    /// whether anything listens there. Sockets are read from the kernel in each network namespace, what is forwarded from the rules
    /// of nftables and iptables themselves. With words only the ports of what they mean.
    #[arg(long, conflicts_with_all = ["all", "bridges", "path", "tree", "namespaces", "watch", "diff"])]
    pub ports: bool,

    /// Draw it as a picture
    ///
    /// Containers on the left, bridges in the middle, the host and its way out on the right. SVG is for browsers and documents, and
    /// is light or dark as its reader prefers; dot(1) makes other formats: `netns-ls --graph dot | dot -Tpdf`.
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["words", "html", "namespaces", "watch", "diff", "json"])]
    pub graph: Option<GraphFormat>,

    /// Draw it as a page to search and click in
    ///
    /// One HTML file that needs nothing from any network: `netns-ls --html >map.html`. With details of each namespace: processes,
    /// addresses, ports, routes, and the findings of --why.
    #[arg(long, conflicts_with_all = ["words", "namespaces", "watch", "diff", "json"])]
    pub html: bool,

    /// Show namespaces of all eight kinds, as lsns(8) does
    ///
    /// Each with the number of its processes, the first of them, the user who owns it, and the containers whose first process
    /// is in it.
    #[arg(long, conflicts_with_all = ["words", "watch", "diff"])]
    pub namespaces: bool,

    /// Find what is wrong, and print the commands that fix it
    ///
    /// Published ports that nobody listens at, firewalls that drop what nobody meant, networks that overlap, MTUs, duplicate
    /// addresses, routes, bridges, IPv6, leftovers: the section "Findings" of the manual has all of them. Nothing is sent and nothing is changed: each
    /// finding is one that is proven by what is there. Exit status 1 if there is any, 0 if there is none, 2 if there is none and not everything
    /// could be looked at. With --json they are in the field `findings`.
    #[arg(long, conflicts_with_all = ["words", "all", "bridges", "path", "tree", "namespaces", "watch", "diff"])]
    #[arg(conflicts_with_all = ["routes", "rules", "neigh", "fdb", "programs", "sockets", "fw"])]
    pub why: bool,

    /// Show routes, of all tables but the kernel's own
    ///
    /// With this and the options below, what they name is shown instead of interfaces: of each word's namespace, or of all, in
    /// which case a column says whose. With --json it is in the field `details`.
    #[arg(long, conflicts_with_all = VIEWS)]
    pub routes: bool,

    /// Show the rules of policy routing
    #[arg(long, conflicts_with_all = VIEWS)]
    pub rules: bool,

    /// Show neighbours (ARP, ND), and who has each MAC
    #[arg(long, conflicts_with_all = VIEWS)]
    pub neigh: bool,

    /// Show the forwarding tables of bridges
    #[arg(long, conflicts_with_all = VIEWS)]
    pub fdb: bool,

    /// Show what is attached to interfaces: XDP, tc, BPF
    ///
    /// XDP and tc programs and filters, queueing disciplines that are not the kernel's default, and the BPF programs of the control groups of the
    /// processes in the namespace. They are listed, not judged.
    #[arg(long, conflicts_with_all = VIEWS, hide_short_help = true)]
    pub programs: bool,

    /// Show sockets of TCP and UDP, and their processes
    ///
    /// Those that listen, and all connections: what ss(8) shows. --ports shows what can be reached.
    #[arg(long, conflicts_with_all = VIEWS, hide_short_help = true)]
    pub sockets: bool,

    /// Show the rules of nftables and iptables, with counters
    ///
    /// As `nft` and the iptables that owns the chain print them. The host's programs are run in the namespace.
    #[arg(long, conflicts_with_all = VIEWS)]
    pub fw: bool,

    /// Print changes as they happen
    ///
    /// One line for each: `nginx: eth1 10.1.0.2/24 added`. Events of the kernel and of the engines wake it. A namespace to which
    /// no interface of the host leads sends no events; it is looked at every two seconds. What comes and goes between two looks is not
    /// shown. An interrupt ends it, with status 0.
    #[arg(short, long, conflicts_with_all = ["words", "diff"])]
    pub watch: bool,

    /// Print what changed since FILE, which --json has made
    ///
    /// The lines of --watch. Exit status 1 if anything changed. With `-` it is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "words")]
    pub diff: Option<PathBuf>,

    /// Print JSON
    ///
    /// One object, with everything, also with --bridges and --tree. With --path its field `path` has the way. With --namespaces
    /// it is an array of objects, with --watch and --diff one object per line.
    #[arg(long)]
    pub json: bool,

    /// No header above a table, and no notes
    ///
    /// Without notes nothing says what could not be seen. Errors are printed all the same.
    #[arg(short, long)]
    pub quiet: bool,

    #[command(flatten)]
    pub find: FindOptions,
}

/// What draws the picture of `--graph`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// A browser
    Svg,
    /// Graphviz
    Dot,
}

/// The options that say what to show, other than a list of interfaces.
const VIEWS: [&str; 8] = ["bridges", "path", "tree", "graph", "html", "namespaces", "watch", "diff"];

/// What a word may be. Decided in `meaning.rs`.
const WORDS: &str = "\
WORD:
  nginx                 any TARGET: everything in its network namespace
  veth077b91e           an interface of the host: its other end
  docker0               a bridge of the host: what is plugged into it
  172.17.0.3 02:42:ac:11:00:03
                        the interfaces that have this address
  :8080 :53/udp 172.17.0.3:80 [fd00::5]:80
                        the port: who listens there";

/// The same in `-h`.
const WORDS_IN_SHORT: &str = "\
WORD: any TARGET (nginx, docker:nginx, netns:NAME ...), an interface of the host,
      an address, a MAC, a port (:8080); --help has all forms";

const EXAMPLES: &str = "\
Examples:
  netns-ls                       which container is plugged into what
  netns-ls veth077b91e           the container at the other end
  netns-ls --path web db         the veth pairs and bridges between two";
