//! Measures the cost of writing the log. Not a regular test: `cargo test --release -p signalbox-store --test it --
//! --ignored throughput --nocapture` prints the results.

use nix::sys::resource::{UsageWho, getrusage};
use signalbox_store::exchanges::{Base, Exchange, SessionRef, record};
use tokio::time::Instant;

use crate::exchanges::whole;
use crate::fixture::{Database, on_sqlite};

const BATCH: usize = 500;

/// Returns the CPU time of all threads of this process in microseconds.
fn cpu_us() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    [usage.user_time(), usage.system_time()].iter().map(|time| time.tv_sec() * 1_000_000 + time.tv_usec()).sum()
}

#[expect(clippy::print_stdout, reason = "the results are printed for the user")]
async fn measure(what: &str, database: &Database, exchanges: &[Exchange]) {
    let (cpu, started) = (cpu_us(), Instant::now());
    for batch in exchanges.chunks(BATCH) {
        record(&database.store, batch).await.unwrap();
    }
    let count = f64::from(u32::try_from(exchanges.len()).unwrap());
    let cpu = f64::from(u32::try_from(cpu_us() - cpu).unwrap()) / count;
    println!("{what}: {:.0} rows/s, {cpu:.1} us CPU each", count / started.elapsed().as_secs_f64());
}

/// Returns ids like those of the router: ordered by time.
fn id(number: usize) -> String {
    format!("0190a1b2-{:04x}-7{:03x}-8000-{number:012x}", number >> 12, number & 0xfff)
}

/// Returns a text that compresses about as well as a conversation.
fn prose(length: usize, seed: usize) -> String {
    let mut state = u64::try_from(seed).unwrap() | 1;
    let mut text = String::with_capacity(length + 16);
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{} ", (state >> 33) % 5000));
    }
    text.truncate(length);
    text
}

fn exchange(number: usize, request: String, answer: String) -> Exchange {
    let mut exchange = whole(&id(number), 1_760_000_000_000 + i64::try_from(number).unwrap(), SessionRef::Opens);
    exchange.begun.request_body = request.into();
    let ended = exchange.ended.as_mut().unwrap();
    ended.response_body = Some(answer);
    // As random as a real hash.
    let hash = u64::try_from(number).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ended.opening_hash = Some(format!("{hash:016x}{hash:048x}"));
    exchange
}

#[tokio::test]
#[ignore = "prints figures, and takes seconds"]
async fn throughput() {
    on_sqlite(async |database: &Database| {
        let small: Vec<Exchange> = (0..50_000).map(|n| exchange(n, prose(200, n), prose(1000, n))).collect();
        measure("warm-up", database, &small[..20_000]).await;
        measure("(a) 200 B asked, 1 KB answered", database, &small[20_000..]).await;
    })
    .await;
    on_sqlite(async |database: &Database| {
        // 20 conversations of 50 turns: each turn repeats nine tenths of the previous one.
        let mut turns: Vec<Exchange> = Vec::new();
        for number in 0..1000 {
            let fresh = prose(10_000, number);
            let body = match number.checked_sub(20).map(|base| &turns[base].begun.request_body) {
                None => prose(100_000, number),
                Some(base) => base[..90_000].to_owned() + &fresh,
            };
            let mut turn = exchange(number, body, prose(1000, number));
            if number >= 20 {
                turn.begun.base = Some(Base { request_id: id(number - 20), prefix: 90_000, suffix: 0 });
            }
            turns.push(turn);
        }
        measure("(b) 100 KB asked, 90 % known", database, &turns).await;
    })
    .await;
    on_sqlite(async |database: &Database| {
        let fresh: Vec<Exchange> = (0..500).map(|n| exchange(n, prose(100_000, n), prose(1000, n))).collect();
        measure("(c) 100 KB asked, all fresh", database, &fresh).await;
    })
    .await;
}
