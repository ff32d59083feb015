//! The many containers of a busy host, beside the one that is asked about.
//!
//! Whoever runs the rows starts them, when the first row asks for them; whoever holds the fixture removes them, by
//! the label. What a SIGKILL leaves ends and removes itself within the hour.

use std::process::Command;

use crate::{
    contest::CROWD,
    error::BenchError,
    fixture::{Fixture, LIFETIME_S},
    program::answer,
};

/// How many xargs(1) starts or removes at a time: the daemon works on several at once.
const AT_A_TIME: &str = "-P4";
const LABEL: &str = "netns-toolbox-bench";

pub(crate) struct Crowd {
    is_there: bool,
}

impl Crowd {
    pub(crate) fn none_yet() -> Self {
        Self { is_there: false }
    }

    /// Starts them, if they are not there yet.
    pub(crate) fn gather(&mut self, fixture: &Fixture, image: &str) -> Result<(), BenchError> {
        let name = fixture.container.as_ref().map_err(|why| BenchError::NoContainer(why.clone()))?;
        if !self.is_there {
            let run = "seq \"$1\" | xargs $2 -I@ docker run --detach --rm --network=none --label \"$3=$4\" \
                       --name \"$4-@\" \"$5\" sleep \"$6\"";
            let others = (CROWD - 1).to_string();
            shell(&[run, "sh", &others, AT_A_TIME, LABEL, name, image, LIFETIME_S])?;
            self.is_there = true;
        }
        Ok(())
    }
}

/// Removes those of the crowd around the container `name`; there may be none.
pub(crate) fn disperse(name: &str) -> Result<(), BenchError> {
    // Again, as long as there are any: where the start of them was broken off, some come late.
    let remove = "while ids=$(docker ps --all --quiet --filter \"label=$1=$2\"); [ -n \"$ids\" ]; do \
                  echo \"$ids\" | xargs $3 -n 10 docker rm --force || exit; done";
    shell(&[remove, "sh", LABEL, name, AT_A_TIME])
}

fn shell(words: &[&str]) -> Result<(), BenchError> {
    answer(Command::new("sh").arg("-c").args(words)).map(drop)
}
