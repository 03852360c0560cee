//! A PostgreSQL of its own for a test.
//!
//! Making a cluster takes seconds, so it is made once per machine and user; each [`Postgres`] runs on a copy of it, in a
//! directory of its own, on a port of its own. Nothing is shared between running tests, so nothing needs counting.
//!
mod cluster;
mod installation;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use cluster::Cluster;
use installation::Installation;

/// A PostgreSQL server that trusts everybody on this machine.
#[derive(Debug)]
pub struct Postgres {
    installation: Installation,
    server: Server,
    /// Made by [`Postgres::create_database`]; dropped at the end if the server is not ours.
    databases: Mutex<Vec<String>>,
}

#[derive(Debug)]
enum Server {
    /// `TEST_DATABASE_URL`.
    Foreign(String),
    Own(Cluster),
}

// === impl Postgres ===

impl Postgres {
    /// The server that `TEST_DATABASE_URL` names, or a new one.
    ///
    /// `None` if neither is to be had: the test should return. Where `CI` or `REQUIRE_PG` is set, that is a failure.
    ///
    /// # Panics
    /// If the server cannot be started, or has to be there and is not.
    pub async fn launch() -> Option<Self> {
        let installation = Installation::find_or_skip()?;
        match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => Some(Self::new(installation, Server::Foreign(url))),
            Err(_) => Some(Self::start_cluster(installation).await),
        }
    }

    /// A new server, which may be stopped. `None`: see [`Postgres::launch`].
    ///
    /// # Panics
    /// See [`Postgres::launch`].
    pub async fn launch_own() -> Option<Self> {
        Some(Self::start_cluster(Installation::find_or_skip()?).await)
    }

    /// The server's own database, as `postgres://…`.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.server {
            Server::Foreign(url) => url.clone(),
            Server::Own(cluster) => cluster.url(),
        }
    }

    /// A new, empty database; answers its URL.
    ///
    /// # Panics
    /// If the server does not make it.
    pub async fn create_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
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

    async fn start_cluster(installation: Installation) -> Self {
        let cluster = Cluster::create(&installation).await.expect("PostgreSQL starts");
        Self::new(installation, Server::Own(cluster))
    }

    fn new(installation: Installation, server: Server) -> Self {
        Self { installation, server, databases: Mutex::default() }
    }

    fn cluster(&mut self) -> &mut Cluster {
        match &mut self.server {
            Server::Own(cluster) => cluster,
            Server::Foreign(_) => panic!("the server of TEST_DATABASE_URL is not ours to stop: use launch_own"),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Server::Foreign(url) = &self.server {
            for name in self.databases.get_mut().map(std::mem::take).unwrap_or_default() {
                let mut command = self.installation.command("dropdb");
                command.arg("--maintenance-db").arg(url).args(["--force", "--if-exists", &name]);
                // It runs while the test may be panicking already: what stays behind is an empty database.
                drop(command.status());
            }
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
