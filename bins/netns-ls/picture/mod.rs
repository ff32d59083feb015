//! Pictures of the map: boxes for namespaces on the left, bridges in the middle, the host and its way out on the right, and
//! cables between them. Pure, from the map to text.

mod assemble;
mod cables;
mod dot;
mod escape;
mod layout;
mod model;
mod order;
mod page;
mod seats;
mod sheet;
mod svg;
#[cfg(test)]
mod tests;

pub use assemble::picture;
pub use dot::dot;
pub use model::{FindingBox, MapPicture, PortBox};
pub use page::MapPage;
pub use svg::svg;
