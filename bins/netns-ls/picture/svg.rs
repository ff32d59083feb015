//! The picture as SVG: one file without any reference to another, light or dark as its reader prefers.

use std::fmt::Write;

use super::escape::{cells, xml};
use super::layout::{BoxKind, CELL, MARGIN, PAD, PictureLayout, PlacedBox, layout};
use super::model::MapPicture;
use super::sheet::TextPiece;

const STYLE: &str = include_str!("picture.css");

/// A cable that leads farther up or down stands back: many of them are a wall.
const FAR: i32 = 400;
/// From the line's middle to the letters' baseline.
const BASELINE: i32 = 4;
/// The legend below everything.
const LEGEND: i32 = 40;

/// The picture as an SVG file.
pub fn svg(picture: &MapPicture) -> String {
    let layout = layout(picture);
    let (width, height) = (layout.width.max(LEAST_WIDTH), layout.height + LEGEND);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"Network map of the host\">\n<style>\n{STYLE}</style>\n\
         <rect class=\"bg\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    for (x, heading) in &layout.headings {
        line(&mut svg, &format!("<text class=\"h\" x=\"{x}\" y=\"{}\">{heading}</text>", MARGIN + 12));
    }
    cables(&mut svg, &layout);
    layout.boxes.iter().for_each(|one| placed_box(&mut svg, one));
    for (x, y) in &layout.plugs {
        line(&mut svg, &format!("<circle class=\"plug\" cx=\"{x}\" cy=\"{y}\" r=\"3\"/>"));
    }
    for (x, y) in &layout.ways_out {
        let data = format!("M{x} {y}h24m-7-5l7 5l-7 5");
        line(&mut svg, &format!("<path class=\"c out\" d=\"{data}\"/>"));
    }
    legend(&mut svg, layout.height);
    svg + "</svg>\n"
}

/// The legend has this many pixels.
const LEAST_WIDTH: i32 = 700;

fn cables(svg: &mut String, layout: &PictureLayout) {
    for path in &layout.cables {
        let down = if path.cable.is_up { "" } else { " down" };
        let [(_, from), (_, to)] = path.ends;
        let far = if (from - to).abs() > FAR { " far" } else { "" };
        let kind = path.cable.kind.as_str();
        line(svg, &format!("<path class=\"c {kind}{down}{far}\" d=\"{}\"/>", path.data));
    }
}

fn placed_box(svg: &mut String, one: &PlacedBox) {
    let PlacedBox { x, y, width, height, .. } = one;
    let class = match one.kind {
        BoxKind::Netns => "box",
        BoxKind::Bridge => "box bridge",
        BoxKind::Host => "box host",
    };
    line(svg, "<g>");
    line(
        svg,
        &format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\"/>"
        ),
    );
    for (y, text) in &one.lines {
        text.pieces.iter().for_each(|piece| text_piece(svg, (one.x + PAD, *y), piece));
    }
    line(svg, "</g>");
}

fn text_piece(svg: &mut String, (x, y): (i32, i32), piece: &TextPiece) {
    let x = x + CELL * i32::try_from(piece.at_cell).unwrap_or(0);
    let class = piece.style.class().map(|class| format!(" class=\"{class}\"")).unwrap_or_default();
    // Letters of other scripts are as wide as their font has them: they are made to fit.
    let fit = match piece.text.is_ascii() {
        true => String::new(),
        false => {
            let width = CELL * i32::try_from(cells(&piece.text)).unwrap_or(0);
            format!(" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\"")
        }
    };
    let title = piece.full.as_ref().map(|full| format!("<title>{}</title>", xml(full))).unwrap_or_default();
    line(
        svg,
        &format!("<text{class} x=\"{x}\" y=\"{}\"{fit}>{}{title}</text>", y + BASELINE, xml(&piece.text)),
    );
}

/// What the lines mean.
fn legend(svg: &mut String, y: i32) {
    let entries = [
        ("pair", "veth pair"),
        ("own", "bridge of the host"),
        ("stacked", "macvlan, VLAN"),
        ("pair down", "down"),
    ];
    let mut x = MARGIN;
    for (class, text) in entries {
        line(svg, &format!("<path class=\"c {class}\" d=\"M{x} {y}h32\"/>"));
        line(svg, &format!("<text class=\"m\" x=\"{}\" y=\"{}\">{text}</text>", x + 40, y + BASELINE));
        x += 40 + CELL * i32::try_from(text.len() + 3).unwrap_or(0);
    }
}

fn line(svg: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "{text}");
}
