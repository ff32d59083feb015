//! The lines of text in each box of a picture, in cells of a fixed-width font: short enough for every box to be readable.

use super::escape::{cells, fitted};
use super::model::{BridgeBox, InterfaceBox, NetnsBox, PlugId};

/// How wide a title is at most.
const TITLE_CELLS: usize = 40;
/// An IPv6 address with its prefix length has 43 letters, a remark with a name of 15 and its namespace more.
const TEXT_CELLS: usize = 46;
/// More addresses of one interface are counted, not drawn.
const MOST_ADDRESSES: usize = 4;

/// A line of a box.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextLine {
    pub pieces: Vec<TextPiece>,
    /// The interface that begins with this line: its cables end here.
    pub plug: Option<PlugId>,
}

/// A text in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPiece {
    /// Where it begins.
    pub at_cell: usize,
    /// What is drawn.
    pub text: String,
    /// All of it, where only a part is drawn.
    pub full: Option<String>,
    pub style: TextStyle,
}

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextStyle {
    Title,
    Plain,
    /// Of less interest.
    Muted,
    /// What is wrong: a link that is down.
    Alarm,
}

impl TextStyle {
    /// Its class in style sheets.
    pub const fn class(self) -> Option<&'static str> {
        match self {
            TextStyle::Title => Some("t"),
            TextStyle::Plain => None,
            TextStyle::Muted => Some("m"),
            TextStyle::Alarm => Some("a"),
        }
    }
}

impl TextLine {
    fn with(mut self, at_cell: usize, text: &str, most: usize, style: TextStyle) -> Self {
        let drawn = fitted(text, most);
        let full = (drawn != text).then(|| text.to_owned());
        self.pieces.push(TextPiece { at_cell, text: drawn, full, style });
        self
    }

    fn of(text: &str, most: usize, style: TextStyle) -> Self {
        TextLine::default().with(0, text, most, style)
    }

    /// How wide it is.
    pub fn cells(&self) -> usize {
        self.pieces.iter().map(|piece| piece.at_cell + cells(&piece.text)).max().unwrap_or(0)
    }
}

/// The lines of a namespace's box: its title, those of each interface.
pub fn netns_lines(one: &NetnsBox, is_host: bool) -> (Vec<TextLine>, Vec<Vec<TextLine>>) {
    let mut head = vec![TextLine::of(&one.title, TITLE_CELLS, TextStyle::Title)];
    if is_host && let Some(containers) = one.facts.get("containers") {
        let text = format!("with {} on its network", counted(containers.len(), "container"));
        head.push(TextLine::of(&text, TITLE_CELLS, TextStyle::Muted));
    }
    if let Some(emptiness) = one.emptiness() {
        head.push(TextLine::of(emptiness, TITLE_CELLS, TextStyle::Muted));
    }
    let column = one.drawn().map(|row| cells(&fitted(&row.ifname, TITLE_CELLS))).max().unwrap_or(0) + 2;
    (head, one.drawn().map(|row| interface_lines(row, column)).collect())
}

fn interface_lines(row: &InterfaceBox, column: usize) -> Vec<TextLine> {
    let mut texts: Vec<(String, TextStyle)> = row
        .addresses
        .iter()
        .take(MOST_ADDRESSES)
        .map(|address| (address.clone(), TextStyle::Plain))
        .collect();
    if row.addresses.len() > MOST_ADDRESSES {
        texts.push((format!("{} more", row.addresses.len() - MOST_ADDRESSES), TextStyle::Muted));
    }
    texts.extend(row.remarks.iter().map(|remark| (remark.clone(), TextStyle::Muted)));
    if texts.is_empty() {
        texts.push(("no address".to_owned(), TextStyle::Muted));
    }
    let mut lines: Vec<TextLine> = Vec::new();
    for (text, style) in texts {
        let line = match lines.is_empty() {
            true => {
                TextLine { plug: Some(row.id), ..TextLine::of(&row.ifname, TITLE_CELLS, TextStyle::Plain) }
            }
            false => TextLine::default(),
        };
        lines.push(line.with(column, &text, TEXT_CELLS, style));
    }
    if !row.is_up()
        && let Some(first) = lines.first_mut()
    {
        let at = first.cells() + 2;
        *first = std::mem::take(first).with(at, row.state, TEXT_CELLS, TextStyle::Alarm);
    }
    lines
}

/// The lines above a bridge's ports.
pub fn bridge_lines(bridge: &BridgeBox) -> Vec<TextLine> {
    let own = &bridge.own;
    let mut first =
        TextLine { plug: Some(own.id), ..TextLine::of(&own.ifname, TITLE_CELLS, TextStyle::Title) };
    if !own.is_up() {
        let at = first.cells() + 2;
        first = first.with(at, own.state, TEXT_CELLS, TextStyle::Alarm);
    }
    let mut lines = vec![first];
    if let Some(inside) = &bridge.inside {
        lines.push(TextLine::of(&format!("in {inside}"), TITLE_CELLS, TextStyle::Muted));
    }
    for address in own.addresses.iter().take(MOST_ADDRESSES) {
        lines.push(TextLine::of(address, TEXT_CELLS, TextStyle::Plain));
    }
    if own.addresses.len() > MOST_ADDRESSES {
        let text = format!("{} more", own.addresses.len() - MOST_ADDRESSES);
        lines.push(TextLine::of(&text, TEXT_CELLS, TextStyle::Muted));
    }
    if bridge.ports.is_empty() {
        lines.push(TextLine::of("no ports", TEXT_CELLS, TextStyle::Muted));
    }
    lines
}

/// The line of a bridge's port.
pub fn port_line(port: &InterfaceBox) -> TextLine {
    let mut line =
        TextLine { plug: Some(port.id), ..TextLine::of(&port.ifname, TITLE_CELLS, TextStyle::Plain) };
    for remark in &port.remarks {
        let at = line.cells() + 2;
        line = line.with(at, remark, TEXT_CELLS, TextStyle::Muted);
    }
    if !port.is_up() {
        let at = line.cells() + 2;
        line = line.with(at, port.state, TEXT_CELLS, TextStyle::Alarm);
    }
    line
}

/// `1 container`, `2 containers`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
