//! Cleans up after a test process, however it ends.

use crate::command;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};

/// A shell that waits for its standard input to end, which happens when this process closes it or
/// dies, and then stops the server and removes its folder.
pub struct Guardian(Child);

impl Guardian {
    pub fn watch(bin: &Path, dir: &Path) -> Self {
        let script = r#"
            cat >/dev/null
            "$1/pg_ctl" -D "$2/data" -m immediate -w stop
            rm -rf "$2"
        "#;
        let child = command::command(Path::new("/bin/sh"))
            .args(["-c", script, "guardian"])
            .args([bin, dir])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        Guardian(child.unwrap_or_else(|e| panic!("can't start a shell: {e}")))
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // The exit code says nothing: usually the server has been stopped already.
        let _ = self.0.wait();
    }
}
