//! The prompt of a shell without PROGRAM. Observers: the real shells on a terminal of script(1), with files of a user that
//! set prompts of their own.

use std::fs;
use std::path::Path;

use support::container::Options;
use support::lab::Lab;
use support::run::{Ran, Run};
use support::scratch::Scratch;
use support::skip::{Missing, need, program};
use support::world::World;

/// What a user has in the files that the shells read.
const OWN: [(&str, &str); 6] = [
    (".bash_profile", "PS1='own> '\n"),
    (".profile", "PS1='own> '\n"),
    (".shrc", "echo my file was read\n"),
    (".zshrc", "PS1='own> '\n"),
    (".config/fish/config.fish", "function fish_prompt; echo -n 'own> '; end\n"),
    (".zprofile", "\n"),
];

struct Home(Scratch);

impl Home {
    fn new() -> Home {
        let home = Scratch::new();
        fs::create_dir_all(home.path(".config/fish")).unwrap();
        for (file, text) in OWN {
            fs::write(home.path(file), text).unwrap();
        }
        Home(home)
    }

    /// What is on the terminal after two commands.
    fn shown(&self, lab: &Lab, shell: &str, target: &str) -> Ran {
        let path = self.0.path("");
        let command = "exec nsenter-rs -t \"$TARGET\" -n";
        let script =
            format!("printf 'echo in-$NSENTER_RS_TARGET\\nexit\\n' | exec script -qec '{command}' /dev/null");
        let mut run = lab.shell(&script);
        let tools = Path::new(support::tools::tool("nsenter-rs")).parent().unwrap();
        run.env("PATH", format!("{}:{}", tools.display(), super::PATH))
            .env("HOME", &path)
            .env("ZDOTDIR", &path);
        run.env("XDG_CONFIG_HOME", path.join(".config"))
            .env("TERM", if shell.ends_with("zsh") { "xterm" } else { "dumb" })
            .env("SHELL", shell);
        let ran = run.env("TARGET", target).env("ENV", path.join(".shrc")).run().ok();
        for (file, text) in OWN {
            assert_eq!(fs::read_to_string(self.0.path(file)).unwrap(), text, "{file} was changed");
        }
        ran
    }
}

fn shell(name: &str) -> Result<String, Missing> {
    program(name, name)?;
    Ok(format!("/bin/{name}"))
}

#[test]
fn bash_dash_and_fish_show_where_they_are_after_the_users_own_files() {
    let lab = need!(Lab::new());
    need!(program("script", "bsdutils"));
    let web = lab.container("web", Options::default());
    let target = web.pid.to_string();
    for name in ["bash", "dash", "fish"] {
        let path = need!(shell(name));
        let path = if fs::exists(&path).unwrap() { path } else { format!("/usr{path}") };
        let ran = Home::new().shown(&lab, &path, &target);
        let ran = ran.stdout_has(&format!("(pid:{target}) own> ")).stdout_has(&format!("in-pid:{target}"));
        assert_eq!(name == "dash", ran.stdout.contains("my file was read"), "{ran}");
    }
}

#[test]
fn zsh_shows_it_at_the_right_of_the_users_own_prompt() {
    let lab = need!(Lab::new());
    need!(program("script", "bsdutils"));
    let path = need!(shell("zsh"));
    let web = lab.container("web", Options::default());
    let ran = Home::new().shown(&lab, &path, &web.pid.to_string());
    ran.stdout_has("own> ").stdout_has(&format!("(pid:{})", web.pid));
}

#[test]
fn what_no_terminal_shows_is_as_it_was() {
    let lab = need!(Lab::new());
    let web = lab.container("web", Options::default());
    for path in ["/bin/bash", "/bin/sh"] {
        let mut shell = lab.tool("nsenter-rs");
        shell.args(["-t", &web.pid.to_string(), "-n"]).env("SHELL", path).env_remove("ENV");
        let ran = shell.run_with_input("echo \"<$PROMPT_COMMAND$ENV$NSENTER_RS_TARGET>\"\n").ok();
        ran.stdout_has("<>\n");
    }
}

#[test]
fn the_shell_of_an_image_shows_the_name_of_its_container() {
    let world = need!(World::get().and_then(World::with_docker));
    need!(program("script", "bsdutils"));
    let web = world.docker_container("prompt", &[]);
    let mut run = world.command("sh");
    let tool = support::tools::tool("nsenter-rs");
    run.args(["-c", "printf 'echo $(( 40 + 2 ))\\nexit\\n' | exec script -qec \"$0 -t $1 -a\" /dev/null"]);
    run.arg(tool).arg(&web.name).env("SHELL", "/bin/bash").env("TERM", "dumb");
    run.run().ok().stdout_has(&format!("({}) ", web.name)).stdout_has("42");
}
