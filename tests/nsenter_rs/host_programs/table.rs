//! About fifty programs that people take along into a container, each with what it says when it has done its job.

/// A program, its words, and how it is known that they did what they are for.
pub(crate) struct Case {
    pub(crate) words: &'static [&'static str],
    pub(crate) done: Done,
    /// What it needs that not every container has: then it is refused before it starts.
    pub(crate) needs: Option<&'static str>,
}

/// What is looked for in what it says on standard output and error; `{ADDRESS}`, `{GATEWAY}`, `{NAME}` and `{FILE}` are
/// the container's.
pub(crate) enum Done {
    /// It succeeds and says this.
    Says(&'static str),
    /// It says this; its status is about something else.
    Tells(&'static str),
    /// It succeeds, and there is nothing to say.
    Quietly,
}

use Done::{Quietly, Says, Tells};

const fn case(words: &'static [&'static str], done: Done) -> Case {
    Case { words, done, needs: None }
}

const fn with(needs: &'static str, words: &'static [&'static str], done: Done) -> Case {
    Case { words, done, needs: Some(needs) }
}

/// Large ones that the set-up does not fetch: tried where a machine has them.
pub(crate) const LARGE: [&str; 4] = ["bpftrace", "java", "node", "perf"];

/// In each container somebody serves port 8080, and pings itself.
pub(crate) const CASES: &[Case] = &[
    case(&["bash", "-c", "echo $((6*7))"], Says("42")),
    case(&["sh", "-c", "echo $((6*7))"], Says("42")),
    case(&["ls", "-l", "/"], Says(" proc\n")),
    case(&["id"], Says("uid=0")),
    case(&["ps", "ax"], Says("httpd")),
    case(&["top", "-bn1"], Says("Tasks:")),
    case(&["ss", "-tlnp"], Says(":8080")),
    case(&["ip", "addr"], Says("{ADDRESS}")),
    case(&["ip", "-d", "link"], Says("veth")),
    case(&["ip", "route"], Says("default via {GATEWAY}")),
    case(&["tc", "qdisc"], Says("noqueue")),
    case(&["bridge", "link"], Quietly),
    case(&["ethtool", "-k", "eth0"], Says("tx-checksumming")),
    with("NET_ADMIN", &["nft", "list", "ruleset"], Quietly),
    with("NET_ADMIN", &["iptables", "-S"], Says("-P INPUT")),
    with("NET_ADMIN", &["conntrack", "-L"], Says("flow entries have been shown")),
    case(&["ping", "-c1", "127.0.0.1"], Says("1 received")),
    with("NET_RAW", &["arping", "-c1", "-I", "eth0", "{GATEWAY}"], Says("Received 1 response")),
    with("NET_RAW", &["fping", "-c1", "127.0.0.1"], Says("0% loss")),
    case(&["nmap", "-sn", "127.0.0.1"], Says("Host is up")),
    with("NET_RAW", &["tshark", "-D"], Says("eth0")),
    with("NET_RAW", &["tcpdump", "-c1", "-ni", "lo", "icmp"], Says("ICMP echo")),
    case(&["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://localhost:8080/"], Says("404")),
    case(&["wget", "-S", "-O", "/dev/null", "http://127.0.0.1:8080/"], Tells("404 Not Found")),
    case(&["openssl", "dgst", "-sha256", "{FILE}"], Says("SHA2-256")),
    case(&["ssh", "-o", "BatchMode=yes", "-p", "1", "127.0.0.1"], Tells("Connection refused")),
    case(&["git", "ls-remote", "https://127.0.0.1:1/x"], Tells("onnect to")),
    case(&["socat", "-u", "EXEC:echo 42", "-"], Says("42")),
    case(&["nc", "-zv", "127.0.0.1", "8080"], Says("succeeded")),
    case(&["dig", "+time=1", "+tries=1", "-p", "1", "@127.0.0.1", "x"], Tells("connection refused")),
    case(&["host", "-W1", "-p", "1", "x", "127.0.0.1"], Tells("127.0.0.1#1")),
    case(&["nslookup", "-version"], Says("nslookup")),
    case(&["strace", "-c", "true"], Says("execve")),
    case(
        &["timeout", "-s", "INT", "1", "strace", "-e", "trace=poll", "-p", "1"],
        Tells("Process 1 attached"),
    ),
    case(&["gdb", "-batch", "-ex", "python print(6*7)"], Says("42")),
    with("PERFMON", &["perf", "stat", "true"], Says("Performance counter stats")),
    case(&["lsof", "-p", "1"], Says(" cwd ")),
    case(&["python3", "-c", "import ssl,socket,ctypes,sqlite3,os; os.system('echo $((6*7))')"], Says("42")),
    case(&["perl", "-MPOSIX", "-e", "print floor(42.5)"], Says("42")),
    case(&["vim", "-es", "-u", "NONE", "-c", "verbose echo 6*7", "-c", "qa"], Says("42")),
    case(&["less", "-V"], Says("less ")),
    case(&["jq", "-n", "6*7"], Says("42")),
    case(&["java", "-version"], Says("Runtime Environment")),
    case(
        &[
            "node",
            "-e",
            "console.log(''+require('child_process').execFileSync(process.execPath,['-p','6*7']))",
        ],
        Says("42"),
    ),
    case(&["awk", "BEGIN{print 6*7}"], Says("42")),
    case(&["tar", "-cf-", "{FILE}"], Says("ustar")),
    case(&["date", "-u", "-d", "@0", "+%Y"], Says("1970")),
    case(&["locale"], Says("LC_CTYPE=")),
    case(&["sysctl", "net.ipv4.ip_forward"], Says("net.ipv4.ip_forward = ")),
    case(&["tmux", "-V"], Says("tmux ")),
    case(&["watch", "--version"], Says("watch ")),
    case(&["bpftrace", "--version"], Says("bpftrace ")),
    case(&["file", "{FILE}"], Says("ELF")),
    case(&["getent", "hosts", "localhost"], Says("localhost")),
    case(&["lsns"], Says("COMMAND")),
    with("SYS_ADMIN", &["nsenter", "-t", "1", "-n", "true"], Quietly),
    with("SYS_ADMIN", &["unshare", "-n", "true"], Quietly),
    case(&["tracepath", "-n", "127.0.0.1"], Says("reached")),
];

/// Others that people miss in a container, beyond the fifty.
pub(crate) const MORE: &[Case] = &[
    with("NET_RAW", &["arp-scan", "-I", "eth0", "{GATEWAY}"], Says("1 responded")),
    with("NET_RAW", &["mtr", "-r", "-c1", "-n", "127.0.0.1"], Says("127.0.0.1")),
    with("NET_RAW", &["tshark", "-i", "lo", "-c1", "-a", "duration:20"], Says("ICMP")),
    with("NET_ADMIN", &["ip6tables", "-S"], Says("-P INPUT")),
    with("NET_ADMIN", &["ebtables", "-L"], Says("Bridge chain")),
    with("NET_ADMIN", &["arptables", "-L"], Says("Chain INPUT")),
    with("NET_ADMIN", &["ipset", "list"], Quietly),
    with("NET_ADMIN", &["ip", "link", "set", "lo", "up"], Quietly),
    with("NET_ADMIN", &["tc", "qdisc", "replace", "dev", "lo", "root", "pfifo"], Quietly),
    case(&["iptables", "-V"], Says("iptables v")),
    case(&["git", "--exec-path"], Says("/bin")),
    case(&["script", "-qec", "echo $((6*7))", "/dev/null"], Says("42")),
    case(&["man", "--version"], Says("man ")),
    case(&["bash", "-c", "echo {a,b} | tr a-z A-Z | cat"], Says("A B")),
    case(
        &["python3", "-c", "import subprocess,sys; print(subprocess.getoutput(sys.executable+' -V'))"],
        Says("Python 3"),
    ),
    case(&["perl", "-e", "print `expr 40 + 2 | cat`"], Says("42")),
    case(
        &["node", "-e", "require('child_process').exec('expr 40 + 2 | cat',(e,o)=>console.log(o))"],
        Says("42"),
    ),
    case(
        &["vim", "-es", "-u", "NONE", "-c", "verbose echo system('expr 40 + 2 | cat')", "-c", "qa"],
        Says("42"),
    ),
    case(&["gdb", "-batch", "-ex", "shell expr 40 + 2 | cat"], Says("42")),
];
