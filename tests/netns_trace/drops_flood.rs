//! `--drops` beside floods: what is shown is right, what is too much is counted, and the end comes in time.

use support::skip::need;

use crate::drops::{count, lab, lines};
use crate::inside_lab::observers;

/// Two watches at once, and unrelated traffic as fast as this machine sends it.
#[test]
fn a_thousand_drops_beside_a_flood_are_each_on_the_right_container() {
    need!(observers());
    let mut lab = lab();
    lab.set_up(
        r#"iptables -A FORWARD -p udp --dport 9999 -m comment --comment "policy 42" -j DROP
        serve b mute 7777
        for n in a c d e; do within $n ping -nqc1 -W2 198.18.2.2 || exit 1; done
        watch one --json && watch two --json netns:c"#,
    )
    .unwrap();
    let ran = lab.run(
        r#"sent() { cat /sys/class/net/ve/statistics/rx_packets; }
        flood e 198.18.2.2 7777 & flood=$!
        for i in $(seq 600); do [ $(sent) -gt 5000 ] && break; sleep .05; done
        before=$(sent); begun=$(date +%s%N)
        throw a 400 198.18.2.2 9999; throw c 350 198.18.2.2 9999; throw d 250 198.18.2.2 9999
        sleep 1
        echo $((($(sent) - before) * 1000000000 / ($(date +%s%N) - begun)))
        kill $flood; wait $flood
        unwatch one; unwatch two
        iptables -nvxL FORWARD | awk '/policy 42/ { print $1 }'"#,
    );
    let said: Vec<&str> = ran.said.lines().filter(|line| !line.contains("Terminated")).collect();
    let [rate, by_iptables] = said[..] else { panic!("{}", ran.said) };
    assert_eq!(by_iptables, "1000", "the observer");
    let (all, summary) = lines(&mut lab, "one");
    let lost = summary["lost_packets"].as_u64().unwrap();
    eprintln!("--drops beside {rate} packets a second: {lost} lost");
    let of = |name: &str| {
        count(&all, |line| {
            line["from"]["container"] == name
                && line["to"]["port"] == 9999
                && line["hop"]["hook"] == "forward"
                && line["hop"]["container"] == "host"
                && line["cause"] == "filter-drop"
                && line["rule"].as_str().is_some_and(|rule| rule.contains("policy 42"))
        })
    };
    let found = [of("netns:a"), of("netns:c"), of("netns:d")];
    if lost == 0 {
        assert_eq!(found, [400, 350, 250], "{all:#?}");
    } else {
        assert!(found.iter().sum::<u64>() + lost >= 1000, "{found:?} and {lost}: {all:#?}");
    }
    // What the flood's receiver has no room for is dropped, too.
    let is_ours = |line: &serde_json::Value| line["to"]["port"] == 9999 && line["hop"]["container"] == "host";
    let others = count(&all, is_ours) - found.iter().sum::<u64>();
    assert_eq!(others, 0, "{all:#?}");
    // The other watch is of one container alone.
    let (all, summary) = lines(&mut lab, "two");
    assert!(count(&all, |_| true) + summary["lost_packets"].as_u64().unwrap() >= 350, "{all:#?}");
    assert!(all.iter().all(|line| line["from"]["container"] == "netns:c"), "{all:#?}");
}

/// The flood itself is dropped: what there was no room for is counted and said, and each packet is one or the other.
#[test]
fn what_is_too_much_is_counted_and_said() {
    need!(observers());
    let mut lab = lab();
    let ran = lab.run(
        r#"iptables -A FORWARD -p udp --dport 9998 -j DROP; watch much --json; watch text
        flood e 198.18.2.2 9998 & one=$!; flood c 198.18.2.2 9998 & two=$!
        sleep 2; kill $one $two; wait $one $two; sleep 1; unwatch much; unwatch text
        iptables -nvxL FORWARD | awk '/dpt:9998/ { print $1 }'"#,
    );
    let dropped: u64 = ran.said.lines().last().unwrap().parse().unwrap_or_else(|_| panic!("{}", ran.said));
    let (all, summary) = lines(&mut lab, "much");
    let shown = count(&all, |line| line["to"]["port"] == 9998 && line["hop"]["container"] == "host");
    let lost = summary["lost_packets"].as_u64().unwrap();
    eprintln!("--drops of {} packets a second: {shown} shown, {lost} lost of {dropped}", dropped / 2);
    assert!(shown <= dropped && shown + lost >= dropped, "{shown} and {lost} of {dropped}: {summary}");
    let is_wrong = |line: &serde_json::Value| {
        line["to"]["port"] == 9998
            && line["from"]["container"] != "netns:e"
            && line["from"]["container"] != "netns:c"
    };
    assert_eq!(count(&all, is_wrong), 0, "{all:#?}");
    // It need not lose as much as the other, and says what.
    let said = lab.run("cat /run/text").said;
    let number = |find: &dyn Fn(&str) -> Option<u64>| said.lines().find_map(find).unwrap_or(0);
    let shown = number(&|line| line.split_once(" dropped packets in ")?.0.parse().ok());
    let lost =
        number(&|line| line.strip_prefix("lost: the kernel dropped ")?.split(' ').next()?.parse().ok());
    // Beside a scan of many ports they may be no group of their own any more.
    let ungrouped = number(&|line| line.split_once(" packets of more kinds than ")?.0.parse().ok());
    assert!(shown + ungrouped + lost >= dropped, "{shown}, {ungrouped} and {lost} of {dropped}: {said}");
}

/// A scan of many ports that a thousand rules are asked about takes long to explain: what was not at the end is counted. Measured is
/// the work, for this machine may be busy.
#[test]
fn the_end_comes_at_once_and_what_was_not_read_by_then_is_counted() {
    need!(observers());
    let mut lab = lab();
    lab.set_up(
        "{ echo '*filter'; for i in $(seq 1000); do echo \"-A FORWARD -s 10.$((i / 250)).$((i % 250)).0/24 -j ACCEPT\"; done
        echo '-A FORWARD -p udp -j DROP'; echo COMMIT; } | iptables-restore; watch late --json",
    )
    .unwrap();
    let ran = lab.run(
        r#"kill -STOP $watch_late
        within a perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0); my $to = inet_aton("198.18.2.2");
            for (1 .. 4) { for (1 .. 30000) { send(S, "x", 0, pack_sockaddr_in($_, $to)) } }'
        dropped=$(iptables -nvxL FORWARD | awk '/DROP.*udp|DROP +17/ { print $1 }')
        times >/run/times; kill -INT $watch_late; kill -CONT $watch_late; wait $watch_late; times >>/run/times
        echo $dropped; perl -ne '/^(.*)m(.*)s (.*)m(.*)s/ and push @all, ($1 + $3) * 60 + $2 + $4; END { print $all[3] - $all[1] }' /run/times"#,
    );
    let said: Vec<&str> = ran.said.split_whitespace().collect();
    let [dropped, seconds] = said[..] else { panic!("{}", ran.said) };
    let (dropped, seconds): (u64, f64) = (dropped.parse().unwrap(), seconds.parse().unwrap());
    assert!(dropped >= 100_000, "the observer: {dropped}");
    let (all, summary) = lines(&mut lab, "late");
    let shown = count(&all, |line| line["from"]["container"] == "netns:a");
    let of = |field: &str| summary[field].as_u64().unwrap();
    let (lost, ungrouped) = (of("lost_packets"), of("ungrouped_packets"));
    eprintln!(
        "--drops ended after {seconds} s of work: {shown} shown, {ungrouped} and {lost} counted, of {dropped}"
    );
    assert!(shown <= dropped && shown + lost + ungrouped >= dropped, "{shown} of {dropped}: {summary}");
    assert!(shown > 0 && lost + ungrouped > 0, "all of it was explained, which proves nothing: {summary}");
    assert!(seconds <= 3.0, "{seconds}");
}
