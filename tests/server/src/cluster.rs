//! A cluster: made, started, stopped, crashed, copied, removed.

use crate::command::{self, bin_dir, command, run};
use crate::guardian::Guardian;
use postgres::{Client, NoTls};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How the cluster is configured.
#[derive(Debug, Clone, Default)]
pub struct Options {
    preload: Vec<String>,
    settings: Vec<(String, String)>,
}

impl Options {
    /// Nothing preloaded.
    pub fn plain() -> Self {
        Self::default()
    }

    /// `lake_stores` preloaded, and TimescaleDB where it is installed; visits every second.
    pub fn preloaded() -> Self {
        let mut options = Self::default();
        if command::installed("timescaledb") {
            options.preload.push("timescaledb".into());
        }
        options.preload.push("lake_stores".into());
        options
            .set("lake_stores.naptime", "1s")
            .set("lake_stores.max_visits", "4")
            .set("max_worker_processes", "32")
    }

    /// Exactly these libraries preloaded.
    #[must_use]
    pub fn preload(mut self, libraries: &[&str]) -> Self {
        self.preload = libraries.iter().map(|&l| l.into()).collect();
        self
    }

    /// A line of postgresql.conf.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }
}

/// How to stop, as in `pg_ctl`.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    Smart,
    Fast,
    Immediate,
}

/// A running (or stopped) cluster, reached by a socket in its own folder.
pub struct Cluster {
    bin: PathBuf,
    dir: PathBuf,
    _guardian: Guardian,
}

impl Cluster {
    /// Makes a cluster and starts it.
    #[track_caller]
    pub fn start(options: Options) -> Self {
        let cluster = Self::make();
        run(command(&cluster.bin.join("initdb"))
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"])
            .args(["--no-sync", "--no-instructions", "-D"])
            .arg(cluster.data()));
        let mut conf: Vec<(String, String)> = vec![
            ("listen_addresses".into(), String::new()),
            ("unix_socket_directories".into(), cluster.dir.display().to_string()),
            ("fsync".into(), "off".into()),
            ("full_page_writes".into(), "off".into()),
            ("max_connections".into(), "50".into()),
            ("shared_buffers".into(), "32MB".into()),
            ("log_line_prefix".into(), "%m [%p] %b %d ".into()),
            ("timescaledb.telemetry_level".into(), "off".into()),
            ("shared_preload_libraries".into(), options.preload.join(",")),
        ];
        if !options.preload.iter().any(|l| l == "timescaledb") {
            conf.retain(|(name, _)| !name.starts_with("timescaledb"));
        }
        conf.extend(options.settings);
        cluster.configure(conf.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        cluster.start_again();
        cluster
    }

    /// A hot standby of this cluster, copied by `pg_basebackup`.
    #[track_caller]
    pub fn standby(&self) -> Self {
        let standby = Self::make();
        run(self
            .tool("pg_basebackup")
            .args(["-c", "fast", "-R", "-X", "stream", "-D"])
            .arg(standby.data()));
        standby.configure([("unix_socket_directories", standby.dir.to_str().unwrap_or_default())]);
        standby.start_again();
        standby
    }

    fn make() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = command::run_dir().join(format!("lk{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)
            .unwrap_or_else(|e| panic!("{} can't be made ({e}): set LAKE_RUN_DIR", dir.display()));
        if command::is_root() {
            run(Command::new("chown").arg("postgres").arg(&dir));
        }
        let bin = bin_dir();
        let guardian = Guardian::watch(&bin, &dir);
        Self { bin, dir, _guardian: guardian }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The folder of the socket: what clients take as host. The port is 5432.
    pub fn host(&self) -> &Path {
        &self.dir
    }

    /// Appends to postgresql.conf; takes effect at the next start or [`Cluster::reload`].
    pub fn configure<'a>(&self, settings: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let path = self.data().join("postgresql.conf");
        let mut text =
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    #[track_caller]
    pub fn reload(&self) {
        run(self.pg_ctl().arg("reload"));
    }

    /// Starts a stopped cluster.
    #[track_caller]
    pub fn start_again(&self) {
        let output = self
            .pg_ctl()
            .args(["-w", "-t", "60", "-s", "-o", "-p 5432", "-l"])
            .arg(self.dir.join("log"))
            .arg("start")
            .status();
        assert!(output.is_ok_and(|s| s.success()), "the server didn't start:\n{}", self.log());
    }

    /// Stops and says how long that took.
    #[track_caller]
    pub fn stop(&self, mode: Stop) -> Duration {
        let mode = match mode {
            Stop::Smart => "smart",
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        let start = Instant::now();
        run(self.pg_ctl().args(["-w", "-t", "60", "-m", mode, "stop"]));
        start.elapsed()
    }

    #[track_caller]
    pub fn restart(&self) {
        self.stop(Stop::Fast);
        self.start_again();
    }

    /// What the server has logged since it was made.
    pub fn log(&self) -> String {
        fs::read(self.dir.join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// `kill -SIGNAL pid`, for a process of this cluster.
    #[track_caller]
    pub fn signal(&self, signal: &str, pid: i32) {
        run(command(Path::new("/bin/kill")).args(["-s", signal, &pid.to_string()]));
    }

    /// A connection, or the error that prevented it.
    pub fn try_connect(&self, database: &str, user: &str) -> Result<Client, postgres::Error> {
        postgres::Config::new()
            .host_path(&self.dir)
            .port(5432)
            .dbname(database)
            .user(user)
            .connect_timeout(Duration::from_secs(10))
            .connect(NoTls)
    }

    #[track_caller]
    pub fn connect(&self, database: &str, user: &str) -> Client {
        self.try_connect(database, user).unwrap_or_else(|e| {
            panic!("can't connect to {database} as {user}: {e}\n{}", self.log())
        })
    }

    /// Makes a database with these extensions, each where `CREATE EXTENSION` puts it.
    #[track_caller]
    pub fn create_database(&self, name: &str, extensions: &[&str]) {
        let mut maintenance = self.connect("postgres", "postgres");
        let sql = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
        maintenance.batch_execute(&sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let mut db = self.connect(name, "postgres");
        for extension in extensions {
            let sql = format!("CREATE EXTENSION {extension}");
            db.batch_execute(&sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
    }

    /// One of the server's programs (`psql`, `pg_dump` …), set to connect here as `postgres`.
    pub fn tool(&self, name: &str) -> Command {
        let mut tool = command(&self.bin.join(name));
        tool.env("PGHOST", &self.dir).env("PGPORT", "5432").env("PGUSER", "postgres");
        tool
    }

    /// Runs a program of [`Cluster::tool`] to its end and returns its output; panics where it fails.
    #[track_caller]
    pub fn run(&self, tool: &mut Command) -> String {
        run(tool)
    }

    fn pg_ctl(&self) -> Command {
        let mut pg_ctl = command(&self.bin.join("pg_ctl"));
        pg_ctl.arg("-D").arg(self.data());
        pg_ctl
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- server log, last lines ----");
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(60)..] {
                eprintln!("{line}");
            }
        }
        // The guardian, dropped next, stops the server and removes its folder.
    }
}
