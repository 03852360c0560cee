//! Tests of late request bodies, and of the connection limits.

use super::*;

const HEADS: [&[u8]; 5] = [
    b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
    b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n1",
    b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y",
];

#[tokio::test(start_paused = true)]
async fn a_stalled_body_is_answered_with_408_and_disconnected() {
    for head in HEADS {
        let (mut client, task) = connect(&state(|_| {})).await;
        client.write_all(head).await.unwrap();
        assert!(is_open_after(&mut client, secs(29)).await, "{}", head.escape_ascii());
        let answer = timeout(secs(2), read_until(&mut client, "request_timeout.")).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"), "{answer}");
        assert!(!is_open_after(&mut client, secs(1)).await);
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_body_after_100_continue_times_out() {
    let (mut client, _) = connect(&state(|_| {})).await;
    let head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    client.write_all(head).await.unwrap();
    assert!(read_until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 100"));
    let answer = timeout(secs(31), read_until(&mut client, "request_timeout.")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_dripping_body_times_out_and_a_slow_one_does_not() {
    let (mut client, _) = connect(&state(|_| {})).await;
    client.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    let mut seconds = 0;
    while timeout(secs(1), client.read_u8()).await.is_err() {
        client.write_all(b"x").await.unwrap();
        seconds += 1;
        assert!(seconds < 40, "a dripping body is never ended");
    }
    assert!(read_until(&mut client, "request_timeout.").await.contains(" 408 "));
    let (mut client, _) = connect(&state(|_| {})).await;
    client.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 131072\r\n\r\n").await.unwrap();
    for _ in 0..128 {
        client.write_all(&[b'x'; 1024]).await.unwrap();
        sleep(secs(1)).await;
    }
    read_until(&mut client, "131072 bytes").await;
}

#[tokio::test(start_paused = true)]
async fn slow_heads_and_bodies_do_not_shorten_the_next_request() {
    let (mut client, _) = connect(&state(|_| {})).await;
    for _ in 0..3 {
        client.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n").await.unwrap();
        assert!(is_open_after(&mut client, secs(29)).await);
        client.write_all(b"xy").await.unwrap();
        read_until(&mut client, "2 bytes").await;
        assert!(is_open_after(&mut client, secs(80)).await);
    }
}

#[tokio::test(start_paused = true)]
async fn large_bodies_beyond_the_memory_limit_are_refused_and_small_ones_pass() {
    let state = state(|server| server.max_arriving = Size::from_bytes(100 << 10));
    let mut clients = Vec::new();
    for _ in 0..2 {
        let (mut client, _) = connect(&state).await;
        client.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n").await.unwrap();
        clients.push(client);
    }
    clients[0].write_all(&[b'x'; 150 << 10]).await.unwrap();
    sleep(secs(1)).await;
    clients[1].write_all(&[b'x'; 60 << 10]).await.unwrap();
    sleep(secs(1)).await;
    clients[1].write_all(&[b'x'; 60 << 10]).await.unwrap();
    let answer = read_until(&mut clients[1], "overloaded.").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");

    let (mut small, _) = connect(&state).await;
    small.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345").await.unwrap();
    read_until(&mut small, "5 bytes").await;
    clients[0].write_all(&[b'x'; 200_000 - (150 << 10)]).await.unwrap();
    read_until(&mut clients[0], "200000 bytes").await;

    // A request that has ended no longer counts.
    let (mut third, _) = connect(&state).await;
    third.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 150000\r\n\r\n").await.unwrap();
    third.write_all(&[b'x'; 150_000]).await.unwrap();
    read_until(&mut third, "150000 bytes").await;
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_evicted_oldest_first_and_busy_ones_never() {
    let state = state(|server| server.max_connections = 3);
    let (mut oldest, _) = connect(&state).await;
    ask(&mut oldest, "/hello", "hello").await;
    sleep(secs(1)).await;
    let (mut younger, _) = connect(&state).await;
    ask(&mut younger, "/hello", "hello").await;
    let (mut busy, _) = connect(&state).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    sleep(secs(1)).await;

    let (mut fresh, _) = timeout(secs(1), connect(&state)).await.expect("no connection was evicted");
    assert!(!is_open_after(&mut oldest, secs(1)).await);
    ask(&mut fresh, "/hello", "hello").await;
    ask(&mut younger, "/hello", "hello").await;
    read_until(&mut busy, "at last").await;
}

#[tokio::test(start_paused = true)]
async fn clients_with_missing_bodies_are_answered_and_evicted() {
    let state = state(|server| server.max_connections = 4);
    let mut held = Vec::new();
    for head in &HEADS[..4] {
        let (mut client, _) = connect(&state).await;
        client.write_all(head).await.unwrap();
        sleep(secs(1)).await;
        held.push(client);
    }
    let (mut fresh, _) = timeout(secs(1), connect(&state)).await.expect("no connection was evicted");
    ask(&mut fresh, "/hello", "hello").await;
    assert!(read_until(&mut held[0], "request_timeout.").await.starts_with("HTTP/1.1 408"));
    assert!(is_open_after(&mut held[1], secs(1)).await);
}

/// Opens connections that are served only after their eviction, as on a busy machine: their requests have arrived, and
/// their tasks have not been polled.
async fn connect_late(state: &ServerState, request: &[u8]) -> DuplexStream {
    let (mut client, server) = duplex(64 << 10);
    client.write_all(request).await.unwrap();
    let activity = Arc::new(ConnectionActivity::new(state.timeouts()));
    let peer = SocketAddr::from(([192, 0, 2, 7], 4711));
    let slot = state.slots.take(peer.ip(), &activity).await.unwrap();
    let socket = Socket::new(server, Arc::clone(&activity), slot, state.open.token());
    let state = state.clone();
    tokio::spawn(async move {
        sleep(secs(1)).await;
        while activity.waiting(tokio::time::Instant::now()).is_some() {
            sleep(Duration::from_millis(1)).await;
        }
        connection::serve(socket, peer, activity, state, service_fn(hello)).await;
    });
    client
}

#[tokio::test(start_paused = true)]
async fn requests_without_bodies_that_arrive_during_eviction_free_their_slots() {
    for head in HEADS.into_iter().take(4) {
        let state = state(|server| server.max_connections = 64);
        let mut held = Vec::new();
        for _ in 0..64 {
            held.push(connect_late(&state, head).await);
        }
        sleep(secs(1)).await;
        let since = tokio::time::Instant::now();
        let mut fresh = Vec::new();
        for _ in 0..48 {
            let (mut client, _) = timeout(secs(10), connect(&state)).await.expect("no connection was evicted");
            // An idle connection would make room before the others.
            client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            fresh.push(client);
        }
        assert!(since.elapsed() < secs(2), "{:?} for {}", since.elapsed(), head.escape_ascii());
        let mut answered = 0;
        for client in &mut held {
            if let Ok(answer) = timeout(Duration::from_millis(1), read_until(client, "request_timeout.")).await {
                assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"), "{answer}");
                answered += 1;
            }
        }
        assert!(answered >= 48, "{answered}");
    }
}

#[tokio::test(start_paused = true)]
async fn complete_requests_that_arrive_during_eviction_are_answered() {
    let state = state(|server| server.max_connections = 1);
    for request in [REQUEST, b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345"] {
        let mut first = connect_late(&state, request).await;
        sleep(secs(1)).await;
        let (second, _) = timeout(secs(1), connect(&state)).await.expect("no connection was evicted");
        let answer = read_until(&mut first, if request == REQUEST { "hello" } else { "5 bytes" }).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
        drop(second);
    }
}

#[tokio::test(start_paused = true)]
async fn an_evicted_connection_that_stays_counts_again() {
    let slots = Arc::new(ConnectionSlots::new(64, 2));
    let state = state(|_| {});
    let here = std::net::IpAddr::from([192, 0, 2, 1]);
    let fresh = || Arc::new(ConnectionActivity::new(state.timeouts()));
    let (mut held, mut running) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let activity = fresh();
        held.push((slots.take(here, &activity).await.unwrap(), activity));
    }
    sleep(secs(1)).await;
    // Each is evicted, and gets a request meanwhile whose answer takes long.
    for n in 0..2 {
        let activity = fresh();
        held.push((slots.take(here, &activity).await.expect("the oldest is evicted"), activity));
        running.extend(
            held.iter()
                .filter(|(_, activity)| activity.is_leaving())
                .map(|(_, activity)| activity.begin_request())
                .take(1),
        );
        assert_eq!(running.len(), n + 1);
    }
    running.extend(held[2..].iter().map(|(_, activity)| activity.begin_request()));
    sleep(secs(1)).await;
    assert!(slots.take(here, &fresh()).await.is_none(), "four are being answered");
    drop(running);
    sleep(secs(1)).await;
    assert!(slots.take(here, &fresh()).await.is_some(), "idle connections are evicted again");
    drop(held);
    assert_eq!(slots.free(), 64);
    let _both = (slots.take(here, &fresh()).await.unwrap(), slots.take(here, &fresh()).await.unwrap());
    assert!(slots.take(here, &fresh()).await.is_none(), "two, whose heads are on their way");
}

#[tokio::test]
async fn clients_at_their_address_limit_wait_concurrently() {
    let state = state(|server| (server.max_connections, server.max_connections_per_address) = (32, 4));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let draining = state.draining.clone();
    let accepting = {
        let state = state.clone();
        tokio::spawn(async move { accept::until_draining(vec![socket], &state, &service_fn(hello)).await })
    };
    let mut running = Vec::new();
    for _ in 0..28 {
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        running.push(client);
    }
    crate::serve::tests::until(|| state.open.len() == 2 * 28).await;
    let refused = async |clients: usize| {
        let since = tokio::time::Instant::now();
        let mut refused = Vec::new();
        for _ in 0..clients {
            refused.push(TcpStream::connect(addr).await.unwrap());
        }
        for client in &mut refused {
            let mut answer = [0; 12];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 503");
        }
        since.elapsed()
    };
    let (one, ten) = (refused(1).await, refused(10).await);
    assert!(ten < one * 5, "one waits {one:?}, ten wait {ten:?}: they wait one after the other");
    draining.cancel();
    accepting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connections_are_limited_per_address() {
    let slots = Arc::new(ConnectionSlots::new(64, 4));
    let of = |text: &str| text.parse::<std::net::IpAddr>().unwrap();
    let state = state(|_| {});
    let busy = || {
        let activity = Arc::new(ConnectionActivity::new(state.timeouts()));
        (activity.begin_request(), activity)
    };
    let mut held = Vec::new();
    for address in ["192.0.2.1", "2001:db8::1", "127.0.0.1"] {
        for n in 0..64 {
            let (running, activity) = busy();
            let Some(slot) = slots.take(of(address), &activity).await else {
                assert_eq!(n, if address == "127.0.0.1" { 56 } else { 4 }, "{address}");
                break;
            };
            held.push((slot, running));
        }
    }
    // Other addresses of the same networks and of this machine share the limit.
    for address in ["::ffff:192.0.2.1", "2001:db8::2", "127.0.0.2", "::1"] {
        assert!(slots.take(of(address), &busy().1).await.is_none(), "{address}");
    }
    held.remove(0);
    assert!(slots.take(of("192.0.2.1"), &busy().1).await.is_some(), "the slot was not released");
    assert!(slots.take(of("192.0.2.2"), &busy().1).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_trusted_proxy_may_have_the_connections_of_many_clients() {
    let proxies = Arc::new(crate::proxies::TrustedProxies::new(&["192.0.2.1".to_owned()]));
    let slots = Arc::new(ConnectionSlots::new(64, 4).with_proxies(proxies));
    let state = state(|_| {});
    let mut taken = Vec::new();
    for (address, most) in [("192.0.2.1", 56), ("192.0.2.2", 4)] {
        let before = taken.len();
        loop {
            let activity = Arc::new(ConnectionActivity::new(state.timeouts()));
            let running = activity.begin_request();
            let Some(slot) = slots.take(address.parse().unwrap(), &activity).await else { break };
            taken.push((slot, running));
        }
        assert_eq!(taken.len() - before, most, "{address}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_over_its_limit_loses_its_own_idle_connections() {
    let slots = Arc::new(ConnectionSlots::new(64, 2));
    let state = state(|_| {});
    let (here, there) = (std::net::IpAddr::from([192, 0, 2, 1]), std::net::IpAddr::from([192, 0, 2, 2]));
    let idle = || {
        let activity = Arc::new(ConnectionActivity::new(state.timeouts()));
        drop(activity.begin_request());
        activity
    };
    let paces: Vec<_> = std::iter::repeat_with(idle).take(4).collect();
    let _other = slots.take(there, &paces[0]).await.unwrap();
    let first = slots.take(here, &paces[1]).await.unwrap();
    let _second = slots.take(here, &paces[2]).await.unwrap();
    let _third = slots.take(here, &paces[3]).await.expect("an idle connection of the same address is evicted");
    assert!(paces[0].waiting(tokio::time::Instant::now()).is_some(), "connections of another address are kept");
    let gone: Vec<_> = (1..4).filter(|n| paces[*n].waiting(tokio::time::Instant::now()).is_none()).collect();
    assert_eq!(gone.len(), 1, "{gone:?}");
    // A connection that was evicted and then closed is subtracted only once.
    drop(first);
    let paces: Vec<_> = std::iter::repeat_with(|| (idle(), ())).take(2).collect();
    let busy: Vec<_> = paces.iter().map(|(activity, ())| activity.begin_request()).collect();
    assert!(slots.take(here, &paces[0].0).await.is_some());
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn the_supervisor_is_notified_when_clients_wait() {
    let client_slots = state(|server| server.max_connections = 1);
    let probes = ServerState { slots: Arc::new(ConnectionSlots::new(1, 0)), ..client_slots.clone() };
    let (mut busy, task) = connect(&client_slots).await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let (mut probe, _) = connect(&probes).await;
    assert!(!ask(&mut probe, "/hello", "hello").await.contains(CLIENTS_WAITING.as_str()));
    let waiting = tokio::spawn({
        let state = client_slots.clone();
        async move { connect(&state).await }
    });
    sleep(secs(2)).await;
    assert!(ask(&mut probe, "/hello", "hello").await.contains(CLIENTS_WAITING.as_str()));
    drop(busy);
    task.await.unwrap();
    let (mut client, _) = waiting.await.unwrap();
    assert!(!ask(&mut client, "/hello", "hello").await.contains(CLIENTS_WAITING.as_str()));
    assert!(!ask(&mut probe, "/hello", "hello").await.contains(CLIENTS_WAITING.as_str()));
}

#[tokio::test(start_paused = true)]
async fn repeated_slashes_in_a_path_count_once() {
    for path in ["/v1/hello", "//v1/hello", "/v1//hello", "///v1///hello?a=//b", "//v1//hello?"] {
        let (mut client, _) = connect(&state(|_| {})).await;
        assert!(ask(&mut client, path, "v1").await.starts_with("HTTP/1.1 200"), "{path}");
    }
}
