//! `qwen-proxy login`, with a real Chromium and a page that imitates chat.qwen.ai.

mod page;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use signalbox_daemon::sealing_key;
use signalbox_harness::{Home, Launch, eventually, processes, within};
use signalbox_store::{Sealer, Store, credentials};
use tokio::process::{Child, Command};

use self::page::{EXPIRES_AT, Page, TOKEN};

/// Returns whether Chromium is installed; in CI it is required.
pub(crate) fn has_chromium() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|dir| dir.join("chromium").is_file()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "chromium is missing: `apt-get install chromium`");
    writeln!(std::io::stderr().lock(), "SKIPPED: tests with a browser need chromium").unwrap();
    false
}

/// Starts `qwen-proxy login` in this home with these arguments and both outputs piped.
fn start(home: &Home, args: &[&str], stdin: Stdio) -> Child {
    let launch = args.iter().fold(Launch::default().home(home).arg("login"), |launch, arg| launch.arg(*arg));
    let mut command = Command::from(launch.command("qwen-proxy"));
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

/// Opens a login window on this page.
fn open_window(home: &Home, page: &Page) -> Child {
    start(home, &["--headless", "--browser", "chromium", "--url", &page.url()], Stdio::null())
}

/// Waits for the end and returns the exit code and the output, stdout first.
async fn ended(child: Child) -> (Option<i32>, String) {
    let output = within("the end of the login", child.wait_with_output()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), signal).unwrap();
}

/// Returns the active login: token, cookies, and expiry.
async fn stored(home: &Home) -> Option<(String, String, Option<i64>)> {
    let store = Store::open(&format!("sqlite://{}", home.data().join("signalbox.db").display())).await.unwrap();
    let sealer = Sealer::new(&sealing_key(&home.data()).unwrap());
    let active = credentials::active(&store, &sealer).await.unwrap();
    store.close().await;
    active.map(|active| (active.token.expose().clone(), active.cookies.expose().clone(), active.row.expires_at))
}

/// Returns whether this is the browser's crash handler, which normally exits when no other browser process is left, but
/// hangs forever if it gets a SIGTERM at that moment.
fn is_crash_handler(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains("crashpad"))
}

/// Asserts that no process is alive, no file of the browser is left, and no file contains the token.
async fn assert_nothing_left(home: &Home) {
    eventually("the end of the browser", async || processes::of(home).is_empty().then_some(())).await;
    assert!(!home.data().join("login-browser").exists());
    let mut files = vec![home.path().to_owned()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            let found = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
            assert!(!found, "the token is in {}", path.display());
        }
    }
}

#[tokio::test]
async fn the_login_is_stored_only_after_the_user_has_logged_in() {
    if !has_chromium() {
        return;
    }
    let (home, page) = (Home::new(), Page::open().await);
    let mut login = open_window(&home, &page);
    // The page polls every half second. A login that mistakes a visitor for a logged-in user would be over by now.
    within("a visitor who has not logged in", page.asked(8)).await;
    assert!(matches!(login.try_wait(), Ok(None)));
    page.log_in();
    let (code, said) = ended(login).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2030-03-17 17:46 UTC") && !said.contains(TOKEN), "{said}");

    let (token, cookies, expires_at) = stored(&home).await.unwrap();
    assert_eq!((token.as_str(), expires_at), (TOKEN, Some(EXPIRES_AT)));
    let mut names: Vec<&str> = cookies.split("; ").map(|pair| pair.split_once('=').unwrap().0).collect();
    names.sort_unstable();
    assert_eq!(names, ["aui", "late", "token"], "cookies set after the login are included");
    assert_nothing_left(&home).await;
}

#[tokio::test]
async fn the_configured_page_is_opened() {
    if !has_chromium() {
        return;
    }
    let (home, page) = (Home::new(), Page::open().await);
    let config = format!("[upstream]\nbase_url = \"{}\"\n", page.url());
    fs::write(home.data().join("qwen-proxy.toml"), config).unwrap();
    let login = start(&home, &["--headless", "--browser", "chromium"], Stdio::null());
    within("a visitor", page.asked(1)).await;
    page.log_in();
    let (code, said) = ended(login).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(stored(&home).await.unwrap().0, TOKEN);
}

#[tokio::test]
async fn ctrl_c_leaves_nothing_behind() {
    if !has_chromium() {
        return;
    }
    let (home, page) = (Home::new(), Page::open().await);
    let login = open_window(&home, &page);
    within("a visitor", page.asked(1)).await;
    signal(&login, Signal::SIGINT);
    let (code, said) = ended(login).await;
    assert_eq!(code, Some(130), "{said}");
    assert_nothing_left(&home).await;
    assert_eq!(stored(&home).await, None);
}

#[tokio::test]
async fn a_browser_does_not_outlive_a_login_that_was_killed() {
    if !has_chromium() {
        return;
    }
    let (home, page) = (Home::new(), Page::open().await);
    let mut login = open_window(&home, &page);
    within("a visitor", page.asked(1)).await;
    login.kill().await.unwrap();
    eventually("the end of the browser", async || processes::of(&home).is_empty().then_some(())).await;
    // The next login removes what the killed one left behind.
    assert!(home.data().join("login-browser").exists());
    let again = start(&home, &["--headless", "--browser", "/bin/false"], Stdio::null());
    let (code, said) = ended(again).await;
    assert!(code == Some(73) && said.contains("the browser exited"), "{said}");
    assert_nothing_left(&home).await;
}

#[tokio::test]
async fn a_closed_window_and_a_second_login_are_reported() {
    if !has_chromium() {
        return;
    }
    let (home, page) = (Home::new(), Page::open().await);
    let login = open_window(&home, &page);
    within("a visitor", page.asked(8)).await;
    let (code, said) = ended(open_window(&home, &page)).await;
    assert!(code == Some(73) && said.contains("another `qwen-proxy login`"), "{said}");
    for pid in processes::of(&home).into_iter().filter(|pid| Some(*pid) != login.id() && !is_crash_handler(*pid)) {
        // Some of the browser's processes end with their parent before they are signalled here.
        let _ = kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGTERM);
    }
    let (code, said) = ended(login).await;
    assert!(code == Some(75) && said.contains("the window was closed"), "{said}");
    assert_nothing_left(&home).await;
}

#[tokio::test]
async fn missing_requirements_are_reported() {
    for (args, env, code, told) in [
        (&["login"][..], ("PATH", "/nonexistent"), 73, "no browser was found"),
        (
            &["login", "--browser", "/nonexistent/chrome"],
            ("DISPLAY", ":0"),
            73,
            "cannot start the browser /nonexistent",
        ),
        (&["login", "--browser", "/bin/false"], ("DISPLAY", ""), 73, "there is no screen"),
        (&["login", "--url", "chat.qwen.ai"], ("DISPLAY", ":0"), 64, "--url and"),
        (&["login"], ("QWEN_BASE_URL", "chat.qwen.ai"), 64, "`upstream.base_url`"),
        (&["login", "--timeout", "soon"], ("DISPLAY", ":0"), 64, "not a duration"),
        (&["login", "--paste", "--db-path", "/dev/null/no"], ("DISPLAY", ""), 73, "the database cannot be used"),
        (&["login", "--paste"], ("SIGNALBOX_KEY", "canary"), 78, "SIGNALBOX_KEY"),
        (&["login", "--paste"], ("DISPLAY", ""), 64, "no input was given"),
        (&["credentials", "use", "7"], ("DISPLAY", ""), 64, "login 7 does not exist"),
        (&["credentials", "remove", "7"], ("DISPLAY", ""), 64, "login 7 does not exist"),
    ] {
        let launch = args.iter().fold(Launch::default().env(env.0, env.1), |launch, arg| launch.arg(*arg));
        let (exit, said) = launch.run_to_exit("qwen-proxy").await;
        assert!(exit == Some(code) && said.contains(told) && !said.contains("canary"), "{args:?}: {exit:?} {said}");
    }
}

#[tokio::test]
async fn cookies_are_read_from_a_pipe_or_a_terminal_without_echo() {
    let home = Home::new();
    let header = |name: &str| format!("{name}=1; filler={}; token={TOKEN}", "x".repeat(9000));
    let mut piped = start(&home, &["--paste"], Stdio::piped());
    let mut stdin = piped.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, format!("Cookie: {}\r\n", header("piped")).as_bytes())
        .await
        .unwrap();
    let (code, said) = ended(piped).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(stored(&home).await.unwrap().1, header("piped"));

    let terminal = openpty(None, None).unwrap();
    let shows = || tcgetattr(&terminal.slave).unwrap().local_flags.contains(LocalFlags::ECHO);
    let typed = start(&home, &["--paste"], Stdio::from(terminal.slave.try_clone().unwrap()));
    eventually("the terminal to disable echo", async || (!shows()).then_some(())).await;
    let mut master = File::from(terminal.master);
    let line = format!("{}\n", header("typed"));
    let pasted = tokio::task::spawn_blocking(move || master.write_all(line.as_bytes()).map(|()| master));
    let mut master = within("the paste", pasted).await.unwrap().unwrap();
    let (code, said) = ended(typed).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        stored(&home).await.unwrap().1,
        header("typed"),
        "the input is not truncated by the terminal's line \
        limit"
    );
    assert!(shows(), "the terminal is as it was");
    // The echo can be read up to the last input.
    master.write_all(b"end\n").unwrap();
    let mut shown = [0; 256];
    let len = master.read(&mut shown).unwrap();
    assert_eq!(String::from_utf8_lossy(&shown[..len]), "end\r\n");
}
