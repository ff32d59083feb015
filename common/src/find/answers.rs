//! Asks engines, and decides how certain their answer is. Root's engines are asked first and separately, and their claims
//! count; a claim of another user counts only if root's engines certainly have no such container. So no user can replace,
//! hide, or make ambiguous what root's engines claim.

use std::collections::HashMap;

use nix::unistd::geteuid;

use crate::engine::{
    Container, ContainerQuery, Engine, EngineAnswer, EngineError, EngineName, EngineSession,
};

/// What the engines of one user said, all together.
#[derive(Debug, Default)]
pub(super) struct EngineAnswers {
    /// Every container of one owner once: Docker's are containerd's too, and Podman's are runc's.
    pub hits: Vec<Container>,
    /// Which engines answered.
    pub answered: Vec<EngineName>,
    /// Which are not on this host at all.
    pub absent: Vec<EngineError>,
    /// What only root may read or ask: it is no part of an ordinary user's engines, and hides none of them.
    pub closed: Vec<(EngineName, EngineError)>,
    /// Which are, and could not be asked, or could not tell of all of their containers that may be meant.
    pub errors: Vec<(EngineName, EngineError)>,
    /// Which were found out about from state on disk, and why.
    pub api_errors: Vec<(EngineName, EngineError)>,
}

/// How the query for one container ends with the engines of one user.
#[derive(Debug)]
pub(super) enum Certainty {
    /// Found, and no other of these engines could have it.
    Found(Container),
    /// Several have it.
    Several(Vec<Container>),
    /// Not there; every engine that could have it was asked, unless there is a doubt.
    NotThere,
    /// One has it, and another engine that could have it too could not be asked.
    CannotTell(Container, (EngineName, EngineError)),
}

/// Asks all of them.
pub(super) fn ask(
    engines: &[Box<dyn Engine>],
    session: &EngineSession,
    query: impl Fn(&dyn Engine) -> Result<EngineAnswer, EngineError>,
) -> EngineAnswers {
    gathered(engines.iter().map(|engine| (engine.as_ref(), query(engine.as_ref()))), session)
}

/// Asks all of them for the containers that `asked` can mean. Those that answer by themselves are sent the query first,
/// and while they make their answers the state on disk of the others is read.
pub(super) fn find_with(
    engines: &[Box<dyn Engine>],
    session: &EngineSession,
    asked: &ContainerQuery<'_>,
) -> EngineAnswers {
    let mut order: Vec<(bool, usize)> =
        engines.iter().enumerate().map(|(at, engine)| (engine.send(asked), at)).collect();
    order.sort_unstable();
    let mut answers: Vec<(usize, _)> =
        order.into_iter().map(|(_, at)| (at, engines[at].find(asked))).collect();
    answers.sort_unstable_by_key(|(at, _)| *at);
    gathered(answers.into_iter().map(|(at, answer)| (engines[at].as_ref(), answer)), session)
}

/// The containers among those of `engines` that `asked` means, or all, and that have no process and are found in a database
/// only.
pub(super) fn find_idle(engines: &[Box<dyn Engine>], asked: Option<&ContainerQuery<'_>>) -> EngineAnswers {
    let mut answers = EngineAnswers::default();
    for engine in engines {
        answers.take(engine.name(), engine.find_idle(asked));
    }
    answers
}

fn gathered<'a>(
    answers_of: impl Iterator<Item = (&'a dyn Engine, Result<EngineAnswer, EngineError>)>,
    session: &EngineSession,
) -> EngineAnswers {
    let mut answers = EngineAnswers::default();
    for (engine, answer) in answers_of {
        session.hear(engine, &answer);
        answers.take(engine.name(), answer);
    }
    answers.answered.dedup();
    answers
}

impl EngineAnswers {
    fn take(&mut self, name: EngineName, answer: Result<EngineAnswer, EngineError>) {
        match answer {
            Ok(answer) => {
                self.answered.push(name);
                self.api_errors.extend(answer.api_error.map(|why| (name, why)));
                let (closed, doubts) =
                    answer.doubts.into_iter().partition::<Vec<_>, _>(EngineError::is_roots_alone);
                self.closed.extend(closed.into_iter().map(|why| (name, why)));
                self.errors.extend(doubts.into_iter().map(|doubt| (name, doubt)));
                self.add(answer.containers);
            }
            Err(absent) if absent.is_absence() => self.absent.push(absent),
            Err(closed) if closed.is_roots_alone() => self.closed.push((name, closed)),
            Err(error) => self.errors.push((name, error)),
        }
    }

    /// Adds those that have no process and are found in a database only, where no other has been found.
    pub(super) fn or_idle(&mut self, engines: &[Box<dyn Engine>], asked: &ContainerQuery<'_>) {
        if self.hits.is_empty() {
            let mut idle = find_idle(engines, Some(asked));
            idle.narrow(asked);
            self.hits = idle.hits;
            self.errors.extend(idle.errors);
            // What is closed was so when the same engine was asked for those that run.
            let said: Vec<String> = self.closed.iter().map(|(_, why)| why.to_string()).collect();
            self.closed.extend(idle.closed.into_iter().filter(|(_, why)| !said.contains(&why.to_string())));
        }
    }

    pub(super) fn add(&mut self, containers: Vec<Container>) {
        // Of one ID there are few, whatever a user has made up.
        let word = |container: &Container| (container.proof.claimed_by, container.id.clone());
        let mut known: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, hit) in self.hits.iter().enumerate() {
            known.entry(word(hit)).or_default().push(at);
        }
        for container in containers {
            let same = known.entry(word(&container)).or_default();
            if !same.iter().any(|at| self.hits[*at].is_same_as(&container)) {
                same.push(self.hits.len());
                self.hits.push(container);
            }
        }
    }

    /// Takes out the claims of other users, as of a machine that a user has registered with root's machined, or of a
    /// user's socket that the environment names. For an ordinary user all that answers is one.
    pub(super) fn take_claims_of_others(&mut self) -> Vec<Container> {
        let (others, hits) = std::mem::take(&mut self.hits).into_iter().partition(is_others);
        self.hits = hits;
        others
    }

    /// A whole name or ID means more than the beginning of an ID.
    pub(super) fn narrow(&mut self, asked: &ContainerQuery<'_>) {
        let ContainerQuery::Name { name, .. } = asked else { return };
        let exact = |hit: &Container| hit.name == name.as_str() || hit.id == name.as_str();
        if self.hits.iter().any(exact) {
            self.hits.retain(exact);
        }
    }

    /// How certain the answer to `asked` is. An ordinary user cannot read the state of most engines: that
    /// is no doubt about a container of their own.
    pub(super) fn certainty(&mut self, asked: &ContainerQuery<'_>) -> Certainty {
        let mut hits = std::mem::take(&mut self.hits);
        match (hits.pop(), hits.is_empty()) {
            (None, _) => Certainty::NotThere,
            (Some(hit), true) => match self.errors.first() {
                Some(error) if geteuid().is_root() && !is_whole_id(asked, &hit) => {
                    Certainty::CannotTell(hit, error.clone())
                }
                _ => Certainty::Found(hit),
            },
            (Some(last), false) => {
                hits.push(last);
                Certainty::Several(hits)
            }
        }
    }

    /// Why the "no" of these engines is not certain enough for another user's claim to count: an engine that could not be
    /// asked, or whose containers run without it and were made in a directory that is not known. One that is silent, and whose
    /// state on disk was read where its process keeps it, has said no.
    pub(super) fn doubt(&self) -> Option<&(EngineName, EngineError)> {
        let hides = |(_, why): &&(EngineName, EngineError)| matches!(why, EngineError::Dead { .. });
        self.errors.first().or_else(|| self.api_errors.iter().find(hides))
    }
}

/// Engines make such an ID at random, so that no two of them have the same.
fn is_whole_id(asked: &ContainerQuery<'_>, hit: &Container) -> bool {
    let asked_for = matches!(asked, ContainerQuery::Name { name, .. } if name.as_str() == hit.id);
    asked_for && hit.id.len() == 64
}

/// Whether it is a claim of another user, which must not hide a claim of root. For an ordinary user all claims count
/// alike.
pub(super) fn is_others(container: &Container) -> bool {
    geteuid().is_root() && !container.proof.claimed_by.is_root()
}
