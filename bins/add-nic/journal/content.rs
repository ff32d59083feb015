//! What a file of the journal has in it: a record, one of a newer add-nic, or nothing that can be read.

use serde::Deserialize;

use crate::model::record::{FORMAT, NicRecord};

/// What was read.
#[derive(Debug)]
pub enum FileContent {
    Record(Box<NicRecord>),
    Newer(NewerRecord),
    /// Cut off, empty, or no file: why.
    Damaged(String),
}

/// A record in a format that this version does not know: undone by it, the NIC would be undone in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerRecord {
    /// The name of its file.
    pub file: String,
    pub format: u64,
    /// The program that wrote it.
    pub made_by: String,
    /// The container's name.
    pub container: String,
}

/// What every format has.
#[derive(Debug, Deserialize)]
struct AnyFormat {
    #[serde(default)]
    format: u64,
    #[serde(default)]
    made_by: String,
    #[serde(default)]
    inside: AnyContainer,
}

#[derive(Debug, Default, Deserialize)]
struct AnyContainer {
    #[serde(default)]
    name: String,
}

impl FileContent {
    /// What is in the file of that name.
    pub fn parse(file: &str, bytes: &[u8]) -> Self {
        match serde_json::from_slice::<AnyFormat>(bytes) {
            Ok(AnyFormat { format, made_by, inside }) if format > u64::from(FORMAT) => {
                let (file, container) = (file.to_owned(), inside.name);
                FileContent::Newer(NewerRecord { file, format, made_by, container })
            }
            _ if bytes.is_empty() => FileContent::Damaged("is empty".to_owned()),
            _ => match serde_json::from_slice(bytes) {
                Ok(record) => FileContent::Record(record),
                Err(error) => FileContent::Damaged(format!("is not a record: {error}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_record_is_told_from_a_damaged_one() {
        let newer = br#"{"format": 2, "made_by": "add-nic 9.0", "inside": {"name": "web", "x": 1}, "y": []}"#;
        let FileContent::Newer(record) = FileContent::parse("a.json", newer) else { panic!() };
        assert_eq!((record.format, record.container.as_str()), (2, "web"));
        for damaged in [&b""[..], b"{", b"{}", b"[1]", b"\0", &newer[..20], br#"{"format": "x"}"#] {
            assert!(matches!(FileContent::parse("a.json", damaged), FileContent::Damaged(_)));
        }
    }
}
