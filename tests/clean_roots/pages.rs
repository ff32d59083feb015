//! The lines of the documentation that a user pastes.

use std::fs;
use std::path::Path;

/// The blocks of code below a heading of a page, without what they are indented by.
pub fn blocks(page: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let section = text.split(&format!("\n{heading}\n")).nth(1);
    let section = section.unwrap_or_else(|| panic!("{page}: no heading {heading}"));
    let section = section.split("\n#").next().unwrap();
    let (mut blocks, mut inside) = (Vec::<String>::new(), false);
    for line in section.lines() {
        match line.strip_prefix("    ") {
            Some(code) if inside => {
                let block = blocks.last_mut().unwrap();
                *block += code;
                block.push('\n');
            }
            Some(code) => {
                blocks.push(format!("{code}\n"));
                inside = true;
            }
            // An empty line may be a part of the block.
            None if line.is_empty() && inside => blocks.last_mut().unwrap().push('\n'),
            None => inside = false,
        }
    }
    assert!(!blocks.is_empty(), "{page}: {heading}: no code");
    blocks
}

/// The only block there.
#[track_caller]
pub fn block(page: &str, heading: &str) -> String {
    let mut blocks = blocks(page, heading);
    assert_eq!(blocks.len(), 1, "{page}: {heading}: {blocks:#?}");
    blocks.remove(0)
}

/// The block there that has this word.
#[track_caller]
pub fn block_with(page: &str, heading: &str, word: &str) -> String {
    let found = blocks(page, heading).into_iter().find(|block| block.contains(word));
    found.unwrap_or_else(|| panic!("{page}: {heading}: no block with {word}"))
}
