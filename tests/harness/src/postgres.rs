//! PostgreSQL for tests.
//!
//! Each test gets a database of its own, on a server it shares with the tests that run at the same time; a test that
//! wants to stop its server gets one of its own. Making a cluster takes seconds, so that is done once per machine and
//! user; servers run on copies of it, in temporary directories, on free ports.
//!
mod cluster;
mod installation;
mod shared;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cluster::Cluster;
use installation::Installation;
use shared::Shared;

/// A PostgreSQL server that trusts everybody on this machine.
#[derive(Debug)]
pub struct Postgres {
    installation: Installation,
    server: Server,
    /// Made by [`Postgres::create_database`]; dropped at the end unless the server goes with them.
    databases: Mutex<Vec<String>>,
}

#[derive(Debug)]
enum Server {
    /// `TEST_DATABASE_URL`.
    Foreign(String),
    Shared(Shared),
    Own(Cluster),
}

// === impl Postgres ===

impl Postgres {
    /// The server that `TEST_DATABASE_URL` names, or one that the running tests share.
    ///
    /// `None` if neither is to be had: the test should return. Where `CI` or `REQUIRE_PG` is set, that is a failure.
    ///
    /// # Panics
    /// If the server cannot be started, or has to be there and is not.
    pub async fn launch() -> Option<Self> {
        let installation = Installation::find_or_skip()?;
        match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => Some(Self::new(installation, Server::Foreign(url))),
            Err(_) => {
                let shared = Shared::join(&installation).await.expect("PostgreSQL starts");
                Some(Self::new(installation, Server::Shared(shared)))
            }
        }
    }

    /// A new server, which may be stopped. `None`: see [`Postgres::launch`].
    ///
    /// # Panics
    /// See [`Postgres::launch`].
    pub async fn launch_own() -> Option<Self> {
        let installation = Installation::find_or_skip()?;
        let cluster = Cluster::create(&installation).await.expect("PostgreSQL starts");
        Some(Self::new(installation, Server::Own(cluster)))
    }

    /// The server's own database, as `postgres://…`.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.server {
            Server::Foreign(url) => url.clone(),
            Server::Shared(shared) => shared.url(),
            Server::Own(cluster) => cluster.url(),
        }
    }

    /// A new, empty database; answers its URL.
    ///
    /// # Panics
    /// If the server does not make it.
    pub async fn create_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // A process that was killed has left its databases, and its number may come again.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{since_1970}_{number}", std::process::id());
        let mut command = self.installation.command("createdb");
        command.arg("--maintenance-db").arg(self.url()).args(["--template", "template0", &name]);
        installation::run(command).await.expect("createdb");
        let url = with_database(&self.url(), &name);
        self.databases.lock().expect("nobody panics here").push(name);
        url
    }

    /// Stops the server, as an administrator would: connections break, data stays.
    ///
    /// # Panics
    /// If the server is not ours, see [`Postgres::launch_own`].
    pub async fn stop(&mut self) {
        self.cluster().stop().await.expect("PostgreSQL stops");
    }

    /// Starts it again: same port, same data.
    ///
    /// # Panics
    /// If the server is not ours, or does not start.
    pub async fn start(&mut self) {
        let installation = self.installation.clone();
        let cluster = self.cluster();
        cluster.start(&installation).await.expect("PostgreSQL starts again");
    }

    fn new(installation: Installation, server: Server) -> Self {
        Self { installation, server, databases: Mutex::default() }
    }

    fn cluster(&mut self) -> &mut Cluster {
        match &mut self.server {
            Server::Own(cluster) => cluster,
            Server::Foreign(_) | Server::Shared(_) => panic!("others use this server: take launch_own"),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if matches!(self.server, Server::Own(_)) {
            return;
        }
        for name in self.databases.get_mut().map(std::mem::take).unwrap_or_default() {
            let mut command = self.installation.command("dropdb");
            command.arg("--maintenance-db").arg(self.url()).args(["--force", "--if-exists", &name]);
            // The test may be panicking already, and what stays behind is one unused database.
            drop(command.output());
        }
    }
}

/// The same server, another database: the path of the URL is replaced.
fn with_database(url: &str, name: &str) -> String {
    let (address, parameters) = url.split_once('?').map_or((url, None), |(address, rest)| (address, Some(rest)));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..].find('/').map_or(address.len(), |at| authority + at);
    let parameters = parameters.map(|rest| format!("?{rest}")).unwrap_or_default();
    format!("{}/{name}{parameters}", &address[..end])
}

#[cfg(test)]
mod tests;
