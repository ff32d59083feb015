//! The floors of `benches/floors/`, compiled into a directory that goes away with the bench.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    time::SystemTime,
};

use crate::{error::BenchError, program};

const SOURCES: &[(&str, &str)] = &[
    ("inspect", include_str!("../floors/inspect.c")),
    ("enter_net", include_str!("../floors/enter_net.c")),
    ("map", include_str!("../floors/map.c")),
    ("ports", include_str!("../floors/ports.c")),
    // No floor, but what one looks at.
    ("waiters", include_str!("../floors/waiters.c")),
];

/// A directory for what the bench makes; dropping it removes it.
pub(crate) struct Workshop(PathBuf);

impl Workshop {
    pub(crate) fn open() -> Result<Self, BenchError> {
        // In a world PIDs start from 1 again, and a bench that was killed leaves its directory.
        let since = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_micros());
        let dir = env::temp_dir().join(format!("netns-toolbox-bench-{}-{since}", process::id()));
        fs::create_dir(&dir).map_err(BenchError::path(&dir))?;
        Ok(Self(dir))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// Without a C compiler there are no floors, and the report names them as missing.
    pub(crate) fn compile_floors(&self) -> Result<(), BenchError> {
        let Some(cc) = program::on_path("cc") else { return Ok(()) };
        for (name, source) in SOURCES {
            let mut command = Command::new(&cc);
            command.args(["-O2", "-static", "-x", "c", "-", "-o"]).arg(self.0.join(name));
            let mut compiler = command
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(BenchError::path(&cc))?;
            if let Some(mut stdin) = compiler.stdin.take() {
                stdin.write_all(source.as_bytes()).map_err(BenchError::path(&cc))?;
            }
            let done = compiler.wait_with_output().map_err(BenchError::path(&cc))?;
            if !done.status.success() {
                let stderr = String::from_utf8_lossy(&done.stderr).trim().to_owned();
                return Err(BenchError::Failed {
                    command: format!("cc {name}.c"),
                    status: done.status,
                    stderr,
                });
            }
        }
        Ok(())
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // Nothing better can be done about a directory that does not go.
        let _ = fs::remove_dir_all(&self.0);
    }
}
