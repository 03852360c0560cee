//! Tests of the supervisor with real processes.

mod failures;
mod handover;
mod port;

use std::path::Path;
use std::time::Duration;

use api_server::supervisor::{
    Child, Fault, Limits, Listen, Phase, Resources, Snapshot, Spec, Unmet, inherited_env, supervise,
};
use tempfile::TempDir;

use crate::site::test_child;

/// Script of a child that becomes ready.
const READY: &str = r#"exec "$CHILD" me 200 me"#;

struct Room {
    dir: TempDir,
    child: Child,
}

impl Room {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), child: supervise("child", limits) }
    }

    /// Returns a spec that runs a shell script; `$CHILD` is the test child.
    fn script(&self, script: &str) -> Spec {
        let mut env = inherited_env();
        env.push(("CHILD".into(), test_child().into()));
        Spec {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env,
            secrets: Vec::new(),
            listen: Listen { host: "127.0.0.1".to_owned(), port: 0, auto_port: false },
            resources: Resources::default(),
            log: self.dir.path().join("logs/child.log"),
            run: self.dir.path().join("run"),
            orphan_grace: Duration::ZERO,
            fingerprint: "print".to_owned(),
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("logs/child.log")).unwrap()
    }

    fn now(&self) -> Snapshot {
        self.child.watch().borrow().clone()
    }

    /// Starts the script, and waits until it is ready.
    async fn up(&self, script: &str) -> Snapshot {
        self.child.start(self.script(script)).await.done().await.unwrap();
        self.now()
    }

    /// Waits for a state.
    async fn until(&self, such: impl FnMut(&Snapshot) -> bool) -> Snapshot {
        self.child.watch().wait_for(such).await.unwrap().clone()
    }

    /// Returns the failure of starting the script.
    async fn failure(&self, script: &str) -> String {
        match self.child.start(self.script(script)).await.done().await {
            Err(Unmet::Failed(cause)) => cause.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

/// Waits for the end of a process.
async fn end_of(pid: u32) {
    while lives(pid) {
        tokio::task::yield_now().await;
    }
}

fn signal(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// Returns whether a process is alive; zombies are not.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| !matches!(fields.trim_start().chars().next(), Some('Z' | 'X')))
}

/// Returns the numbers that a script printed to its log.
fn numbers(log: &str) -> Vec<u32> {
    log.lines().filter_map(|line| line.parse().ok()).collect()
}

#[tokio::test]
async fn a_child_is_started_and_stopped() {
    let room = Room::new();
    let running = room.up(READY).await;
    assert_eq!(running.state, Phase::Running);
    assert_eq!(running.generation, 1);
    assert!(running.addr.is_some());
    let pid = running.pid.unwrap();
    assert!(lives(pid));

    room.child.stop().await.done().await.unwrap();
    let stopped = room.now();
    assert_eq!((stopped.state, stopped.pid, stopped.addr, stopped.forced), (Phase::Stopped, None, None, false));
    assert!(!lives(pid));
    assert!(!Path::new("/proc").join(pid.to_string()).exists(), "the leader was not reaped");
}

#[tokio::test]
async fn a_second_start_spawns_nothing_and_a_restart_spawns_again() {
    let room = Room::new();
    let first = room.child.start(room.script(READY)).await;
    let second = room.child.start(room.script(READY)).await;
    first.done().await.unwrap();
    second.done().await.unwrap();
    let before = room.now();
    assert_eq!(before.generation, 1);

    room.child.restart(room.script(READY)).await.done().await.unwrap();
    let after = room.now();
    assert_eq!((after.state, after.generation), (Phase::Running, 2));
    assert_ne!(after.pid, before.pid);
    end_of(before.pid.unwrap()).await;
}

#[tokio::test]
async fn fc_23_a_stop_supersedes_a_start() {
    let room = Room::new();
    let start = room.child.start(room.script("sleep 1000")).await;
    let stop = room.child.stop().await;
    assert!(matches!(start.done().await, Err(Unmet::Superseded)));
    stop.done().await.unwrap();
    assert_eq!(room.now().state, Phase::Stopped);
}

#[tokio::test]
async fn fc_24_a_start_during_a_stop_waits_for_the_old_group() {
    let room = Room::new();
    let old = room.up(READY).await.pid.unwrap();
    let stop = room.child.stop().await;
    let start = room.child.start(room.script(READY)).await;
    assert!(matches!(stop.done().await, Err(Unmet::Superseded)));
    start.done().await.unwrap();
    assert!(!lives(old));
    assert_eq!(room.now().generation, 2);
}

#[tokio::test]
async fn fc_26_a_child_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let room = Room::with(Limits { grace: Duration::from_millis(300), ..Limits::default() });
    let pid =
        room.up(r#"trap '' TERM; exec 9<&0; "$CHILD" me 200 me <&9 & while :; do sleep 1; done"#).await.pid.unwrap();
    room.child.stop().await.done().await.unwrap();
    assert!(room.now().forced);
    assert!(!lives(pid));
}

#[tokio::test]
async fn fc_27_a_suspended_process_receives_sigterm() {
    let room = Room::new();
    signal(room.up(READY).await.pid.unwrap(), nix::sys::signal::SIGSTOP);
    room.child.stop().await.done().await.unwrap();
    assert!(!room.now().forced);
}

#[tokio::test]
async fn fc_01_grandchildren_exit_with_the_leader() {
    let room = Room::new();
    let grandchild = "(trap '' TERM; exec sleep 1000) & echo $! >&2;";
    room.up(&format!("{grandchild} {READY}")).await;
    let family = numbers(&room.log());
    assert!(family.len() == 1 && lives(family[0]));
    room.child.stop().await.done().await.unwrap();
    assert!(!lives(family[0]));

    room.failure(&format!("{grandchild} exit 1")).await;
    let family = numbers(&room.log());
    assert!(family.len() == 2 && !lives(family[1]));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn fc_02_a_descendant_outside_the_group_is_found() {
    let room = Room::new();
    room.up(&format!("setsid sh -c 'echo $$ >&2; exec sleep 1000' & {READY}")).await;
    let escaped = loop {
        if let [escaped] = numbers(&room.log())[..] {
            break escaped;
        }
        tokio::task::yield_now().await;
    };
    assert!(lives(escaped));
    // A process has no environment for a moment while it becomes another program.
    while std::fs::read_to_string(format!("/proc/{escaped}/comm")).unwrap().trim() != "sleep" {
        tokio::task::yield_now().await;
    }
    room.child.stop().await.done().await.unwrap();
    assert!(!lives(escaped));
}

#[tokio::test]
async fn fc_34_a_child_gets_only_its_own_environment() {
    let room = Room::new();
    let mut spec = room.script("env >&2");
    spec.env = vec![("PORT".into(), "3001".into())];
    spec.program = "/bin/sh".into();
    drop(room.child.start(spec).await.done().await);
    let log = room.log();
    let mut names: Vec<&str> = log.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    names.retain(|name| !matches!(*name, "PWD" | "OLDPWD" | "SHLVL" | "_"));
    let ours =
        ["FAMILY", "FINGERPRINT", "LOG_FILE", "ORPHAN_GRACE", "SUPERVISED"].map(|name| format!("SIGNALBOX_{name}"));
    assert_eq!(names[..3], ["LISTEN_FDNAMES", "LISTEN_FDS", "PORT"]);
    assert_eq!(names[3..], ours);
    assert!(log.contains("SIGNALBOX_SUPERVISED=1\n"));
}

#[tokio::test]
async fn closing_stops_the_child() {
    let room = Room::new();
    let pid = room.up(READY).await.pid.unwrap();
    room.child.close().await;
    assert!(!lives(pid));
}

#[test]
fn a_dropped_runtime_leaves_no_orphan() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (room, pid) = runtime.block_on(async {
        let room = Room::new();
        let pid = room.up(&format!("sleep 1000 & echo $! >&2; {READY}")).await.pid.unwrap();
        (room, pid)
    });
    let family = numbers(&room.log());
    drop(runtime);
    // SIGKILL has been sent to the group; the kernel takes a moment.
    let mut alive = true;
    for _ in 0..1_000_000 {
        alive = lives(pid) || lives(family[0]);
        if !alive {
            break;
        }
        std::thread::yield_now();
    }
    assert!(!alive);
}

#[tokio::test]
async fn fc_25_concurrent_callers_never_get_two_processes() {
    let room = Room::new();
    let mut tickets = Vec::new();
    for round in 0..50 {
        tickets.push(match round % 3 {
            0 => room.child.start(room.script(READY)).await,
            1 => room.child.restart(room.script(READY)).await,
            _ => room.child.stop().await,
        });
    }
    for ticket in tickets {
        assert!(matches!(ticket.done().await, Ok(()) | Err(Unmet::Superseded)));
    }
    let last = room.now();
    assert_eq!(last.state, Phase::Running);
    let marker = format!("{}/logs", room.dir.path().display());
    let children = || {
        std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
            let cmdline = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            let log = std::fs::read_link(entry.path().join("fd/2")).unwrap_or_default();
            cmdline.contains("supervised_child") && log.starts_with(&marker)
        })
    };
    // Replaced generations may take a moment to exit.
    while children().count() != 1 {
        tokio::task::yield_now().await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn fc_02_fc_30_an_escaped_descendant_is_found_and_no_zombie_remains() {
    // As api-server does: orphans then become our children.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let room = Room::new();
    // A session of its own, an empty environment, and a parent that has ended.
    let stray = "(setsid env -i sh -c 'echo $$ >&2; exec sleep 1000' &)";
    room.up(&format!("{stray}; {READY}")).await;
    let escaped = loop {
        if let [escaped] = numbers(&room.log())[..] {
            break escaped;
        }
        tokio::task::yield_now().await;
    };
    room.child.stop().await.done().await.unwrap();
    assert!(!lives(escaped));
    room.child.close().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn fc_29_resource_limits_apply_to_a_child() {
    let room = Room::new();
    // The limits are applied right after the spawn; a faster shell polls for them.
    let script = "until [ $(ulimit -n) = 123 ] && [ $(nice) = 7 ]; do :; done; ulimit -Hn >&2";
    let mut spec = room.script(&format!("{script}; {READY}"));
    spec.resources = Resources { memory: None, open_files: Some(123), niceness: Some(7) };
    room.child.start(spec).await.done().await.unwrap();
    assert_eq!(numbers(&room.log()), [123]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn fc_29_a_child_over_its_memory_limit_is_replaced_without_interruption() {
    let limits = Limits {
        probe_interval: Duration::from_millis(50),
        memory_patience: Duration::from_millis(200),
        ..Limits::default()
    };
    let room = Room::with(limits);
    let mut spec = room.script(READY);
    // Any process exceeds one byte.
    spec.resources.memory = Some(1);
    room.child.start(spec).await.done().await.unwrap();
    let first = room.now();
    let second = room.until(|now| now.generation == 2 && now.state == Phase::Running).await;
    assert_eq!((second.addr, second.failures, second.restarts), (first.addr, 0, 1));
    assert_eq!(second.cause.unwrap().fault, Fault::Memory);
}
