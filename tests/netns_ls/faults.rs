//! Whatever the kernel refuses, and whenever: what is shown is what is there, or a line says what was not seen. Observer: the
//! same view without a fault.

use std::fs;
use std::time::Duration;

use support::fake_docker;
use support::run::Run;
use support::skip::{need, program};
use support::{tier, tools};

use crate::Bridged;

/// The views; those after the empty line where all is tested.
const JOBS: &str = "\
--all
--bridges
--ports
--path web db
--routes

--tree
--neigh
--fdb
--rules web
";

/// `JOBS TOOL ALL`: prints each case that went wrong, and how many there were.
///
/// Left out are memory, what the standard library and tokio have to have, and what says why. Of every other call the first is
/// refused, one in the middle, and all from there on; with ALL each one.
const SCRIPT: &str = r#"
tool=$2 all=$3
left_out='execve|exit|exit_group|mmap|munmap|mremap|mprotect|brk|arch_prctl|set_tid_address|sigaltstack|rt_sigreturn|futex|poll|pread64|rt_sigaction|getrandom|close|clock_nanosleep|epoll_wait|write|wait4|vfork|clone|clone3'
one() {
    inject=$1; expected=$2; shift 2
    printed=/run/printed.$BASHPID
    said=$(timeout -s KILL 20 strace -qq -o /dev/null -e inject="$inject" "$@" 2>&1 >"$printed"); status=$?
    cmp -s "$printed" "$expected" && same=yes || same=no
    rm "$printed"
    case $status:$same:$said in
        *panicked*) ;;
        0:yes:*) return ;;
        # What is missing is said, on top of what is said without a fault.
        0:no:*netns-ls:*) [ "$said" = "$(cat "$expected.said")" ] || return ;;
        # A thread that cannot come back from another network must not go on.
        134:*"cannot return to net:["*) return ;;
        1:no:*netns-ls:*|2:*:*netns-ls:*) return ;;
        # The program is not linked statically for tests.
        127:*"error while loading shared libraries"*) return ;;
    esac
    echo "$inject ${*:2}: status $status, same: $same: $said"
}
export -f one
jobs=0
while read -r words; do
    jobs=$((jobs + 1)) expected=/run/expected.$jobs
    strace -qq -o /run/calls "$tool" --engine-timeout=10s $words >$expected 2>$expected.said || { echo "$words: $(cat $expected.said)"; continue; }
    sed -E 's/\(.*//' /run/calls | grep -xE '[a-z0-9_]+' | grep -v ^syscall_ | grep -vxE "$left_out" | sort | uniq -c |
    while read -r count call; do
        errors=(EPERM ENOMEM EMFILE EACCES EINTR EIO)
        middle=$((count / 2 + 1))
        whens=(1 "$middle" "$middle+")
        # A step into another namespace is where a look can fail the second time.
        case $call in setns) whens=($(seq "$count")) ;; esac
        [ -z "$all" ] || whens=($(seq "$count") $(seq -f '%g+' "$count"))
        for when in "${whens[@]}"; do
            error=${errors[$((turn++ % ${#errors[@]}))]}
            # For ever interrupted is what no kernel does.
            case $error$when in EINTR*+) error=ENOBUFS ;; esac
            echo "$call:error=$error:when=$when $expected $tool --engine-timeout=1s $words"
        done
    done
done <"$1" >/run/cases
grep -v :error= /run/cases
xargs -P 3 -L 1 bash -c 'one "$@"' one < <(grep :error= /run/cases)
echo "$(grep -c :error= /run/cases) cases"
"#;

/// At every call of every view where all is tested, which takes a few minutes.
#[test]
fn whatever_the_kernel_refuses_nothing_is_missing_without_a_word() {
    need!(program("strace", "strace"));
    let bridged = need!(Bridged::new(&["web", "db"]));
    let [web, db] = bridged.containers.as_slice() else { panic!() };
    // A veth pair between the two: both ends are outside the host, which is asked about a second time.
    let script = format!(
        "ip link add x1 netns {} type veth peer name x2 netns {}; ip netns add blue; ip -n blue link set lo up",
        web.pid, db.pid
    );
    bridged.lab.shell(&script).run().ok();
    web.ip("neigh add 198.18.0.77 lladdr 02:00:00:00:00:77 dev eth0");
    let _docker = fake_docker::knows(&[web, db]).listen(bridged.lab.path("/run/docker.sock"));
    let (some, more) = JOBS.split_once("\n\n").unwrap();
    let more = if tier::is_all() { more } else { "" };
    fs::write(bridged.lab.path("/run/jobs"), format!("{some}\n{more}")).unwrap();
    let all = if tier::is_all() { "all" } else { "" };
    let mut script = bridged.lab.command("bash");
    script.args(["-c", SCRIPT, "faults", "/run/jobs", tools::tool("netns-ls"), all]);
    let ran = script.run_within(Duration::from_secs(900)).ok();
    assert!(ran.text().ends_with(" cases") && ran.text().lines().count() == 1, "{ran}");
    println!("{}", ran.text());
}
