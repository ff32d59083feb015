//! The container's network: found, held, and gone into for as long as it takes to open a socket.

use common::engine::State;
use common::failure::Failure;
use common::namespace::Namespace;
use common::netns::Home;
use common::process::Process;
use common::target::Target;
use nix::errno::Errno;

use crate::TOOL;
use crate::cli::Cli;

/// A network namespace held open, and what is known of whose it is.
#[derive(Debug)]
pub struct Inside {
    /// What to call it in messages: the container's name, or the TARGET.
    pub name: String,
    /// The namespace, which cannot become another one.
    pub netns: Namespace,
    /// The process whose files say how it looks up names.
    pub process: Option<Process>,
    home: Home,
}

impl Inside {
    /// The network of what `target` means.
    ///
    /// # Errors
    /// What [`common::find`] says; a container that is paused is none that packets could come from.
    pub fn find(target: &Target, cli: &Cli) -> Result<Self, Failure> {
        let found = cli.find.find(TOOL, target)?;
        let name = found.container.as_ref().map_or_else(|| target.to_string(), |c| c.full_name());
        if let Some(container) = found.container.as_ref().filter(|c| c.state == State::Paused) {
            // Its network answers, and only its processes do not: that is worth knowing.
            common::failure::say(TOOL, format_args!("{container} is paused; its network is not"));
        }
        let process = found.process().and_then(|process| Process::open(process.pid()).ok());
        Ok(Inside { name, netns: found.into_netns()?, process, home: Home::current()? })
    }

    /// Does `open` inside: the sockets that it opens are of that network for life.
    ///
    /// # Errors
    /// What setns(2) says, as [`Home::inside`]; and what `open` says.
    pub fn open<T, E>(&self, open: impl FnOnce() -> Result<T, E>) -> Result<T, Failure>
    where
        Failure: std::convert::From<E>,
    {
        let entered = self.home.inside(&self.netns, open);
        let opened = entered.map_err(|errno| not_entered(&self.name, errno))?;
        Ok(opened?)
    }
}

fn not_entered(name: &str, errno: Errno) -> Failure {
    Failure::trouble(name, format_args!("its network cannot be entered: {}", std::io::Error::from(errno)))
}
