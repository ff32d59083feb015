//! What makes no sense. Observer: the command line itself.

use std::process::Command;

use support::run::Run;
use support::tools;

#[test]
fn what_means_many_addresses_is_refused() {
    for dest in ["10.1.0.0/24", "10.1.0.5-10.1.0.9"] {
        let ran = Command::new(tools::tool("netns-trace")).args(["--explain", "pid:1", dest]).run();
        ran.fails_with(2).stderr_has("means many addresses");
    }
}
