//! Where everything in a picture is: three columns from left to right, bands from top to bottom. No text overlaps another, for
//! all of it is measured in cells of a fixed-width font. Pure.

use std::collections::HashMap;

use super::cables::{CablePath, PictureColumn, PlacedPlug, path};
use super::model::{BridgeBox, CableKind, MapPicture, PictureBand, PlugId};
use super::sheet::{TextLine, bridge_lines, netns_lines, port_line};

/// How wide a letter of 13 pixels is at most in the fonts of the style sheet: 0.602 of its height, rounded up.
pub const CELL: i32 = 8;
/// From one line of text to the next.
pub const LINE: i32 = 18;
/// Between a box and its text.
pub const PAD: i32 = 9;
/// Between two boxes.
const GAP: i32 = 10;
/// Between two bands: cables to the host pass there.
const BAND_GAP: i32 = 28;
/// Around everything.
pub const MARGIN: i32 = 24;
/// The titles of the columns.
const HEADING: i32 = 30;
/// Between two columns.
const GUTTER: i32 = 120;
const LEAST_WIDTH: i32 = 140;

/// The picture with coordinates, in pixels.
#[derive(Debug, Default)]
pub struct PictureLayout {
    pub width: i32,
    pub height: i32,
    pub boxes: Vec<PlacedBox>,
    pub cables: Vec<CablePath>,
    /// The titles of the columns, and where they begin.
    pub headings: Vec<(i32, &'static str)>,
    /// The plugs that a cable ends at.
    pub plugs: Vec<(i32, i32)>,
    /// Where packets leave the machine: the right end of a line of the host.
    pub ways_out: Vec<(i32, i32)>,
}

/// A box with its text.
#[derive(Debug)]
pub struct PlacedBox {
    pub x: i32,
    pub y: i32,
    pub width: i32,
    pub height: i32,
    pub kind: BoxKind,
    /// Each line, and the y of its middle.
    pub lines: Vec<(i32, TextLine)>,
}

/// What a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxKind {
    Netns,
    Bridge,
    Host,
}

/// A box before its column is as wide as its widest.
struct ColumnBlock {
    lines: Vec<(i32, TextLine)>,
    top: i32,
    height: i32,
    lane: Option<i32>,
}

/// Lays out `picture`.
pub fn layout(picture: &MapPicture) -> PictureLayout {
    let mut columns = Columns { picture, plug_y: HashMap::new(), left: Vec::new(), middle: Vec::new() };
    let mut y = MARGIN + HEADING;
    for band in &picture.bands {
        y = columns.band(band, y) + BAND_GAP;
    }
    let host = columns.host(MARGIN + HEADING);
    let Columns { left, middle, .. } = columns;
    let mut layout = PictureLayout::default();
    let mut x = MARGIN;
    let mut plugs = HashMap::new();
    let columns = [
        (left, BoxKind::Netns, PictureColumn::Left, "Containers and namespaces"),
        (middle, BoxKind::Bridge, PictureColumn::Middle, "Bridges"),
        (host.into_iter().collect(), BoxKind::Host, PictureColumn::Right, "Host and way out"),
    ];
    for (blocks, kind, side, heading) in columns {
        if blocks.is_empty() {
            continue;
        }
        let text = blocks.iter().flat_map(|block| &block.lines).map(|(_, line)| line.cells()).max();
        let text = text.unwrap_or(0).max(heading.len());
        let width = LEAST_WIDTH.max(CELL * i32::try_from(text).unwrap_or(i32::MAX / CELL) + 2 * PAD);
        layout.headings.push((x, heading));
        for block in blocks {
            for (y, line) in &block.lines {
                if let Some(id) = line.plug {
                    let edges = (x, x + width);
                    plugs.insert(id, PlacedPlug { side, edges, y: *y, lane: block.lane });
                }
            }
            layout.height = layout.height.max(block.top + block.height);
            let ColumnBlock { lines, top: y, height, .. } = block;
            layout.boxes.push(PlacedBox { x, y, width, height, kind, lines });
        }
        x += width + GUTTER;
    }
    layout.width = x - GUTTER + 2 * MARGIN;
    layout.height += MARGIN;
    layout.cables = picture.cables.iter().filter_map(|cable| path(cable, &plugs)).collect();
    layout.plugs = layout.cables.iter().flat_map(|cable| cable.ends).collect();
    let ways_out = picture.host.iter().flat_map(|host| host.drawn()).filter(|row| row.is_way_out);
    layout.ways_out =
        ways_out.filter_map(|row| plugs.get(&row.id)).map(|plug| (plug.edges.1, plug.y)).collect();
    layout
}

/// The columns as far as they are laid out.
struct Columns<'a> {
    picture: &'a MapPicture,
    /// The y of plugs that have one.
    plug_y: HashMap<PlugId, i32>,
    left: Vec<ColumnBlock>,
    middle: Vec<ColumnBlock>,
}

impl Columns<'_> {
    /// Lays out a band that begins at `top`; where it ends.
    fn band(&mut self, band: &PictureBand, top: i32) -> i32 {
        let bridge = band.bridge.and_then(|at| self.picture.bridges.get(at));
        let lane = bridge.map(|_| top - BAND_GAP / 2);
        let header = bridge.map_or(0, |bridge| PAD + line_height(bridge_lines(bridge).len()));
        // The first interface is on one level with the first port.
        let mut y = top + (header - PAD - LINE).max(0);
        let mut bottom = top;
        for one in band.boxes.iter().filter_map(|at| self.picture.boxes.get(*at)) {
            let (head, rows) = netns_lines(one, false);
            let block = block(y, lane, head.into_iter().chain(rows.into_iter().flatten()));
            self.learn(&block);
            bottom = y + block.height;
            y = bottom + GAP;
            self.left.push(block);
        }
        match bridge {
            Some(bridge) => bottom.max(self.bridge(bridge, top)),
            None => bottom,
        }
    }

    /// Lays out a bridge: each port on one level with what it leads to, if that is beside the bridge and there is room.
    fn bridge(&mut self, bridge: &BridgeBox, top: i32) -> i32 {
        let levels = self.levels();
        let mut block = block(top, None, bridge_lines(bridge).into_iter());
        let mut next = top + block.height - PAD + LINE / 2;
        let is_beside = |level: &i32| *level >= top;
        let (beside, others): (Vec<_>, Vec<_>) =
            bridge.ports.iter().partition(|port| levels.get(&port.id).is_some_and(is_beside));
        for port in beside.into_iter().chain(others) {
            let level = levels.get(&port.id).copied().filter(is_beside);
            let y = level.map_or(next, |level| level.max(next));
            block.lines.push((y, port_line(port)));
            next = y + LINE;
        }
        block.height = next - LINE / 2 + PAD - top;
        self.learn(&block);
        let bottom = top + block.height;
        self.middle.push(block);
        bottom
    }

    /// Lays out the host: what leads to no bridge comes first, the other lines are on one level with their bridges.
    fn host(&mut self, top: i32) -> Option<ColumnBlock> {
        let host = self.picture.host.as_ref()?;
        let (head, rows) = netns_lines(host, true);
        let levels = self.levels();
        let mut rows: Vec<(i32, Vec<TextLine>)> = rows
            .into_iter()
            .map(|lines| {
                let plug = lines.first().and_then(|line| line.plug);
                (plug.and_then(|id| levels.get(&id).copied()).unwrap_or(top), lines)
            })
            .collect();
        rows.sort_by_key(|(level, _)| *level);
        let mut block = block(top, None, head.into_iter());
        let mut next = top + block.height - PAD + LINE / 2;
        for (level, lines) in rows {
            next = next.max(level);
            for line in lines {
                block.lines.push((next, line));
                next += LINE;
            }
        }
        block.height = next - LINE / 2 + PAD - top;
        Some(block)
    }

    /// Remembers where the plugs of a block are.
    fn learn(&mut self, block: &ColumnBlock) {
        self.plug_y.extend(block.lines.iter().filter_map(|(y, line)| Some((line.plug?, *y))));
    }

    /// On which level each plug would be if its cable were straight. What is stacked has no part in it: many are on one.
    fn levels(&self) -> HashMap<PlugId, i32> {
        let mut levels = HashMap::new();
        for cable in self.picture.cables.iter().filter(|cable| cable.kind != CableKind::Stacked) {
            for (near, far) in [(cable.from, cable.to), (cable.to, cable.from)] {
                if let Some(y) = self.plug_y.get(&far) {
                    levels.insert(near, *y);
                }
            }
        }
        levels
    }
}

fn block(top: i32, lane: Option<i32>, lines: impl Iterator<Item = TextLine>) -> ColumnBlock {
    let lines: Vec<(i32, TextLine)> =
        lines.enumerate().map(|(at, line)| (top + PAD + line_height(at) + LINE / 2, line)).collect();
    let height = 2 * PAD + line_height(lines.len());
    ColumnBlock { top, height, lane, lines }
}

fn line_height(lines: usize) -> i32 {
    LINE.saturating_mul(i32::try_from(lines).unwrap_or(i32::MAX))
}
