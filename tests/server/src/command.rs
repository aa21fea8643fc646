//! Finding and running the server's programs, as the right system user.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder with the server's programs.
pub fn bin_dir() -> PathBuf {
    for name in ["LAKE_PG_BIN", "PGBIN"] {
        if let Some(dir) = env::var_os(name) {
            return dir.into();
        }
    }
    let output = Command::new("pg_config").arg("--bindir").output();
    match output {
        Ok(output) if output.status.success() => {
            PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => panic!("set LAKE_PG_BIN to the folder of initdb and pg_ctl"),
    }
}

/// The folder for clusters.
pub fn run_dir() -> PathBuf {
    ["LAKE_RUN_DIR", "RUN"].iter().find_map(env::var_os).map_or_else(env::temp_dir, PathBuf::from)
}

pub fn is_root() -> bool {
    // The owner of our own process, without a dependency on libc.
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// A command that runs as `postgres` when we are root.
pub fn command(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    // With it, pgrx adds a backtrace to the DETAIL of every error.
    command.env_remove("RUST_BACKTRACE").env("LC_ALL", "C.UTF-8").current_dir("/");
    command
}

/// Runs to its end; panics with what it printed where it failed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|e| panic!("{command:?} can't be run: {e}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?} failed ({status}):\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// Whether the server lacks this extension, so that the test that asks has nothing to show. It leaves a
/// line in the folder for clusters, from which `scripts/test-server` says how many tests were left out.
#[track_caller]
pub fn lacks(extension: &str) -> bool {
    if installed(extension) {
        return false;
    }
    let line = format!("{extension} {}\n", std::panic::Location::caller());
    let path = run_dir().join("lake_skipped");
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, line.as_bytes()))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    true
}

/// Whether the server has this extension.
pub fn installed(extension: &str) -> bool {
    let output = Command::new(bin_dir().join("pg_config")).arg("--sharedir").output();
    let dir = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    dir.is_ok_and(|dir| Path::new(&dir).join(format!("extension/{extension}.control")).exists())
}
