//! What is shown of the map, a file for each view: pure, from the map to text.

pub mod bridges;
pub mod filters;
pub mod interfaces;
pub mod link_words;
pub mod namespaces;
pub mod netns;
pub mod path;
pub mod ports;
pub mod stack;
pub mod tree;
