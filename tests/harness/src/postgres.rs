//! PostgreSQL for tests.
//!
//! Each test gets its own database, on a server shared by the tests that run at the same time; a test that has to stop
//! its server gets its own server. Creating a cluster takes seconds, so it is done once per machine and user; servers
//! run on copies of it, in temporary directories, on free ports.
mod cluster;
mod installation;
mod shared;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cluster::Cluster;
use installation::Installation;
use shared::Shared;

/// A PostgreSQL server that accepts all local connections without a password.
#[derive(Debug)]
pub struct Postgres {
    installation: Installation,
    server: Server,
    /// Databases created by [`Postgres::create_database`]; dropped at the end unless the whole server is removed.
    databases: Mutex<Vec<String>>,
}

#[derive(Debug)]
enum Server {
    /// The server of `TEST_DATABASE_URL`.
    Foreign(String),
    Shared(Shared),
    Own(Cluster),
}

// === impl Postgres ===

impl Postgres {
    /// Returns the server of `TEST_DATABASE_URL`, or else one shared by the running tests.
    ///
    /// Returns `None` if neither is available; the test should then return. If `CI` or `REQUIRE_PG` is set, it panics
    /// instead.
    ///
    /// # Panics
    /// Panics if the server cannot be started, or is required and not available.
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

    /// Starts a new server, which the test may stop. `None`: see [`Postgres::launch`].
    ///
    /// # Panics
    /// See [`Postgres::launch`].
    pub async fn launch_own() -> Option<Self> {
        let installation = Installation::find_or_skip()?;
        let cluster = Cluster::create(&installation).await.expect("PostgreSQL starts");
        Some(Self::new(installation, Server::Own(cluster)))
    }

    /// Returns the URL of the server's default database, `postgres://…`.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.server {
            Server::Foreign(url) => url.clone(),
            Server::Shared(shared) => shared.url(),
            Server::Own(cluster) => cluster.url(),
        }
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Panics
    /// Panics if the server cannot create it.
    pub async fn create_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // A killed process leaves its databases behind, and its process id may be reused, so the name includes the
        // time.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{since_1970}_{number}", std::process::id());
        let mut command = self.installation.command("createdb");
        command.arg("--maintenance-db").arg(self.url()).args(["--template", "template0", &name]);
        installation::run(command).await.expect("createdb");
        let url = with_database(&self.url(), &name);
        self.databases.lock().expect("the lock is not poisoned").push(name);
        url
    }

    /// Stops the server as an administrator would: connections break, data is kept.
    ///
    /// # Panics
    /// Panics if the server was not started by [`Postgres::launch_own`].
    pub async fn stop(&mut self) {
        self.cluster().stop().await.expect("PostgreSQL stops");
    }

    /// Starts the server again with the same port and data.
    ///
    /// # Panics
    /// Panics if the server was not started by [`Postgres::launch_own`], or does not start.
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
            Server::Foreign(_) | Server::Shared(_) => panic!("the server is shared; use launch_own"),
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
            // The test may be panicking already, and an unused database does no harm.
            drop(command.output());
        }
    }
}

/// Replaces the database (the path) of a server's URL.
fn with_database(url: &str, name: &str) -> String {
    let (address, parameters) = url.split_once('?').map_or((url, None), |(address, rest)| (address, Some(rest)));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..].find('/').map_or(address.len(), |at| authority + at);
    let parameters = parameters.map(|rest| format!("?{rest}")).unwrap_or_default();
    format!("{}/{name}{parameters}", &address[..end])
}

#[cfg(test)]
mod tests;
