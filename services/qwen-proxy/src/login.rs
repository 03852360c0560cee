//! Logging in at chat.qwen.ai: in a separate browser window, or with pasted cookies.
//!
//! The user logs in on chat.qwen.ai's own page; the command polls the cookies of the window until they contain a login,
//! stores it and closes the window. If the page refuses such a window, as some sign-in services do, the user logs in
//! with an ordinary browser and pastes the cookies.

#[cfg(unix)]
mod browser;
mod cookies;
mod stored;
mod token;
#[cfg(unix)]
mod window;

use std::io::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use signalbox_daemon::config::{Common, Duration};
use signalbox_daemon::{Exit, Shutdown, sealing_key, terminal};
use signalbox_store::credentials::{self, DEFAULT_LABEL, NewCredential};
use signalbox_store::{Sealer, Store};

use self::cookies::Login;
pub use self::stored::{Command as StoredCommand, run as stored};

/// Arguments of `qwen-proxy login`. A variable with an empty value counts as unset.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Read the `cookie` request header of chat.qwen.ai from the terminal, without echo, or from a pipe
    #[arg(long)]
    pub paste: bool,
    /// Name of the login; an existing login with this name is replaced
    #[arg(long, value_name = "NAME", default_value = DEFAULT_LABEL, value_parser = label)]
    pub label: String,
    /// Browser to open, which must be based on Chromium [env: CHROME] [default: the first one that is installed]
    #[arg(long, value_name = "PATH", env = "CHROME", hide_env = true)]
    pub browser: Option<PathBuf>,
    /// Maximum time to wait for the login
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub timeout: Duration,
    /// Page to log in at [env: QWEN_BASE_URL] [default: `upstream.base_url` of the configuration]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Run the browser without a window, for tests
    #[arg(long)]
    pub headless: bool,
}

/// Obtains a login and stores it as the active one. `site` is the page to open if the flags name none.
///
/// # Errors
/// Returns one sentence with a remedy; nothing has been stored in that case.
pub async fn login(args: Args, site: &str, common: Common, shutdown: Shutdown) -> Result<(), Exit> {
    // Check the key and the database first, so that no login is lost to an error that was there before.
    let key = sealing_key(&common.data_dir)?;
    let store = open(&common).await?;
    let stored = async {
        let login = obtain(&args, site, &common, &shutdown).await?;
        let (expires_at, label) = (login.expires_at, args.label.clone());
        let new = NewCredential { label, token: login.token, cookies: login.cookies, expires_at: Some(expires_at) };
        let id = credentials::put(&store, &Sealer::new(&key), &new, now()).await.map_err(|error| failed(&error))?;
        say(&format!(
            "Logged in. Login {id} (`{}`) is active and valid until {}. A running qwen-proxy uses it at once.",
            args.label,
            date(expires_at)
        ))
    };
    let stored = stored.await;
    store.close().await;
    stored
}

async fn obtain(args: &Args, site: &str, common: &Common, shutdown: &Shutdown) -> Result<Login, Exit> {
    if args.paste { pasted(shutdown).await } else { browsed(args, site, common, shutdown).await }
}

async fn pasted(shutdown: &Shutdown) -> Result<Login, Exit> {
    let prompt = "Paste the `cookie` request header of chat.qwen.ai (it is not shown), then press Enter: ";
    let text = tokio::select! {
        text = terminal::read_secret(prompt) => text,
        () = shutdown.draining() => return Err(Exit::Interrupted),
    };
    let text = text.map_err(|error| Exit::CannotOpen(format!("cannot read the cookies: {error}")))?;
    cookies::pasted(text.expose(), now()).map_err(|mistake| Exit::Usage(mistake.to_string()))
}

#[cfg(unix)]
async fn browsed(args: &Args, site: &str, common: &Common, shutdown: &Shutdown) -> Result<Login, Exit> {
    use self::browser::{Browser, BrowserOptions, Profile};

    let url = args.url.as_deref().filter(|url| !url.is_empty()).unwrap_or(site);
    let host = host(url)?;
    let named = args.browser.clone().filter(|path| !path.as_os_str().is_empty());
    let program = named.or_else(browser::find).ok_or_else(|| {
        Exit::CannotOpen(
            "no browser was found; install Chrome or Chromium, specify one with --browser, or use --paste".to_owned(),
        )
    })?;
    if !args.headless && !has_screen() {
        return Err(Exit::CannotOpen(
            "there is no screen to open a window; run this command on a desktop, or use --paste with the cookies of \
             another machine's browser"
                .to_owned(),
        ));
    }
    let options = BrowserOptions { program: &program, url, headless: args.headless };
    let profile = Profile::create(&common.data_dir).map_err(|failure| Exit::CannotOpen(failure.to_string()))?;
    let mut browser =
        Browser::start(&options, profile).await.map_err(|failure| Exit::CannotOpen(failure.to_string()))?;
    let login = async {
        say(&format!("Log in at {host} in the window that opens. Ctrl-C cancels."))?;
        tokio::select! {
            login = window::watch(&mut browser, &host) => login,
            () = shutdown.draining() => Err(Exit::Interrupted),
            () = tokio::time::sleep(args.timeout.get()) => Err(Exit::Temporary(format!(
                "no login was completed within {}; run this command again with a longer --timeout, or use --paste",
                args.timeout
            ))),
        }
    };
    let login = login.await;
    browser.close().await;
    login
}

#[cfg(not(unix))]
async fn browsed(_: &Args, _: &str, _: &Common, _: &Shutdown) -> Result<Login, Exit> {
    Err(Exit::Usage("opening a browser is not supported on this system; use --paste".to_owned()))
}

/// Returns `true` if a window can be opened, which is always the case on macOS.
#[cfg(unix)]
fn has_screen() -> bool {
    let names = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "macos") || names("DISPLAY") || names("WAYLAND_DISPLAY")
}

/// Returns the host of the page to log in at.
#[cfg(unix)]
fn host(url: &str) -> Result<String, Exit> {
    let refused = || {
        Exit::Usage(format!(
            "--url and `upstream.base_url` must be the URL of a page, such as https://chat.qwen.ai, not `{url}`"
        ))
    };
    let uri: http::Uri = url.parse().map_err(|_| refused())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(host.to_owned()),
        _ => Err(refused()),
    }
}

fn label(text: &str) -> Result<String, &'static str> {
    let fits = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control) && text.trim() == text;
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a name must have 1 to 64 characters, without leading or trailing \
        spaces")
    }
}

async fn open(common: &Common) -> Result<Store, Exit> {
    Store::open(common.database.url.expose()).await.map_err(|error| failed(&error))
}

fn failed(error: &signalbox_store::Error) -> Exit {
    Exit::of_database(error.exit_code(), format_args!("{error}; check --database-url or --data-dir"))
}

fn say(line: &str) -> Result<(), Exit> {
    match writeln!(std::io::stdout(), "{line}") {
        // The reader closed the pipe early, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Exit::CannotOpen(format!("cannot write to stdout: {error}"))),
    }
}

/// Returns the current time in Unix seconds.
fn now() -> i64 {
    Timestamp::now().as_second()
}

/// Formats Unix seconds for the user.
fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map_or_else(|_| "a time out of range".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
