//! Which NICs a removal is about: by the records first, which know what `--list` prints, and then by what engines say. So a NIC can
//! be removed whatever became of its container: paused, renamed, gone, or its network kept by a link.

use common::failure::Failure;
use common::netns::RecordedContainer;
use common::target::Target;

use crate::journal::NewerRecord;
use crate::model::record::{ContainerNetns, NicRecord};
use crate::model::request::RemoveRequest;
use crate::model::view::NicView;
use crate::read::container::{PinnedNetns, pin};

/// The networks whose NICs are removed.
#[derive(Debug)]
pub struct ChosenNics {
    networks: Vec<ContainerNetns>,
    /// The one that was found through an engine, a process or a file.
    pub pinned: Option<PinnedNetns>,
}

impl ChosenNics {
    /// Those that the target names.
    pub fn find(
        request: &RemoveRequest,
        records: &[NicRecord],
        newer: &[NewerRecord],
    ) -> Result<Self, Failure> {
        let target = &request.target;
        let recorded = ChosenNics { networks: recorded(target, records)?, pinned: None };
        let has_some = records.iter().any(|record| recorded.has(record, request));
        if has_some && !matches!(target, Target::Process { .. }) {
            return Ok(recorded);
        }
        if let Some(newer) = newer.iter().find(|newer| newer.container == target.to_string()) {
            let what = format_args!("has a NIC that a newer version recorded ({})", newer.made_by);
            return Err(Failure::failed(target, what)
                .hint(common::sentence!("remove it with that version of add-nic")));
        }
        match pin(target, &request.search) {
            Ok(pinned) => {
                let networks = vec![pinned.inside.clone()];
                let found = ChosenNics { networks, pinned: Some(pinned) };
                // A process that has the PID of an earlier one has none of ours: then that one's is meant, as it is listed.
                let is_of_another = has_some && !records.iter().any(|record| found.has(record, request));
                Ok(if is_of_another { recorded } else { found })
            }
            Err(_) if has_some => Ok(recorded),
            Err(failure) => Err(failure),
        }
    }

    /// Whether this NIC is one of them.
    pub fn has(&self, record: &NicRecord, request: &RemoveRequest) -> bool {
        let which = request.which.as_ref();
        NicView::all(record).any(|view| {
            self.networks.iter().any(|network| view.here.container.is_same_as(network))
                && which.is_none_or(|which| view.matches(which))
        })
    }

    /// The NIC, seen from one of the networks.
    pub fn view<'a>(&self, record: &'a NicRecord) -> NicView<'a> {
        let network = self.networks.iter().find(|network| record.is_about(network));
        NicView::seen_from(record, network)
    }
}

/// The networks of the records that have this name.
fn recorded(target: &Target, records: &[NicRecord]) -> Result<Vec<ContainerNetns>, Failure> {
    let containers = records.iter().flat_map(|record| std::iter::once(&record.inside).chain(&record.peer));
    let mut networks: Vec<ContainerNetns> = Vec::new();
    for container in containers.filter(|container| is_named(container, target)) {
        if !networks.iter().any(|known| known.is_same_as(container)) {
            networks.push(container.clone());
        }
    }
    let owner = |network: &ContainerNetns| {
        network.container.as_ref().map(|owner| (owner.engine, owner.user, owner.name.clone()))
    };
    match networks.iter().find(|network| owner(network) != owner(&networks[0])) {
        None => Ok(networks),
        Some(other) => {
            let [one, other] = [&networks[0], other].map(|network| match &network.container {
                Some(RecordedContainer { engine, id, .. }) => format!("{engine}:{id}"),
                None => network.file.clone(),
            });
            Err(Failure::failed(target, format_args!("is what several are called: {one} and {other}"))
                .hint(common::sentence!("use one of these")))
        }
    }
}

/// Whether `target` is what `--list` calls it, or the name or ID that its engine had for it.
fn is_named(container: &ContainerNetns, target: &Target) -> bool {
    let owner = container.container.as_ref();
    match target {
        Target::Container { engine, name, .. } => {
            let is_its = |owner: &RecordedContainer| {
                engine.is_none_or(|engine| engine == owner.engine)
                    && (owner.name == name.as_str() || owner.id == name.as_str())
            };
            owner.is_some_and(is_its) || container.name == target.to_string()
        }
        Target::NetnsFile(path) => container.file == path.display().to_string(),
        _ => container.name == target.to_string(),
    }
}
