//! What can stop a row, or the whole bench.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{}: {cause}", path.display())]
    Path { path: PathBuf, cause: io::Error },
    #[error("{what}: {cause}")]
    Call { what: &'static str, cause: io::Error },
    #[error("{command}: {status}{}{stderr}", if stderr.is_empty() { "" } else { ": " })]
    Failed { command: String, status: ExitStatus, stderr: String },
    #[error("{command}: not what was expected: {said:?}")]
    Unexpected { command: String, said: String },
    #[error("not the same answer: {one} says {one_said:?}, {other} says {other_said:?}")]
    Unlike { one: String, one_said: String, other: String, other_said: String },
    #[error("our own {0} is missing; hint: cargo build --release, or --bin-dir DIR")]
    OursMissing(String),
    #[error("no container to ask about: {0}")]
    NoContainer(String),
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("no such row: {0}; there are: {1}")]
    NoSuchRow(String, String),
}

impl BenchError {
    pub(crate) fn path(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |cause| BenchError::Path { path, cause }
    }

    pub(crate) fn call<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |cause| BenchError::Call { what, cause: cause.into() }
    }
}
