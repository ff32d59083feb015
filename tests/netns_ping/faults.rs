//! Whatever the kernel refuses, and whenever: an exit status of ours, a line that says why, and an end.

use std::fs;
use std::time::Duration;

use crate::cable;
use support::fake_docker;
use support::name_server;
use support::run::Run;
use support::skip::{need, program};
use support::tier;
use support::tools;

/// A job of each kind.
const JOBS: &str = "\
PID 198.18.0.2 fd00::2 -c2 -i0.01 -W0.1
PID 198.18.0.2 -f -q -c200 -w1
PID api -c1 -W0.1
PID --arp -c2 -i0.01 -W0.1 198.18.0.2
PID --dad 198.18.0.2
PID --announce 198.18.0.1 fd00::1
PID 198.18.0.0/28 fd00::/124
PID --json 198.18.0.2 -c1 -W0.1
--matrix -W0.1
";

/// `JOBS TOOL PID ALL`: prints each case that went wrong, and how many there were.
///
/// Left out are what the standard library has to have (of getrandom(2) hash maps panic, of close(2) directories, of
/// clock_nanosleep(2) who sleeps), memory, for without it no program goes on, and what says why. Of every other call the first is refused, and all from the middle on; with ALL each one.
const SCRIPT: &str = r#"
tool=$2 pid=$3 all=$4
left_out='execve|exit|exit_group|mmap|munmap|mremap|mprotect|brk|arch_prctl|set_tid_address|sigaltstack|rt_sigreturn|futex|poll|pread64|rt_sigaction|getrandom|close|clock_nanosleep|write'
# one SECONDS INJECTION COMMAND…: SECONDS on an idle machine.
one() {
    seconds=$1 inject=$2; shift 2
    read -r load _ </proc/loadavg
    limit=$((seconds + seconds * ${load%.*} / $(nproc)))
    said=$(timeout -s KILL $limit strace -f -qq -o /dev/null -e inject="$inject" "$@" 2>&1 >/dev/null); status=$?
    case $status:$said in
        *panicked*) ;;
        # Others of these may have had the processors: once more, alone, with so much time that only what hangs is killed.
        137:*) if [ "$seconds" -lt "$alone" ]; then echo "$inject $*" >>/run/killed; return; fi ;;
        2:*netns-*:* | [01]:*) return ;;
        # In the wrong network it stops at once, whatever it was about.
        134:*"cannot return to"*) return ;;
        # The program is not linked statically for tests.
        127:*"error while loading shared libraries"*) return ;;
    esac
    echo "$inject $*: status $status: $said"
}
export -f one
export alone=60
while read -r words; do
    words=${words/PID/$pid}
    strace -f -qq -o /run/calls "$tool" $words >/dev/null 2>&1
    sed -E 's/^[0-9]+ +//; s/\(.*//' /run/calls | grep -xE '[a-z0-9_]+' | grep -vxE "$left_out" | sort | uniq -c |
    while read -r count call; do
        # What a call may fail with, each in its turn.
        errors=(EPERM ENOMEM EMFILE ENETDOWN EINTR EIO)
        middle=$((count / 2 + 1))
        whens=(1 "$middle+")
        [ -z "$all" ] || whens=($(seq "$count") $(seq -f '%g+' "$count"))
        for when in "${whens[@]}"; do
            error=${errors[$((turn++ % ${#errors[@]}))]}
            # For ever interrupted is what no kernel does.
            case $error$when in EINTR*+) error=ENOBUFS ;; esac
            echo "$call:error=$error:when=$when $tool $words"
        done
    done
done <"$1" >/run/cases
xargs -P 3 -L 1 bash -c 'one 6 "$@"' one </run/cases
[ ! -e /run/killed ] || xargs -L 1 bash -c 'one $alone "$@"' one </run/killed
echo "$(wc -l </run/cases) cases"
"#;

/// At every call of every job where all is tested, which takes a few minutes.
#[test]
fn whatever_the_kernel_refuses_it_ends_with_a_status_and_a_word() {
    need!(program("strace", "strace"));
    let cable = need!(cable());
    fs::write(cable.web.path("/etc/resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        .unwrap();
    let _docker = fake_docker::knows(&[&cable.web, &cable.db]).listen(cable.lab.path("/run/docker.sock"));
    let pid = cable.web.pid.to_string();
    let _server = name_server::start(&cable.lab, &["nsenter", "--target", &pid, "--net", "--"], "198.18.0.2");
    fs::write(cable.lab.path("/run/jobs"), JOBS).unwrap();
    let all = if tier::is_all() { "all" } else { "" };
    let mut script = cable.lab.command("bash");
    script.args(["-c", SCRIPT, "faults", "/run/jobs", tools::tool("netns-ping"), &pid, all]);
    let ran = script.run_within(Duration::from_secs(900)).ok();
    assert!(ran.text().ends_with(" cases") && ran.text().lines().count() == 1, "{ran}");
    println!("{}", ran.text());
}
