//! The pains of the router as a whole. They are played one after the other, because some of them disturb the others.

use signalbox_core::Api;
use signalbox_store::catalog::{self, Change};
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep},
};

use super::{
    super::{
        client::Outcome,
        fake::{Act, Speech},
        faults::failing,
        scene::{LIMIT, REPORT, Scenario, Scene, Seen},
        stage::new_route,
    },
    asked_at_once,
    records::{p13, p14, p19, p23},
    usual,
};
use crate::clock::unix_ms;

/// Share and size of the budget of repeated attempts: 10 % of the requests, saved up to 100.
const RETRY_BUDGET: usize = 110;
/// Growth of the memory of the router, in KiB, beyond which it counts as unbounded.
const MAX_GROWTH: u64 = 64 << 10;

pub(in super::super) const SERVICE: [Scenario; 10] = [
    Scenario {
        id: "P16",
        model: "p16",
        name: "retry storm",
        done: "all targets fail; 20 requests at once, twice",
        expected: "calls stay within the number of targets and the budget of repeated attempts",
        play: |scene| Box::pin(p16(scene)),
    },
    Scenario {
        id: "P20",
        model: "p20",
        name: "health checks that lie, kill or cost",
        done: "all targets fail, and the health routes are asked",
        expected: "they answer 200, and call no provider",
        play: |scene| Box::pin(p20(scene)),
    },
    Scenario {
        id: "P21",
        model: "p21",
        name: "slow reload",
        done: "the route is changed in the database while requests pass",
        expected: "it is in effect within 1 s, and no request fails",
        play: |scene| Box::pin(p21(scene)),
    },
    Scenario {
        id: "P17",
        model: "p17",
        name: "memory",
        done: "four long streams at once",
        expected: "the memory of the router grows by less than 64 MiB",
        play: |scene| Box::pin(p17(scene)),
    },
    Scenario {
        id: "P19",
        model: "p19",
        name: "locked SQLite",
        done: "another process writes 20 settings while requests are logged",
        expected: "everything is written, answered and logged",
        play: |scene| Box::pin(p19(scene)),
    },
    Scenario {
        id: "P23",
        model: "p23",
        name: "search of the log",
        done: "a word of one prompt is searched among all requests",
        expected: "exactly this request is found",
        play: |scene| Box::pin(p23(scene)),
    },
    Scenario {
        id: "P14",
        model: "p14",
        name: "growth of the log",
        done: "a conversation of eight turns repeats a prompt of 64 KB in each",
        expected: "the logged bodies grow by less than two such prompts",
        play: |scene| Box::pin(p14(scene)),
    },
    Scenario {
        id: "P13",
        model: "p13",
        name: "lost log rows",
        done: "the log is compared with all answers of the run",
        expected: "each is there, once",
        play: |scene| Box::pin(p13(scene)),
    },
    Scenario {
        id: "P18",
        model: "p18",
        name: "database trouble becomes 401",
        done: "the file of the database is taken away, and requests are sent",
        expected: "they are answered; none is refused",
        play: |scene| Box::pin(p18(scene)),
    },
    Scenario {
        id: "P24",
        model: "p24",
        name: "processes that stay",
        done: "the router is asked to stop while a stream runs",
        expected: "the stream ends, the process exits with 0, and its port is free",
        play: |scene| Box::pin(p24(scene)),
    },
];

async fn p16(scene: Scene) -> Seen {
    const WAVE: usize = 20;
    scene.script(|_| failing(429));
    asked_at_once(&scene, WAVE).await;
    let first = scene.calls().len();
    asked_at_once(&scene, WAVE).await;
    let second = scene.calls().len() - first;
    let bound = 2 * WAVE * scene.stage.route.distinct() + RETRY_BUDGET;
    let text = format!("{first} calls for the first {WAVE} requests, {second} for the second");
    Seen::holds(first + second <= bound, text)
}

async fn p20(scene: Scene) -> Seen {
    scene.script(|_| failing(503));
    for _ in 0..6 {
        scene.ask().await;
    }
    let before = scene.calls().len();
    let mut statuses = Vec::new();
    for path in ["/health/live", "/health/ready", "/health"] {
        statuses.push(scene.stage.caller.send(path, bytes::Bytes::new(), LIMIT).await.status);
    }
    let calls = scene.calls().len() - before;
    let text = format!("live {}, ready {}, health {}; {calls} calls", statuses[0], statuses[1], statuses[2]);
    Seen::holds(statuses == [200, 200, 200] && calls == 0, text)
}

async fn p21(scene: Scene) -> Seen {
    const CHANGED: &str = "doctor-changed";
    let before = scene.asked().await.1;
    let mut route = new_route(&scene.stage.route, scene.model, scene.model);
    for target in &mut route.plan.targets {
        CHANGED.clone_into(&mut target.model);
    }
    let store = &scene.stage.store;
    let Ok(version) = catalog::version(store).await else { return Seen::fail("the database cannot be read", REPORT) };
    let changed = catalog::change(store, &scene.stage.sealer, version, &[Change::Route(route)], unix_ms()).await;
    if !matches!(changed, Ok(true)) {
        return Seen::fail("the route cannot be changed", REPORT);
    }
    let began = Instant::now();
    let mut whole = usize::from(before == Outcome::Whole);
    let mut asked = 1;
    while began.elapsed() < Duration::from_secs(5) {
        whole += usize::from(scene.asked().await.1 == Outcome::Whole);
        asked += 1;
        if scene.calls().last().is_some_and(|call| call.model == CHANGED) {
            let text =
                format!("in effect after {} ms; {whole} of {asked} requests answered", began.elapsed().as_millis());
            return Seen::holds(began.elapsed() < Duration::from_millis(1_500) && whole == asked, text);
        }
        sleep(Duration::from_millis(50)).await;
    }
    Seen::fail("not in effect after 5 s", REPORT)
}

/// Returns the resident memory of a process in KiB.
fn memory(pid: Option<u32>) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

async fn p17(scene: Scene) -> Seen {
    let Some(before) = memory(scene.stage.pid) else {
        return Seen::skipped("the memory of a process cannot be read on this operating system");
    };
    scene.script(|_| Act::Say(Speech { words: 5_000, ..Speech::default() }));
    let mut sent = JoinSet::new();
    for _ in 0..4 {
        let scene = scene.clone();
        sent.spawn(async move { scene.ask().await.body.len() });
    }
    let mut most = before;
    let mut bytes = 0;
    loop {
        tokio::select! {
            done = sent.join_next() => match done {
                Some(length) => bytes += length.unwrap_or_default(),
                None => break,
            },
            () = sleep(Duration::from_millis(20)) => {}
        }
        most = most.max(memory(scene.stage.pid).unwrap_or_default());
    }
    let grown = most.saturating_sub(before);
    Seen::holds(
        grown < MAX_GROWTH && bytes >= 1 << 20,
        format!("{} MiB more for {} MiB of streams", grown >> 10, bytes >> 20),
    )
}

async fn p18(scene: Scene) -> Seen {
    let files = scene.stage.database_files();
    let away = |path: &std::path::Path| path.with_extension("away");
    let Some(file) = files.first() else { return Seen::skipped("there is no database file") };
    if std::fs::rename(file, away(file)).is_err() {
        return Seen::skipped("the file of an open database cannot be moved on this operating system");
    }
    // The router looks at the database four times a second.
    sleep(Duration::from_millis(600)).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(scene.stage.caller.send("/v1/chat/completions", usual(&scene), LIMIT).await.status);
    }
    let back = std::fs::rename(away(file), file);
    let answered = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().any(|status| matches!(status, 401 | 403));
    let text = format!("{answered} of {} answered without the database", statuses.len());
    if back.is_err() {
        return Seen::fail("the file of the database could not be moved back", REPORT);
    }
    Seen::holds(answered == statuses.len() && !refused, text)
}

async fn p24(scene: Scene) -> Seen {
    scene.script(|_| Act::Say(Speech { words: 40, pace: Duration::from_millis(50), ..Speech::default() }));
    let running = tokio::spawn({
        let scene = scene.clone();
        async move { scene.stage.caller.send("/v1/chat/completions", usual(&scene), LIMIT).await }
    });
    sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let status = scene.stage.stop(LIMIT).await;
    let got = running.await.unwrap_or_default();
    let outcome = got.outcome(Api::Chat, &super::words(40));
    let is_free = tokio::net::TcpListener::bind(scene.stage.caller.addr).await.is_ok();
    let ended = match &outcome {
        Outcome::Whole => "the stream was finished",
        Outcome::Error(_) => "the stream ended with an error",
        _ => "the stream had no proper end",
    };
    let code = status.and_then(|status| status.code());
    let text = format!(
        "{ended}; exit code {code:?} after {:.1} s; the port is {}",
        began.elapsed().as_secs_f32(),
        if is_free { "free" } else { "taken" }
    );
    let seen = Seen::holds(code == Some(0) && is_free, text);
    seen.required(
        matches!(outcome, Outcome::Whole | Outcome::Error(_)),
        "the client cannot tell that it is incomplete",
        REPORT,
    )
}
