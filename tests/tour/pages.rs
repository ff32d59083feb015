//! The pages, and what each takes for granted.

use support::skip::{Missing, need};

use crate::page::Form;
use crate::paste::paste;

/// A machine beside the host, as a LAN would be, by which the host reaches everything else.
pub const UPLINK: &str = "
    ip link add eth0 type veth peer name lan0
    ip netns add lan
    ip link set lan0 netns lan
    ip address add 192.0.2.5/24 dev eth0
    ip link set eth0 up
    ip -n lan address add 192.0.2.1/24 dev lan0
    ip -n lan link set lan0 up
    ip -n lan link set lo up
    ip route replace default via 192.0.2.1";

#[test]
fn the_tour_does_as_it_says_and_its_pictures_show_it() {
    need!(paste("docs/tour.md", Form::Markdown, UPLINK, &[]));
}

/// nginx and db on Docker's bridge, as the README and the guide have them.
const SHOP: &str = "
    docker run --detach --name nginx --publish 8080:80 netns-toolbox/busybox sh -c \
        'mkdir -p /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www'
    docker run --detach --name db netns-toolbox/busybox httpd -f -p 127.0.0.1:5432
    ip netns add blue";

const UNEQUAL: &str = "
    port=$(netns-ls -q nginx | sed -n 's/.*→ \\(veth[0-9a-f]*\\).*/\\1/p')
    ip link set \"$port\" mtu 1400
    nsenter-rs -t db -n ip route replace default via 172.17.0.99";
const WEB: &str = "
    ip link set \"$port\" mtu 1500
    nsenter-rs -t db -n ip route replace default via 172.17.0.1
    docker network create --subnet 198.19.2.0/24 shop
    docker run --detach --name web --network shop netns-toolbox/busybox sleep 1000
    docker network connect shop db";
const POLICY: &str = "
    for n in 1 2; do
        name=$(echo ab | cut -c$n)
        ip netns add $name
        ip link add v$name type veth peer name eth0 netns $name
        ip address add 198.18.$n.1/24 dev v$name
        ip link set v$name up
        ip -n $name address add 198.18.$n.2/24 dev eth0
        ip -n $name link set eth0 up
        ip -n $name route add default via 198.18.$n.1
    done
    iptables -P FORWARD ACCEPT
    iptables -I FORWARD -d 198.18.2.2 -p icmp -m comment --comment 'policy 42' -j DROP";

#[test]
fn the_readme_does_as_it_says() {
    let before = [("netns-ls --why", UNEQUAL), ("netns-ping web", WEB), ("netns-trace netns:a", POLICY)];
    need!(paste("README.md", Form::Markdown, SHOP, &before));
}

/// The table "Something is wrong": each command is one that can be pasted, and says something of what is there.
#[test]
fn each_command_of_the_readmes_table_of_problems_works() {
    let readme = std::fs::read_to_string(crate::paste::root("README.md")).unwrap();
    let table = readme.split("\n## Something is wrong\n").nth(1).unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells: Vec<&str> = rows.map_while(|line| line.strip_prefix("| ")?.split(" | ").nth(1)).collect();
    let commands: Vec<&str> = cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    need!(each_works(&commands));
}

/// Those of our tools, with words after the name: in a paragraph, or in a line of their own.
#[test]
fn each_command_of_the_faq_works() {
    let faq = std::fs::read_to_string(crate::paste::root("docs/faq.md")).unwrap();
    let is_ours = |command: &&str| {
        let (tool, words) = command.split_once(' ').unwrap_or((command, ""));
        support::tools::names().contains(&tool) && !words.is_empty()
    };
    fn of_line(line: &str) -> Vec<&str> {
        match line.strip_prefix("    ") {
            Some(command) => vec![command],
            None => line.split('`').skip(1).step_by(2).collect(),
        }
    }
    let commands: Vec<&str> = faq.lines().flat_map(of_line).filter(is_ours).collect();
    assert!(commands.len() >= 14, "{commands:?}");
    need!(each_works(&commands));
}

/// Runs each of them beside nginx, db and web, of which web has two networks.
fn each_works(commands: &[&str]) -> Result<(), Missing> {
    let setting = format!("{UPLINK}{SHOP}\nport=none{WEB}").replace("ip link set \"$port\" mtu 1500", "");
    // The veth that the table names is nginx's.
    let rename = "
        port=$(netns-ls -q nginx | sed -n 's/.*→ \\(veth[0-9a-f]*\\).*/\\1/p')
        ip link set $port down; ip link set $port name veth077b91e; ip link set veth077b91e up";
    // Some go on until Ctrl-C.
    let goes_on = |one: &str| ["--drops", "--watch", "tcpdump"].iter().any(|word| one.contains(word));
    let pasted = |one: &str| match goes_on(one) {
        true => format!("timeout --kill-after 5 --preserve-status --signal INT 3 {one}"),
        false => one.to_owned(),
    };
    let lines: String =
        commands.iter().map(|one| format!("echo '\u{1}'; {} 2>&1; echo status=$?\n", pasted(one))).collect();
    let all = format!("{{\n{setting}\n{rename}\n{NICS}\n}} >setting 2>&1 || cat setting\n{lines}");
    let printed = crate::paste::in_a_world(&all)?;
    let parts: Vec<&str> = printed.split('\u{1}').skip(1).collect();
    assert_eq!(parts.len(), commands.len(), "{printed}");
    for (command, part) in commands.iter().zip(parts) {
        let status = part.trim_end().rsplit("status=").next().unwrap();
        // 1 is "no": the database refuses.
        // What goes on may end as Ctrl-C ends it.
        let is_end = ["0", "1"].contains(&status) || (status == "130" && goes_on(command));
        assert!(is_end, "{command}: {part}");
        assert!(
            !part.contains("Usage:") && !part.contains("no such container") && part.lines().count() >= 1,
            "{command}: {part}"
        );
    }
    Ok(())
}

/// The file of the pages' watch.
const NICS: &str = "printf '[[nic]]\\ncontainer = \"db\"\\naddresses = [\"10.1.0.2/24\"]\\n' >nics.toml";

/// The EXAMPLES of a manual, from its source.
fn manual(tool: &str, setting: &str, before: &[(&str, &str)]) -> Result<(), Missing> {
    paste(&format!("man/sections/{tool}.roff"), Form::Roff, setting, before)
}

/// nginx, on Docker's own bridge.
const NGINX: &str = "
    docker run --detach --name nginx netns-toolbox/busybox sh -c \
        'mkdir -p /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www'";
/// nginx and others, on a network of their own with names.
const NETWORK: &str = "
    docker network create --subnet 198.18.0.0/24 shop
    start() { docker run --detach --network shop --name \"$@\"; }
    start nginx netns-toolbox/busybox sh -c 'mkdir -p /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www'
    start api netns-toolbox/busybox sleep 1000
    start web-1 netns-toolbox/busybox httpd -f -p 81
    start web-2 netns-toolbox/busybox httpd -f -p 82";
const WEB_AND_DB: &str = "
    docker network create --subnet 198.19.2.0/24 shop
    docker run --detach --name web --network shop netns-toolbox/busybox sleep 1000
    docker run --detach --name db --network shop netns-toolbox/busybox httpd -f -p 5432
    docker run --detach --name cache netns-toolbox/busybox sleep 1000";

#[test]
fn the_manual_of_cpid_does_as_it_says() {
    need!(manual("cpid", NGINX, &[]));
}

#[test]
fn the_manual_of_nsenter_rs_does_as_it_says() {
    need!(manual("nsenter-rs", NETWORK, &[]));
}

#[test]
fn the_manual_of_netns_link_does_as_it_says() {
    need!(manual("netns-link", NGINX, &[]));
}

#[test]
fn the_manual_of_add_nic_does_as_it_says() {
    need!(manual("add-nic", &format!("{UPLINK}\n{NGINX}"), &[]));
}

#[test]
fn the_manual_of_netns_ping_does_as_it_says() {
    need!(manual("netns-ping", WEB_AND_DB, &[]));
}

#[test]
fn the_manual_of_netns_ls_does_as_it_says() {
    let web = SHOP.replace("--name nginx", "--name web");
    need!(manual("netns-ls", &web, &[]));
}

#[test]
fn the_manual_of_netns_trace_does_as_it_says() {
    need!(manual("netns-trace", POLICY, &[]));
}

#[test]
fn the_common_manual_does_as_it_says() {
    let web = "docker run --detach --name web --add-host www.example.com:172.17.0.3 netns-toolbox/busybox sleep 1000
        port=$(netns-ls -q web | sed -n 's/.*→ \\(veth[0-9a-f]*\\).*/\\1/p')
        ip link set $port down; ip link set $port name veth12ab; ip link set veth12ab up
        docker run --detach --name db netns-toolbox/busybox httpd -f -p 5432";
    need!(manual("netns-toolbox", web, &[]));
}
