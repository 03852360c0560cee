//! The same rules apply to a provider's configuration on every way in: REST, a document over HTTP, a document on the
//! command line, the flags of the provider CLI, and the environment variables of an old installation.

use std::path::PathBuf;

use serde_json::{Value, json};
use signalbox_harness::{CommandLine, Home, Stack, Typed};

/// All ways to set a configuration, over one database.
struct Ways {
    stack: Stack,
    shell: CommandLine,
    count: usize,
}

/// The response of a way in: `Ok` with the stored value, or the error text.
type Verdict = Result<Value, String>;

// === impl Ways ===

impl Ways {
    async fn open() -> Self {
        let stack = Stack::builder().autostart(false).start().await;
        let shell = CommandLine::new(&stack.home);
        Self { stack, shell, count: 0 }
    }

    fn id(&mut self) -> String {
        self.count += 1;
        format!("p-{}", self.count)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.stack.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Sets a key on every way that can express it and returns the results by name. `text` is used for flags and
    /// variables, `value` for JSON.
    async fn verdicts(&mut self, key: &str, value: &Value) -> Vec<(&'static str, Verdict)> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut verdicts = vec![
            ("REST", self.rest(key, value).await),
            ("PUT of the configuration", self.put(key, value).await),
            ("PATCH of a key", self.patch(key, value).await),
            ("document over HTTP", self.apply(key, value).await),
            ("document on the command line", self.apply_file(key, value).await),
        ];
        // Arguments cannot contain NUL, and values in files of variables cannot contain line breaks.
        if !text.contains('\0') {
            verdicts.push(("flags", self.flags(key, &text).await));
        }
        if let Some(variable) = variable(key)
            && !text.contains(['\0', '\n', '\r', '\''])
            && !text.trim().is_empty()
        {
            verdicts.push(("variables", self.migrate(variable, &text).await));
        }
        verdicts
    }

    async fn rest(&mut self, key: &str, value: &Value) -> Verdict {
        let id = self.id();
        let body = json!({"id": id, "name": id, "type": "lm-studio", "config": {key: value}});
        let answer = self.stack.api.post("/api/providers", &body).await;
        self.verdict(&id, key, answer.status, answer.text()).await
    }

    async fn put(&mut self, key: &str, value: &Value) -> Verdict {
        let id = self.made().await;
        let answer = self.stack.api.put(&format!("/api/providers/{id}/config"), &json!({"config": {key: value}})).await;
        self.verdict(&id, key, answer.status, answer.text()).await
    }

    async fn patch(&mut self, key: &str, value: &Value) -> Verdict {
        let id = self.made().await;
        let path = format!("/api/providers/{id}/config/{key}");
        let body = json!({ "value": value }).to_string();
        let answer = self.stack.api.request(http::Method::PATCH, &path, body).await;
        self.verdict(&id, key, answer.status, answer.text()).await
    }

    async fn apply(&mut self, key: &str, value: &Value) -> Verdict {
        let id = self.id();
        let answer = self.stack.api.post("/api/config/apply?format=json", &document(&id, key, value)).await;
        self.verdict(&id, key, answer.status, answer.text()).await
    }

    async fn apply_file(&mut self, key: &str, value: &Value) -> Verdict {
        let id = self.id();
        let file = self.file("document.json", &document(&id, key, value).to_string());
        let typed = self.shell.api_server(&["config", "apply", file.to_str().unwrap()]).await;
        self.typed(&id, key, typed).await
    }

    async fn flags(&mut self, key: &str, text: &str) -> Verdict {
        let id = self.id();
        let set = format!("{key}={text}");
        let words = ["provider", "add", "--id", &id, "--type", "lm-studio", "--set", &set];
        let typed = self.shell.provider_router(&words).await;
        self.typed(&id, key, typed).await
    }

    async fn migrate(&mut self, variable: &str, text: &str) -> Verdict {
        // Each uses a new home, because existing configurations are left unchanged.
        let home = Home::new();
        let shell = CommandLine::new(&home);
        let file = self.file("old.env", &format!("LM_STUDIO_BASE_URL=http://127.0.0.1:9\n{variable}='{text}'\n"));
        let typed = shell.provider_router(&["migrate", "--env-file", file.to_str().unwrap()]).await;
        if typed.code != Some(0) {
            return Err(typed.stderr);
        }
        let id = if variable == "QWEN_API_KEY" { "qwen-direct-default" } else { "lm-studio-default" };
        let (_, config) = crate::provider_cli::stored(&home, id).await.unwrap();
        Ok(config[key_of(variable)].clone())
    }

    async fn made(&mut self) -> String {
        let id = self.id();
        let body = json!({"id": id, "name": id, "type": "lm-studio"});
        self.stack.api.post("/api/providers", &body).await.expect(201);
        id
    }

    async fn typed(&self, id: &str, key: &str, typed: Typed) -> Verdict {
        let status = if typed.code == Some(0) { 200 } else { 400 };
        self.verdict(id, key, status, typed.stderr).await
    }

    async fn verdict(&self, id: &str, key: &str, status: u16, said: String) -> Verdict {
        let stored = crate::provider_cli::stored(&self.stack.home, id).await;
        if (200..300).contains(&status) {
            return Ok(stored.unwrap().1[key].clone());
        }
        assert!(stored.is_none_or(|(_, config)| config.get(key).is_none()), "{id}: refused and stored: {said}");
        // Undo JSON escapes, so that the text can be compared with the terminal output.
        Err(serde_json::from_str(&said).map_or(said, |answer: Value| answer["error"]["errors"][0].to_string()))
    }
}

fn document(id: &str, key: &str, value: &Value) -> Value {
    json!({"providers": {id: {"type": "lm-studio", "config": {key: value}}}})
}

/// Returns the environment variable of the key in an old installation.
fn variable(key: &str) -> Option<&'static str> {
    match key {
        "baseURL" => Some("LM_STUDIO_BASE_URL"),
        "apiKey" => Some("QWEN_API_KEY"),
        "timeout" => Some("REQUEST_TIMEOUT"),
        _ => None,
    }
}

fn key_of(variable: &str) -> &'static str {
    match variable {
        "QWEN_API_KEY" => "apiKey",
        "REQUEST_TIMEOUT" => "timeout",
        _ => "baseURL",
    }
}

#[tokio::test]
async fn every_interface_rejects_the_same_input_with_the_same_message() {
    let mut ways = Ways::open().await;
    for (key, value, told) in [
        ("baseURL", json!("api.example.com/v1"), "must begin with http:// or https://"),
        ("baseURL", json!("localhost:1234/v1"), "must begin with http:// or https://"),
        ("baseURL", json!("ftp://example.com"), "must begin with http:// or https://"),
        ("baseURL", json!("https://example.com/v1?key=canary"), "must end with its path, without `?` or `#`"),
        ("baseURL", json!("https://example.com/v1#canary"), "must end with its path, without `?` or `#`"),
        ("baseURL", json!("https://me:canary@example.com/v1"), "must not contain a user name or password"),
        ("baseURL", json!("http://example.com:99999"), "must have a port from 1 to 65535"),
        ("baseURL", json!("http://example.com:0"), "must have a port from 1 to 65535"),
        ("baseURL", json!("http://0.0.0.0:8080/v1"), "cannot be used: the address 0.0.0.0"),
        ("baseURL", json!("http://169.254.169.254"), "cannot be used: the address 169.254.169.254"),
        ("timeout", json!("soon"), "must be a whole number of milliseconds"),
        ("timeout", json!(-5), "must be a whole number of milliseconds"),
        ("timeout", json!(9_999_999_999_i64), "must be a whole number of milliseconds"),
        ("apiKey", json!("Bearer canary"), "must be the key alone: remove the word Bearer"),
        ("apiKey", json!("sk canary"), "must be one word of ASCII characters"),
        ("headers", json!({"X Team": "canary"}), "config.headers.X Team"),
        ("headers", json!({"X-Team": "a\ncanary"}), "must not contain line breaks"),
        ("headers", json!(["canary"]), "must be an object of header names"),
        ("logBodies", json!("some"), "must be full, redact or off"),
        ("own", json!("a\u{1b}[31mb"), "must not contain line breaks or other control characters"),
    ] {
        for (way, verdict) in ways.verdicts(key, &value).await {
            let said = verdict.expect_err(&format!("{key} = {value} by {way}"));
            assert!(said.contains(told) && said.contains(&format!("config.{key}")), "{key} = {value} by {way}: {said}");
            assert!(!said.contains("canary"), "{key} by {way}: {said}");
        }
    }
}

#[tokio::test]
async fn every_interface_stores_the_same_values() {
    let mut ways = Ways::open().await;
    for (key, value, stored) in [
        ("baseURL", json!("http://127.0.0.1:8000/v1"), json!("http://127.0.0.1:8000/v1")),
        ("baseURL", json!("  https://api.example.com/v1/ "), json!("https://api.example.com/v1/")),
        ("timeout", json!(5000), json!(5000)),
        ("timeout", json!("5000"), json!(5000)),
        ("apiKey", json!(" sk-canary "), json!("sk-canary")),
        ("headers", json!({"X-Team": " blue "}), json!({"X-Team": "blue"})),
        ("logBodies", json!("redact"), json!("redact")),
        ("own", json!("ä"), json!("ä")),
    ] {
        for (way, verdict) in ways.verdicts(key, &value).await {
            assert_eq!(verdict, Ok(stored.clone()), "{key} = {value} by {way}");
        }
    }
}

#[tokio::test]
async fn every_interface_rejects_multi_line_names() {
    let ways = Ways::open().await;
    let api = &ways.stack.api;
    for bad in ["a\nforged line", "a\u{1b}[2J", "a\u{202e}b"] {
        let told = "must not contain line breaks or other control characters";
        for (path, body) in [
            ("/api/providers", json!({"id": "x", "name": bad, "type": "lm-studio"})),
            ("/api/models", json!({"id": "x", "name": bad})),
            ("/api/models", json!({"id": "x", "name": "x", "capabilities": [bad]})),
            ("/api/qwen/credentials", json!({"token": "t", "cookies": "c", "label": bad})),
        ] {
            let answer = api.post(path, &body).await.expect(400);
            assert!(answer.text().contains(told), "{path}: {}", answer.text());
        }
        for key in ["active_provider", "own%0akey"] {
            let answer = api.put(&format!("/api/settings/{key}"), &json!({ "value": bad })).await.expect(400);
            assert!(answer.text().contains("must not contain"), "{key}: {}", answer.text());
        }
        let documents = [
            json!({"providers": {"x": {"type": "lm-studio", "name": bad}}}),
            json!({"models": {"x": {"name": bad}}}),
            json!({"settings": {"active_provider": bad}}),
        ];
        for document in documents {
            let answer = api.post("/api/config/apply?format=json", &document).await.expect(400);
            assert!(answer.text().contains(told), "{document}: {}", answer.text());
            let file = ways.file("document.json", &document.to_string());
            let typed = ways.shell.api_server(&["config", "apply", file.to_str().unwrap()]).await.expect(1);
            assert!(typed.stderr.contains(told), "{document}: {}", typed.stderr);
        }
        for words in [
            ["provider", "add", "--id", "x", "--type", "lm-studio", "--name", bad],
            ["provider", "edit", "echo", "--name", bad, "--priority", "1", "--json"],
            ["model", "add", "--id", "x", "--name", bad, "--capabilities", "chat"],
        ] {
            let typed = ways.shell.provider_router(&words).await.expect(1);
            let said = typed.stdout + &typed.stderr;
            assert!(said.contains(told), "{words:?}: {said}");
        }
    }
}

#[tokio::test]
async fn the_unsupported_type_of_the_nodejs_version_names_its_replacement() {
    let ways = Ways::open().await;
    let told = "use dashscope with an API key, or qwen-proxy with a login";
    let body = json!({"id": "x", "name": "x", "type": "qwen-direct", "config": {"token": "t", "cookies": "c"}});
    assert!(ways.stack.api.post("/api/providers", &body).await.expect(400).text().contains(told));
    let document = json!({"providers": {"x": {"type": "qwen-direct"}}});
    assert!(ways.stack.api.post("/api/config/apply?format=json", &document).await.expect(400).text().contains(told));
    let typed = ways.shell.provider_router(&["provider", "add", "--id", "x", "--type", "qwen-direct"]).await.expect(1);
    assert!(typed.stderr.contains(told), "{}", typed.stderr);
}

#[tokio::test]
async fn commands_refuse_configurations_that_cannot_work() {
    let ways = Ways::open().await;
    for (document, told) in [
        (json!({"providers": {"x": {"type": "openai"}}}), "providers.x.config.apiKey: is required"),
        (json!({"providers": {"x": {"type": "my-own"}}}), "providers.x.config.baseURL: is required"),
        (json!({"providers": {"types": {"type": "echo"}}}), "/api/providers/types"),
        (json!({"providers": {"x": {"type": "echo", "name": "\u{200b}"}}}), "must be a non-empty string"),
        (json!({"settings": {"active_provider": "nosuch"}}), "there is none with the id `nosuch`"),
    ] {
        // Editors of Windows write a byte order mark.
        let file = ways.file("document.json", &format!("\u{feff}{document}"));
        let typed = ways.shell.api_server(&["config", "apply", file.to_str().unwrap()]).await.expect(1);
        assert!(typed.stderr.contains(told), "{document}: {}", typed.stderr);
    }
    for (words, told) in [
        (&["provider", "add", "--id", "x", "--type", "openai"][..], "needs apiKey"),
        (&["provider", "add", "--id", "x", "--type", "my-own"], "needs baseURL"),
        (&["provider", "add", "--id", "types", "--type", "echo"], "/api/providers/types"),
        (&["provider", "add", "--id", "x", "--type", "echo", "--name", "\u{feff}"], "a name cannot be empty"),
        (&["set", "nosuch"], "Provider not found: nosuch"),
    ] {
        let typed = ways.shell.provider_router(words).await.expect(1);
        assert!(typed.stderr.contains(told), "{words:?}: {}", typed.stderr);
    }
}

#[tokio::test]
async fn secrets_of_the_server_cannot_be_referenced() {
    let ways = Ways::open().await;
    let apply = async |reference: &str| {
        let document = json!({"providers": {"x": {"type": "lm-studio", "config": {"apiKey": reference}}}});
        ways.stack.api.post("/api/config/apply?format=json", &document).await.expect(400).text()
    };
    for name in ["API_TOKEN", "PATH", "SIGNALBOX_KEY"] {
        let said = apply(&format!("${{env:{name}}}")).await;
        assert!(said.contains("cannot be referenced over HTTP"), "{name}: {said}");
    }
    let key = ways.stack.home.data().join("secret.key");
    assert!(key.exists());
    for (reference, variable) in
        [("${env:API_TOKEN}".to_owned(), "API_TOKEN"), (format!("${{file:{}}}", key.display()), "UNUSED")]
    {
        let document = json!({"providers": {"x": {"type": "lm-studio", "config": {"apiKey": reference}}}});
        let file = ways.file("document.json", &document.to_string());
        let shell = CommandLine::new(&ways.stack.home).env(variable, "canary-0123456789abcdef");
        let typed = shell.api_server(&["config", "apply", file.to_str().unwrap()]).await.expect(1);
        assert!(typed.stderr.contains("secret of this installation"), "{reference}: {}", typed.stderr);
    }
}

#[tokio::test]
async fn a_reachable_host_requires_client_keys() {
    let ways = Ways::open().await;
    let api = &ways.stack.api;
    let told = "no client key is configured";
    for host in ["0.0.0.0", "192.168.0.7"] {
        let answer = api.put("/api/settings/server.host", &json!({ "value": host })).await.expect(400);
        assert!(answer.text().contains(told), "{host}: {}", answer.text());
        let bulk = api.post("/api/settings/bulk", &json!({"settings": {"server.host": host}})).await.expect(200).json();
        assert!(bulk["updated"] == json!([]) && bulk["errors"][0]["error"].as_str().unwrap().contains(told), "{bulk}");
        let document = json!({"settings": {"server.host": host}});
        let answer = api.post("/api/config/apply?format=json", &document).await.expect(400);
        assert!(answer.text().contains(told), "{host}: {}", answer.text());
        let file = ways.file("document.json", &document.to_string());
        let typed = ways.shell.api_server(&["config", "apply", file.to_str().unwrap()]).await.expect(1);
        assert!(typed.stderr.contains(told), "{host}: {}", typed.stderr);
    }
    api.put("/api/settings/server.host", &json!({"value": "localhost"})).await.expect(200);
    let guarded = Stack::builder().autostart(false).client_key("key-0123456789abcdef").start().await;
    guarded.api.put("/api/settings/server.host", &json!({"value": "0.0.0.0"})).await.expect(200);
}

#[tokio::test]
async fn a_duplicate_provider_declaration_is_rejected() {
    let ways = Ways::open().await;
    let yaml = "providers:\n  x:\n    type: lm-studio\n  y:\n    type: echo\n  x:\n    type: openai\n";
    let told = "providers.x: declared twice, on lines 2 and 6";
    let answer = ways.stack.api.request(http::Method::POST, "/api/config/apply?format=yaml", yaml).await;
    assert!(answer.expect(400).text().contains(told));
    let file = ways.file("document.yaml", yaml);
    let typed = ways.shell.api_server(&["config", "apply", file.to_str().unwrap()]).await.expect(1);
    assert!(typed.stderr.contains(told), "{}", typed.stderr);
    let json = r#"{"providers": {"x": {"type": "echo", "type": "openai"}}}"#;
    let answer = ways.stack.api.request(http::Method::POST, "/api/config/apply?format=json", json).await;
    assert!(answer.expect(400).text().contains("providers.x.type: declared twice"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_failed_write_to_stdout_is_an_error() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    for (program, words) in [
        ("api-server", &["config", "export"][..]),
        ("api-server", &["config", "export", "--format", "json"][..]),
        ("api-server", &["config"][..]),
        ("provider-router", &["provider", "list"][..]),
        ("provider-router", &["provider", "list", "--json"][..]),
        ("provider-router", &["completions", "bash"][..]),
    ] {
        let mut command = shell.command(program, words);
        command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{program} {words:?}: {said}");
        assert!(said.contains("cannot write to standard output"), "{program} {words:?}: {said}");
        // A reader that closes the pipe is not an error.
        let mut command = shell.command(program, words);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_key_that_could_not_be_printed_is_reported_with_its_remedy() {
    let home = Home::new();
    let shell = CommandLine::new(&home);
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    for (words, told) in [
        (&["key", "create", "--name", "full"][..], "the key full was created, but not printed"),
        (&["key", "rotate", "full", "--json"], "the previous one is no longer valid: rotate it again"),
        (&["key", "rotate", "full", "--overlap", "60"], "the previous one stays valid for 60 s: rotate it again"),
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        for (stdout, code) in [(std::process::Stdio::from(full), 1), (closed.try_clone().unwrap().into(), 0)] {
            let mut command = shell.command("provider-router", words);
            command.stdout(stdout);
            let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if words[1] == "create" && code == 0 {
                // The key exists by now.
                assert!(said.contains("nothing was changed"), "{said}");
                continue;
            }
            assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
            assert!(said.contains(told), "{words:?}: {said}");
        }
    }
    let printed = shell.provider_router(&["key", "rotate", "full"]).await.expect(0);
    assert_eq!(printed.stderr, "");
}
