//! Only processes of this installation, or those named explicitly, are ended.

use signalbox_harness::{CommandLine, Home, Launch, Router, eventually, processes};

use super::{anywhere, free_ports, number};

#[tokio::test]
async fn fc_12_a_foreign_process_on_a_port_is_named_and_not_killed() {
    let [port] = free_ports();
    let stranger = Router::start(Launch::default().arg("--port").arg(port.to_string())).await;
    let port = stranger.client.port().to_string();
    let pid = stranger.process.pid();
    let home = Home::new();
    let shell =
        CommandLine::new(&home).env("API_PORT", &port).env("PROVIDER_ROUTER_PORT", "0").env("QWEN_PROXY_PORT", "0");
    let other = std::process::id().to_string();
    for words in [&["start"][..], &["start", "--force"], &["start", "--force", "--expect-pid", &other]] {
        let refused = shell.api_server(words).await.expect(1);
        assert!(
            refused.stderr.contains(&format!("port {port} of api-server is in use by provider-router (pid {pid})"))
        );
        assert!(processes::is_alive(pid), "{words:?}");
    }
    let status = shell.api_server(&["status"]).await.expect(3);
    assert_eq!(status.after(&format!("Port {port}: ")), format!("In use by provider-router (pid {pid})"));
    let tested = shell.api_server(&["test-ports"]).await.expect(1);
    assert!(tested.after("Next available port: ").parse::<u16>().unwrap() > stranger.client.port());

    let forced = shell.api_server(&["start", "--force", "--expect-pid", &pid.to_string()]).await.expect(0);
    assert_eq!(forced.after("API URL: "), format!("http://127.0.0.1:{port}"));
    assert!(!processes::is_alive(pid));
    shell.api_server(&["stop"]).await.expect(0);
}

#[tokio::test]
async fn kill_port_ends_only_the_confirmed_process() {
    let [port] = free_ports();
    let stranger = Router::start(Launch::default().arg("--port").arg(port.to_string())).await;
    let port = stranger.client.port().to_string();
    let pid = stranger.process.pid();
    let (_home, shell) = anywhere();
    let unasked = shell.api_server(&["kill-port", "--port", &port]).await.expect(1);
    assert!(unasked.stderr.contains(&format!("--expect-pid {pid}")), "{}", unasked.stderr);
    shell.api_server(&["kill-port", "--port", &port, "--expect-pid", "1"]).await.expect(1);
    assert!(processes::is_alive(pid));

    let killed = shell.api_server(&["kill-port", "--port", &port, "--yes"]).await.expect(0);
    assert_eq!(killed.after("Found process "), format!("{pid} (provider-router) using 127.0.0.1:{port}"));
    assert_eq!(number(killed.after("Process ").trim_end_matches(" killed successfully")), pid);
    assert!(killed.stdout.ends_with(&format!("Port {port} is now free\n")), "{}", killed.stdout);
    assert!(!processes::is_alive(pid));
}

#[tokio::test]
async fn kill_port_does_not_end_the_server_itself() {
    let [port] = free_ports();
    let (_home, shell) = anywhere();
    let shell = shell.env("API_PORT", port.to_string());
    let started = shell.api_server(&["start"]).await.expect(0);
    let pid = number(started.after("Server started successfully (PID: "));
    let refused = shell.api_server(&["kill-port", "--port", &port.to_string(), "--yes"]).await.expect(1);
    assert!(refused.stderr.contains("api-server stop"), "{}", refused.stderr);
    assert!(processes::is_alive(pid));
    shell.api_server(&["stop"]).await.expect(0);
}

#[tokio::test]
async fn cleanup_ends_only_the_orphans_of_this_directory() {
    let (home, shell) = anywhere();
    let (other_home, other_shell) = anywhere();
    // An orphaned service lives on for its grace period, as it does for long streams.
    let started = shell.api_server(&["start"]).await.expect(0);
    other_shell.api_server(&["start"]).await.expect(0);
    let others = processes::of(&other_home);
    let pid = number(started.after("Server started successfully (PID: "));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually("the end of the server", async || (!processes::is_alive(pid.as_raw().unsigned_abs())).then_some(()))
        .await;
    let cleaned = shell.api_server(&["cleanup", "--json"]).await.expect(0).json();
    assert_eq!((&cleaned["running"], &cleaned["recordRemoved"]), (&false.into(), &true.into()), "{cleaned}");
    assert_eq!(processes::of(&home), [0; 0]);
    assert_eq!(processes::of(&other_home), others, "other installations were not affected");
    other_shell.api_server(&["stop"]).await.expect(0);
}
