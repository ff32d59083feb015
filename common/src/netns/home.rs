//! Doing something inside another network namespace, and coming back.

use std::io;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};

use super::{NetnsError, failed};
use crate::failure::say;
use crate::namespace::{self, Namespace, NamespaceError, NamespaceId, NamespaceKind};

/// The network namespace that we belong to, and always come back to.
///
/// ```no_run
/// use common::namespace::{Namespace, NamespaceKind};
/// use common::netlink::Socket;
/// use common::netns::Home;
///
/// let home = Home::current()?;
/// let blue = Namespace::open("/run/netns/blue".as_ref(), NamespaceKind::Net)?;
/// // The socket is blue's for life; the thread is back home.
/// let mut socket = home.inside(&blue, Socket::open)??;
/// println!("{} has {} links", blue, socket.links()?.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Home(Namespace);

impl Home {
    /// The one that this thread is in now.
    ///
    /// # Errors
    /// As [`Namespace::current`].
    pub fn current() -> Result<Self, NamespaceError> {
        Namespace::current(NamespaceKind::Net).map(Home)
    }

    /// The namespace itself.
    pub fn namespace(&self) -> &Namespace {
        &self.0
    }

    /// What tells it from others.
    pub fn identity(&self) -> NamespaceId {
        self.0.identity()
    }

    /// Does `what` with this thread in `namespace`, and comes back. Sockets that are opened there stay there.
    ///
    /// # Errors
    /// What [setns(2)](https://man7.org/linux/man-pages/man2/setns.2.html) says: EPERM without CAP_SYS_ADMIN over
    /// the user namespace that owns it, or over our own.
    pub fn inside<T>(&self, namespace: &Namespace, what: impl FnOnce() -> T) -> nix::Result<T> {
        // Entering our own takes capabilities that being in it does not.
        if namespace.identity() == self.identity() {
            return Ok(what());
        }
        namespace.enter()?;
        let _back = ReturnGuard(&self.0);
        Ok(what())
    }
}

/// A way through many network namespaces: from one straight into the next, and home only at the end.
///
/// Between two of them this thread is in the one before: sockets that are open already, and files, do not mind.
#[derive(Debug)]
pub struct NetnsTour<'a> {
    home: &'a Home,
    back: Option<ReturnGuard<'a>>,
}

impl<'a> NetnsTour<'a> {
    /// One that begins and ends at home.
    pub fn new(home: &'a Home) -> Self {
        NetnsTour { home, back: None }
    }

    /// Does `what` in `namespace`.
    ///
    /// # Errors
    /// As [`Home::inside`].
    pub fn inside<T>(&mut self, namespace: &Namespace, what: impl FnOnce() -> T) -> nix::Result<T> {
        if namespace.identity() == self.home.identity() {
            self.back = None;
            return Ok(what());
        }
        namespace.enter()?;
        if self.back.is_none() {
            self.back = Some(ReturnGuard(&self.home.0));
        }
        Ok(what())
    }
}

/// Makes a network namespace without a process in it.
///
/// # Errors
/// `NotPermitted` without CAP_SYS_ADMIN over our user namespace.
pub fn create() -> Result<Namespace, NetnsError> {
    let own = Path::new("/proc/thread-self/ns/net");
    let opened = |error: NamespaceError| NetnsError::Io {
        action: "open the namespace",
        file: own.into(),
        source: io::Error::other(error),
    };
    let home = Home::current().map_err(opened)?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| failed("make a network namespace", own, errno))?;
    let _back = ReturnGuard(&home.0);
    Namespace::current(NamespaceKind::Net).map_err(opened)
}

#[derive(Debug)]
struct ReturnGuard<'a>(&'a Namespace);

impl Drop for ReturnGuard<'_> {
    /// A tool that has lost its way would go on, and show or change the wrong network: better none at all.
    fn drop(&mut self) {
        let back = self.0.enter().is_ok()
            && namespace::own_identity(NamespaceKind::Net).is_ok_and(|here| here == self.0.identity());
        if !back {
            say("netns-toolbox", format_args!("cannot return to {}: giving up", self.0));
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_inside_our_own_takes_no_privilege() {
        let home = Home::current().unwrap();
        let own = Namespace::current(NamespaceKind::Net).unwrap();
        assert_eq!(home.inside(&own, || 7), Ok(7));
        assert_eq!(namespace::own_identity(NamespaceKind::Net).unwrap(), home.identity());
    }

    #[test]
    fn a_tour_ends_at_home() {
        // In a thread of its own: the namespaces that it makes are its alone.
        let tour = || {
            let Ok(others) = [(); 2].map(|()| create()).into_iter().collect::<Result<Vec<_>, _>>() else {
                return;
            };
            let home = Home::current().unwrap();
            let here = || namespace::own_identity(NamespaceKind::Net).unwrap();
            let mut tour = NetnsTour::new(&home);
            for other in others.iter().chain([home.namespace(), &others[0]]) {
                assert_eq!(tour.inside(other, here), Ok(other.identity()));
            }
            drop(tour);
            assert_eq!(here(), home.identity());
        };
        std::thread::spawn(tour).join().unwrap();
    }
}
