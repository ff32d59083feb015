//! Asks namespaces other than our own which namespaces they mean by their numbers: only for links whose two ends are both
//! outside, and of each number once.
//!
//! A namespace says by which number it knows another one, and not the other way round. Trying all of them would take n² requests, so the
//! kernel is asked first for the far link itself (IFLA_TARGET_NETNSID, Linux 4.20): few namespaces have one of that name, index and MAC.

use std::collections::HashMap;
use std::io;

use super::ends::{EndClaim, NetnsNumbers, NumberQuestion};
use super::{MapEntry, MappedNetns, UnseenNamespaces};
use crate::namespace::Namespace;
use crate::netlink::{Link, NetlinkError, Socket};
use crate::netns::Home;
use crate::target::Mac;

/// How many namespaces are tried for one number: more look alike only where somebody has made them so.
const MOST_TRIED: usize = 64;

/// Answers to questions, from the kernel.
pub(super) struct NumberAnswers<'a> {
    pub home: &'a Home,
    /// How each namespace is opened, by its inode.
    pub ways: HashMap<u64, &'a MapEntry>,
    pub namespaces: &'a [MappedNetns],
    /// Where the answers go.
    pub numbers: &'a mut NetnsNumbers,
    /// Where it is said which namespaces gave no answer.
    pub unseen: &'a mut UnseenNamespaces,
}

/// What can be a far link: those of an index and a MAC, as the positions of their namespaces.
type LinksByLook = HashMap<(u32, Option<Mac>), Vec<usize>>;

impl NumberAnswers<'_> {
    /// Asks as far as possible: what has vanished meanwhile stays unknown, and what cannot be asked is said to be unseen.
    pub(super) fn ask(&mut self, questions: &[NumberQuestion]) {
        let mut looks = LinksByLook::new();
        for (at, netns) in self.namespaces.iter().enumerate() {
            for link in &netns.links {
                looks.entry((link.link.index, link.link.mac)).or_default().push(at);
            }
        }
        for questions in questions.chunk_by(|one, other| one.asked == other.asked) {
            let Some((_held, mut socket)) = self.socket_in(questions[0].asked) else { continue };
            self.ask_for_home(questions[0].asked, &mut socket);
            for question in questions {
                if self.numbers.said(question.asked, question.number).is_some() {
                    continue;
                }
                if let Err(error) = self.ask_one(&mut socket, *question, &looks) {
                    self.unseen.not_read_again(question.asked, error);
                }
            }
        }
    }

    /// Most links of others lead to our own namespace.
    fn ask_for_home(&mut self, asked: u64, socket: &mut Socket) {
        match socket.nsid(self.home.namespace()) {
            Ok(Some(number)) => self.numbers.say(asked, number, self.home.identity().inode),
            Ok(None) => {}
            Err(error) => self.unseen.not_read_again(asked, error),
        }
    }

    fn ask_one(
        &mut self,
        socket: &mut Socket,
        question: NumberQuestion,
        looks: &LinksByLook,
    ) -> Result<(), NetlinkError> {
        let candidates = match socket.link_of(question.number, question.far_index) {
            Ok(Some(far)) => self.alike(&far, looks),
            // Neither there any more nor anywhere else.
            Ok(None) => return Ok(()),
            Err(_) => self.fitting(question),
        };
        for candidate in candidates.into_iter().take(MOST_TRIED) {
            let Some(namespace) = self.opened(candidate) else { continue };
            if let Some(number) = socket.nsid(&namespace)? {
                self.numbers.say(question.asked, number, candidate);
                if number == question.number {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The namespaces that have a link which looks like `far`.
    fn alike(&self, far: &Link, looks: &LinksByLook) -> Vec<u64> {
        let places = looks.get(&(far.index, far.mac)).map_or(&[][..], Vec::as_slice);
        let candidates = places.iter().map(|at| &self.namespaces[*at]);
        let candidates =
            candidates.filter(|netns| netns.link(far.index).is_some_and(|link| link.link.name == far.name));
        candidates.map(|netns| netns.inode).collect()
    }

    /// The namespaces that have a link of that index, where an older kernel does not show the far one.
    fn fitting(&self, question: NumberQuestion) -> Vec<u64> {
        let near = self.namespaces.iter().find(|netns| netns.inode == question.asked);
        let near = near.and_then(|netns| {
            netns.links.iter().find(|link| {
                EndClaim::of(&link.link).is_some_and(|claim| {
                    (claim.number, claim.index) == (Some(question.number), question.far_index)
                })
            })
        });
        let Some(near) = near.map(|link| &link.link) else { return Vec::new() };
        let is_cable = EndClaim::of(near).is_some_and(|claim| claim.is_cable);
        let fits = |far: &Link| {
            let back = EndClaim::of(far).filter(|claim| claim.is_cable);
            !is_cable || back.is_some_and(|claim| claim.index == near.index)
        };
        let others = self.namespaces.iter().filter(|netns| netns.inode != question.asked);
        let others = others.filter(|netns| netns.link(question.far_index).is_some_and(|far| fits(&far.link)));
        others.map(|netns| netns.inode).collect()
    }

    fn opened(&mut self, inode: u64) -> Option<Namespace> {
        let opened = self.ways.get(&inode)?.open();
        opened.unwrap_or_else(|error| {
            self.unseen.not_read_again(inode, error);
            None
        })
    }

    fn socket_in(&mut self, inode: u64) -> Option<(Namespace, Socket)> {
        let namespace = self.opened(inode)?;
        match self.home.inside(&namespace, Socket::open) {
            Ok(Ok(socket)) => return Some((namespace, socket)),
            Ok(Err(error)) => self.unseen.not_read_again(inode, error),
            Err(errno) => self.unseen.not_read_again(inode, io::Error::from(errno)),
        }
        None
    }
}
