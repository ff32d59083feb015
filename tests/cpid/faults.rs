//! Whatever the kernel refuses, and whenever: a look-up ends with the right PID, or with status 2 and a line that says why.
//! Never with another PID, and never with "no".

use std::fs;
use std::time::Duration;

use serde_json::json;

use support::engine_state::{Host, id};
use support::fake_docker;
use support::run::Run;
use support::skip::{need, program};
use support::tier;
use support::tools;

/// What the tool is asked, and what its first answer is taken to be: by the API, from the state on disk of several engines,
/// by a control group, and by name.
const JOBS: &str = "\
web
docker:web
--engine docker web
--inode web
pod:prod/shop
containerd:default/plain
plain
hand
machine:box
--of PID
";

/// `JOBS TOOL PID ALL`: prints each case that went wrong, and how many there were.
///
/// Left out are what the standard library has to have (of getrandom(2) hash maps panic, of close(2) directories), memory, for without it no program goes on, and what says why. Of every other call the
/// first is refused, one in the middle, and all from there on; with ALL each one.
const SCRIPT: &str = r#"
tool=$2 pid=$3 all=$4
left_out='execve|exit|exit_group|mmap|munmap|mremap|mprotect|brk|arch_prctl|set_tid_address|sigaltstack|rt_sigreturn|futex|poll|pread64|rt_sigaction|getrandom|close|clock_nanosleep|write'
one() {
    inject=$1; expected=$2; shift 2
    printed=/run/printed.$BASHPID
    said=$(timeout -s KILL 10 strace -f -qq -o /dev/null -e inject="$inject" "$@" 2>&1 >"$printed"); status=$?
    out=$(cat "$printed"); rm "$printed"
    case $status:$said in
        *panicked*) ;;
        0:*) [ "$out" != "$(cat "$expected")" ] || return ;;
        # It runs: that there is none would be wrong, too.
        2:*cpid:*) [ -n "$out" ] || return ;;
        # The program is not linked statically for tests.
        127:*"error while loading shared libraries"*) return ;;
    esac
    echo "$inject ${*:2}: status $status: '$out': $said"
}
export -f one
jobs=0
while read -r words; do
    words=${words/PID/$pid}
    jobs=$((jobs + 1)) expected=/run/expected.$jobs
    strace -f -qq -o /run/calls "$tool" --engine-timeout=10s $words >$expected 2>/run/why || { echo "$words: $(cat /run/why)"; continue; }
    sed -E 's/^[0-9]+ +//; s/\(.*//' /run/calls | grep -xE '[a-z0-9_]+' | grep -vxE "$left_out" | sort | uniq -c |
    while read -r count call; do
        # What a call may fail with, each in its turn. ESRCH is the kernel's word that a process has ended.
        errors=(EPERM ENOMEM EMFILE EACCES EINTR EIO)
        middle=$((count / 2 + 1))
        whens=(1 "$middle" "$middle+")
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

/// At every call of every job where all is tested, which takes a few minutes.
#[test]
fn whatever_the_kernel_refuses_no_other_process_is_found() {
    need!(program("strace", "strace"));
    let host = need!(Host::new());
    let (web, shop, plain) = (host.process("web"), host.process("shop"), host.process("plain"));
    let (hand, boxed) = (host.process("hand"), host.process("box"));
    let sandbox = json!({
        "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": id("5b"),
        "io.kubernetes.cri.sandbox-name": "shop", "io.kubernetes.cri.sandbox-namespace": "prod",
    });
    host.task("k8s.io", &id("5b"), shop.pid, &sandbox);
    host.task("default", "plain", plain.pid, &json!({}));
    host.runc_record("/run/runc/hand", hand.pid, host.start_time(hand.pid));
    let machine = format!("CLASS=container\nLEADER={}\nREALTIME=1700000000000000\n", boxed.pid);
    host.write("/run/systemd/machines/box", machine);
    let web_id = fake_docker::id_of("web");
    host.runc_record(&format!("/run/docker/runtime-runc/moby/{web_id}"), web.pid, host.start_time(web.pid));
    let _docker = fake_docker::knows(&[&web]).listen(host.path("/run/docker.sock"));
    fs::write(host.lab.path("/run/jobs"), JOBS).unwrap();
    let all = if tier::is_all() { "all" } else { "" };
    let mut script = host.lab.command("env");
    script.args(["NETNS_TOOLBOX_ROOT=/run/host", "bash", "-c", SCRIPT, "faults", "/run/jobs"]);
    script.args([tools::tool("cpid"), &web.pid.to_string(), all]);
    let ran = script.run_within(Duration::from_secs(900)).ok();
    assert!(ran.text().ends_with(" cases") && ran.text().lines().count() == 1, "{ran}");
    println!("{}", ran.text());
}
