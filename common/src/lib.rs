//! What the tools of netns-toolbox share: finding a container, holding its namespaces, and reading and changing what is in
//! them. Nothing lives here that only one tool uses.
//!
//! Each module imports only those above it in this list; `tests/layers` keeps that so.
//!
//! | module | what it owns |
//! |---|---|
//! | [`sys`] | the system calls that no crate wraps: the only unsafe code |
//! | [`sign`] | arrows and other signs, and what stands for them in a locale without UTF-8 |
//! | [`output`] | text for terminals: escaping, quoting, tables |
//! | [`mountinfo`] | the lines of `/proc/PID/mountinfo` |
//! | [`cidr`] | an address with its prefix length |
//! | [`target`] | what a user may type for a container: [`Target`](target::Target), names, addresses |
//! | [`hint`](mod@hint) | the line `hint:` below a message, safe to paste into a shell |
//! | [`typed`] | the command line, and the ones that hints make of it |
//! | [`json`] | JSON on standard output |
//! | [`failure`] | why a tool cannot go on, and its exit status: [`Failure`](failure::Failure) |
//! | [`namespace`] | a namespace, held open: [`Namespace`](namespace::Namespace) |
//! | [`process`] | a process, held by its pidfd: [`Process`](process::Process) |
//! | [`program`] | the host's firewall programs, run with limits of time and output |
//! | [`netlink`] | links, addresses, routes, rules and nftables: [`Socket`](netlink::Socket) |
//! | [`packet`] | probes and their replies: ARP, neighbour discovery, ICMP |
//! | [`probe`] | probes under way: the loop that sends, waits and listens, and what was sent |
//! | [`view`] | a target's resolver, `/sys` and `/proc` for a program of the host |
//! | [`firewall`] | the chains and rules of a namespace's packet filters, as their programs write them |
//! | [`dns`] | names as a container resolves them, by its files and its name servers |
//! | [`engine`] | the container engines, a file each: [`Engine`](engine::Engine) |
//! | [`events`] | waits until containers may have changed |
//! | [`netns`] | the names in `/run/netns`, as `ip netns` has them, and our records of them |
//! | [`map`] | all network namespaces of the host, and which has an address |
//! | [`diagnose`] | the judge: from evidence about a probe to its cause, a sentence and what helps; from that about a host to what is wrong |
//! | [`find`] | from a [`Target`](target::Target) to what cannot change any more: [`FoundTarget`](find::FoundTarget) |
//! | [`ports`] | which ports there are in all network namespaces: what listens, and what is published |
//! | [`manual`] | a manual that is part of the program, shown |
//! | [`cli`] | the options and help texts that tools share |
//! | [`each`] | a pattern for several containers, and those that fit it |

#[forbid(unsafe_code)]
pub mod cidr;
#[forbid(unsafe_code)]
pub mod cli;
#[forbid(unsafe_code)]
pub mod diagnose;
#[forbid(unsafe_code)]
pub mod dns;
#[forbid(unsafe_code)]
pub mod each;
#[forbid(unsafe_code)]
pub mod engine;
#[forbid(unsafe_code)]
pub mod events;
#[forbid(unsafe_code)]
pub mod failure;
#[forbid(unsafe_code)]
pub mod find;
#[forbid(unsafe_code)]
pub mod firewall;
#[forbid(unsafe_code)]
pub mod hint;
#[forbid(unsafe_code)]
pub mod json;
#[forbid(unsafe_code)]
pub mod manual;
#[forbid(unsafe_code)]
pub mod map;
#[forbid(unsafe_code)]
pub mod mountinfo;
#[forbid(unsafe_code)]
pub mod namespace;
#[forbid(unsafe_code)]
pub mod netlink;
#[forbid(unsafe_code)]
pub mod netns;
#[forbid(unsafe_code)]
pub mod output;
#[forbid(unsafe_code)]
pub mod packet;
#[forbid(unsafe_code)]
pub mod ports;
#[forbid(unsafe_code)]
pub mod probe;
#[forbid(unsafe_code)]
pub mod process;
#[forbid(unsafe_code)]
pub mod program;
#[forbid(unsafe_code)]
pub mod sign;
pub mod sys;
#[forbid(unsafe_code)]
pub mod target;
#[forbid(unsafe_code)]
pub mod typed;
#[forbid(unsafe_code)]
pub mod view;

/// musl maps and unmaps memory for nearly every growing vector, which is a fifth of the time that a tool takes to
/// start. Why the binaries are musl's: docs/decisions/static-musl.md.
#[cfg(target_env = "musl")]
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
