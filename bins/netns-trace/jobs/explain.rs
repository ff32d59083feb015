//! `--explain`: nothing is sent; the packet is followed through what is set up.

use common::failure::{Failure, Status, say};

use super::resolve::resolve;
use crate::report::print;
use crate::request::TraceRequest;
use crate::state::HostState;
use crate::tool::TOOL;
use crate::verdict::expected;
use crate::walk::walk;

/// Resolves, walks, and prints what is to be expected.
///
/// # Errors
/// When TARGET or DEST mean nothing.
pub fn explain(request: &TraceRequest) -> Result<Status, Failure> {
    let find = request.find.session();
    let state = HostState::read(&find)?;
    let resolved = resolve(request, &find, &state)?;
    state.not_asked.iter().for_each(|why| say(TOOL, why));
    let report = expected(walk(&state, resolved.from, resolved.dest, &resolved.probe)?);
    print(&report, request.json)?;
    Ok(report.verdict.status())
}
