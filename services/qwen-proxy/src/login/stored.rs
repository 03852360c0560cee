//! `qwen-proxy credentials`: management of the stored logins, without showing their secrets.

use std::fmt::Write as _;

use signalbox_daemon::config::Common;
use signalbox_daemon::{Exit, Shutdown};
use signalbox_store::credentials::{self, Credential};
use signalbox_store::{Error, Store};

use super::{date, failed, now, open, say};

/// Subcommands of `qwen-proxy credentials`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// List the stored logins, the active one first
    List,
    /// Make a stored login the active one
    Use {
        /// Number of the login, as `list` shows it
        id: i64,
    },
    /// Forget a stored login
    Remove {
        /// Number of the login, as `list` shows it
        id: i64,
    },
}

/// Runs the command.
///
/// # Errors
/// Returns one sentence with a remedy.
pub async fn run(command: Command, common: Common, shutdown: Shutdown) -> Result<(), Exit> {
    let store = open(&common).await?;
    let done = tokio::select! {
        done = act(&command, &store) => done,
        () = shutdown.draining() => Err(Exit::Interrupted),
    };
    store.close().await;
    done
}

async fn act(command: &Command, store: &Store) -> Result<(), Exit> {
    match command {
        Command::List => {
            let rows = credentials::list(store).await.map_err(|error| failed(&error))?;
            say(table(&rows, now()).trim_end())
        }
        Command::Use { id } => {
            credentials::activate(store, *id).await.map_err(|error| refused(*id, &error))?;
            say(&format!("Login {id} is now active. A running qwen-proxy uses it at once."))
        }
        Command::Remove { id } => {
            let successor = credentials::delete(store, *id, now()).await.map_err(|error| refused(*id, &error))?;
            say(&format!("Login {id} was removed. To end it at chat.qwen.ai as well, log out there."))?;
            successor.map_or(Ok(()), |successor| say(&format!("Login {successor} is now active.")))
        }
    }
}

fn refused(id: i64, error: &Error) -> Exit {
    match error {
        Error::NotFound { .. } => Exit::Usage(format!("login {id} does not exist; see `qwen-proxy credentials list`")),
        error => failed(error),
    }
}

fn table(rows: &[Credential], now: i64) -> String {
    if rows.is_empty() {
        return "No login is stored; run `qwen-proxy login`.".to_owned();
    }
    let width = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or_default().max("NAME".len());
    let mut table = format!("  {:>4}  {:width$}  {:20}  STATE\n", "ID", "NAME", "VALID UNTIL");
    for row in rows {
        let mark = if row.active { '*' } else { ' ' };
        let until = row.expires_at.map_or_else(|| "unknown".to_owned(), date);
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{mark} {:>4}  {:width$}  {until:20}  {}", row.id, row.label, state(row, now));
    }
    table
}

fn state(row: &Credential, now: i64) -> String {
    let mut state =
        match (row.is_expired(now), row.cooldown_until.map(|until| until / 1000).filter(|until| *until > now)) {
            (true, _) => "expired: run `qwen-proxy login`".to_owned(),
            (false, Some(until)) => format!("rests until {}", date(until)),
            (false, None) if row.active => "active".to_owned(),
            (false, None) => "stored".to_owned(),
        };
    if let Some(error) = &row.last_error {
        // Writing to a string cannot fail.
        let _ = write!(state, "; last error: {error}");
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn row(id: i64, label: &str) -> Credential {
        Credential {
            id,
            label: label.to_owned(),
            expires_at: Some(NOW + 60),
            active: false,
            cooldown_until: None,
            last_error: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    #[test]
    fn every_login_is_listed_on_one_line() {
        let rows = [
            Credential { active: true, ..row(2, "work account") },
            Credential { expires_at: Some(NOW), ..row(1, "default") },
            Credential {
                cooldown_until: Some((NOW + 120) * 1000),
                last_error: Some("429".into()),
                expires_at: None,
                ..row(13, "x")
            },
            row(4, "y"),
        ];
        let lines = [
            "    ID  NAME          VALID UNTIL           STATE",
            "*    2  work account  2023-11-14 22:14 UTC  active",
            "     1  default       2023-11-14 22:13 UTC  expired: run `qwen-proxy login`",
            "    13  x             unknown               rests until 2023-11-14 22:15 UTC; last error: 429",
            "     4  y             2023-11-14 22:14 UTC  stored",
        ];
        assert_eq!(table(&rows, NOW).lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn an_empty_list_says_how_to_log_in() {
        assert_eq!(table(&[], NOW), "No login is stored; run `qwen-proxy login`.");
    }
}
