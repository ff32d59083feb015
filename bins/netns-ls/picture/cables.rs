//! The way that a cable takes through a picture: curves between two columns, and between two bands where it has to pass bridges.

use std::collections::HashMap;
use std::fmt::Write;

use super::model::{Cable, PlugId};

/// Which column a plug is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PictureColumn {
    Left,
    Middle,
    Right,
}

/// Where a plug is.
#[derive(Debug, Clone, Copy)]
pub struct PlacedPlug {
    pub side: PictureColumn,
    /// The left and right edge of its box.
    pub edges: (i32, i32),
    pub y: i32,
    /// Where a cable from here passes the middle column, if it cannot go straight.
    pub lane: Option<i32>,
}

/// A cable, drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CablePath {
    pub cable: Cable,
    /// The value of an SVG path's `d`.
    pub data: String,
    /// Where it begins and ends.
    pub ends: [(i32, i32); 2],
}

/// How far a cable between two plugs of one column bows out of it.
const BOW: i32 = 44;

/// The cable from plug to plug; nothing if one of them is not drawn.
pub fn path(cable: &Cable, plugs: &HashMap<PlugId, PlacedPlug>) -> Option<CablePath> {
    let (mut from, mut to) = (plugs.get(&cable.from)?, plugs.get(&cable.to)?);
    if from.side > to.side {
        std::mem::swap(&mut from, &mut to);
    }
    let start = (from.edges.1, from.y);
    let is_bow = from.side == to.side;
    let end = (if is_bow { to.edges.1 } else { to.edges.0 }, to.y);
    let data = match (from.side, to.side) {
        (PictureColumn::Left, PictureColumn::Right) => through(start, end, from.lane, middle(plugs)),
        _ if is_bow => bow(start, end),
        _ => curve(start, end),
    };
    Some(CablePath { cable: *cable, data, ends: [start, end] })
}

/// The edges of the middle column, if anything is in it.
fn middle(plugs: &HashMap<PlugId, PlacedPlug>) -> Option<(i32, i32)> {
    plugs.values().find(|plug| plug.side == PictureColumn::Middle).map(|plug| plug.edges)
}

fn curve((x1, y1): (i32, i32), (x2, y2): (i32, i32)) -> String {
    let half = (x1 + x2) / 2;
    match y1 == y2 {
        true => format!("M{x1} {y1}H{x2}"),
        false => format!("M{x1} {y1}C{half} {y1} {half} {y2} {x2} {y2}"),
    }
}

fn bow((x, y1): (i32, i32), (_, y2): (i32, i32)) -> String {
    let out = x + BOW;
    format!("M{x} {y1}C{out} {y1} {out} {y2} {x} {y2}")
}

/// Past the middle column, between two bridges.
fn through(start: (i32, i32), end: (i32, i32), lane: Option<i32>, middle: Option<(i32, i32)>) -> String {
    let Some((left, right)) = middle else { return curve(start, end) };
    let lane = lane.unwrap_or(start.1);
    let mut data = curve(start, (left, lane));
    let half = (right + end.0) / 2;
    // Writing to a String cannot fail.
    let _ = write!(data, "H{right}C{half} {lane} {half} {} {} {}", end.1, end.0, end.1);
    data
}
