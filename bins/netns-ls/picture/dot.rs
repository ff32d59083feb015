//! The picture in graphviz's language: namespaces and bridges are tables with a cell for each interface.

use std::collections::HashMap;
use std::fmt::Write;

use super::escape;
use super::model::{BridgeBox, Cable, CableKind, InterfaceBox, MapPicture, NetnsBox, PlugId};
use super::order::{PlugOwner, owners};

/// The picture for `dot`.
pub fn dot(picture: &MapPicture) -> String {
    let mut dot = String::from(
        "graph netns {\n  graph [rankdir=LR, ranksep=1.4, nodesep=0.15, bgcolor=\"transparent\"]\n  \
         node [shape=plain, fontname=\"monospace\", fontsize=10]\n  edge [color=\"#0a62c4\"]\n",
    );
    for (at, one) in picture.boxes.iter().enumerate() {
        line(&mut dot, &format!("  {} [label=<{}>]", node(PlugOwner::Box(at)), netns_table(one, "#f6f8fa")));
    }
    for (at, bridge) in picture.bridges.iter().enumerate() {
        line(&mut dot, &format!("  {} [label=<{}>]", node(PlugOwner::Bridge(at)), bridge_table(bridge)));
    }
    if let Some(host) = &picture.host {
        line(&mut dot, &format!("  {} [label=<{}>]", node(PlugOwner::Host), netns_table(host, "#eef6ec")));
    }
    let owners = owners(picture);
    picture.cables.iter().filter_map(|cable| edge(cable, &owners)).for_each(|edge| line(&mut dot, &edge));
    dot + "}\n"
}

/// No name is in a node's: what a name has in it could be a word of the language.
fn node(owner: PlugOwner) -> String {
    match owner {
        PlugOwner::Host => "host".to_owned(),
        PlugOwner::Box(at) => format!("n{at}"),
        PlugOwner::Bridge(at) => format!("b{at}"),
    }
}

fn edge(cable: &Cable, owners: &HashMap<PlugId, PlugOwner>) -> Option<String> {
    // Edges go from left to right, so that the columns stay columns.
    let rank = |id: PlugId| match owners.get(&id) {
        Some(PlugOwner::Box(_)) => 0,
        Some(PlugOwner::Bridge(_)) => 1,
        Some(PlugOwner::Host) | None => 2,
    };
    let (mut from, mut to) = (cable.from, cable.to);
    if rank(from) > rank(to) {
        std::mem::swap(&mut from, &mut to);
    }
    let plug = |id: PlugId| owners.get(&id).map(|owner| format!("{}:p{}", node(*owner), id.0));
    let (from, to) = (plug(from)?, plug(to)?);
    let color = match cable.kind {
        CableKind::Pair => "",
        CableKind::Port | CableKind::Own => "color=\"#2f7a2b\" ",
        CableKind::Stacked => "color=\"#7a44c9\" ",
    };
    let style = if cable.is_up { "" } else { "style=dashed" };
    let attributes = format!("{color}{style}");
    Some(match attributes.trim() {
        "" => format!("  {from} -- {to}"),
        attributes => format!("  {from} -- {to} [{attributes}]"),
    })
}

fn netns_table(one: &NetnsBox, color: &str) -> String {
    let mut rows = vec![format!("<b>{}</b>", escape::dot(&one.title))];
    rows.extend(one.emptiness().map(str::to_owned));
    let mut table = table(color, &rows, PlugId(0));
    one.drawn().for_each(|row| table += &cell(row));
    table + "</table>"
}

fn bridge_table(bridge: &BridgeBox) -> String {
    let mut rows = vec![format!("<b>{}</b>", escape::dot(&bridge.own.ifname))];
    rows.extend(bridge.inside.iter().map(|inside| format!("in {}", escape::dot(inside))));
    rows.extend(bridge.own.addresses.iter().map(|address| escape::dot(address)));
    if !bridge.own.is_up() {
        rows.push(bridge.own.state.to_owned());
    }
    let mut table = table("#ddf0ff", &rows, bridge.own.id);
    bridge.ports.iter().for_each(|port| table += &cell(port));
    table + "</table>"
}

fn table(color: &str, head: &[String], id: PlugId) -> String {
    format!(
        "<table border=\"0\" cellborder=\"1\" cellspacing=\"0\" cellpadding=\"4\" bgcolor=\"{color}\">\
         <tr><td port=\"p{}\">{}</td></tr>",
        id.0,
        head.join("<br/>")
    )
}

fn cell(row: &InterfaceBox) -> String {
    let mut words = vec![row.ifname.clone()];
    words.extend(row.addresses.iter().cloned());
    words.extend(row.remarks.iter().cloned());
    if !row.is_up() {
        words.push(row.state.to_owned());
    }
    let words: Vec<String> = words.iter().map(|word| escape::dot(word)).collect();
    format!("<tr><td port=\"p{}\" align=\"left\">{}</td></tr>", row.id.0, words.join("<br align=\"left\"/>"))
}

fn line(dot: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(dot, "{text}");
}
