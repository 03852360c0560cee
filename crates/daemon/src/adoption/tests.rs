use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::thread;

use super::child::ListeningStatus;
use super::*;
use crate::shutdown::Shutdown;

const ID: &str = "0123-abcd";

/// A serving child that waits for a successor of its supervisor.
struct Room {
    dir: tempfile::TempDir,
    shutdown: Shutdown,
    child: Adoptable,
    served: TcpListener,
}

impl Room {
    fn new() -> Self {
        Self::with(Duration::from_secs(60))
    }

    fn with(grace: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let child = Adoptable::new(dir.path(), ID, grace, "print".to_owned()).unwrap();
        let served = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = served.local_addr().unwrap();
        child.status_reporter().publish(ListeningStatus {
            service: "x",
            instance: "i",
            version: "1",
            host: "localhost",
            port: 0,
            addr,
            probe: addr,
            sockets: vec![served.try_clone().unwrap()],
        });
        Self { dir, shutdown: Shutdown::new(), child, served }
    }

    fn key(&self) -> Key {
        Key::load(self.dir.path()).unwrap()
    }

    fn found(&self) -> FamilyState {
        let mut families = families(self.dir.path(), &self.key()).unwrap();
        assert!(families.len() == 1 && families[0].id == ID);
        families.remove(0).found
    }
}

#[test]
fn a_successor_with_the_key_receives_the_lifeline_and_the_sockets() {
    let room = Room::new();
    thread::scope(|scope| {
        let child = scope.spawn(|| room.child.wait_for_successor(&room.shutdown));
        let FamilyState::Candidate(candidate) = room.found() else { panic!("it is there") };
        let adopted = candidate.adopt().unwrap();
        let mut lifeline = child.join().unwrap().expect("a successor");
        let status = &adopted.status;
        assert_eq!(
            (status.service.as_str(), status.instance.as_str(), status.fingerprint.as_str()),
            ("x", "i", "print")
        );
        assert_eq!(status.identity, Identity::own());
        // It is the same socket: the child accepts the connection of this client.
        assert_eq!(adopted.sockets[0].local_addr().unwrap(), status.addr);
        let _client = std::net::TcpStream::connect(status.addr).unwrap();
        room.served.accept().unwrap();
        assert!(!adopted.process.has_ended());

        use std::io::{Read as _, Write as _};
        writeln!(&adopted.lifeline, "shutdown").unwrap();
        drop(adopted);
        let mut said = String::new();
        lifeline.read_to_string(&mut said).unwrap();
        assert_eq!(said, "shutdown\n");
    });
}

#[test]
fn a_child_whose_candidate_disconnects_waits_for_another() {
    let room = Room::new();
    thread::scope(|scope| {
        let child = scope.spawn(|| room.child.wait_for_successor(&room.shutdown).is_some());
        assert!(matches!(room.found(), FamilyState::Candidate(_)));
        let FamilyState::Candidate(candidate) = room.found() else { panic!("the child is still waiting") };
        candidate.adopt().unwrap();
        assert!(child.join().unwrap());
    });
}

#[test]
fn fc_05_a_peer_without_the_key_is_rejected_by_both_sides() {
    let room = Room::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let wrong = Key::load(elsewhere.path()).unwrap();
    thread::scope(|scope| {
        let child = scope.spawn(|| room.child.wait_for_successor(&room.shutdown).is_some());
        let files = Files::of(room.dir.path(), ID).unwrap();
        successor::Candidate::handshake(&files, &wrong).unwrap_err();
        // Send invalid data, then connect and close without data.
        use std::io::Write as _;
        UnixStream::connect(&files.socket).unwrap().write_all(b"shutdown\n{}\n").unwrap();
        drop(UnixStream::connect(&files.socket).unwrap());
        room.shutdown.trigger();
        assert!(!child.join().unwrap(), "no process was accepted as a successor");
    });

    // A process that listens on the socket, but does not know the key.
    let files = Files::of(elsewhere.path(), ID).unwrap();
    let impostor = Adoptable::new(elsewhere.path(), ID, Duration::from_secs(60), String::new()).unwrap();
    let shutdown = Shutdown::new();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| impostor.wait_for_successor(&shutdown).is_some());
        successor::Candidate::handshake(&files, &room.key()).unwrap_err();
        shutdown.trigger();
        assert!(!waiting.join().unwrap());
    });
}

#[test]
fn fc_06_a_child_without_status_or_after_its_grace_stops_waiting() {
    let room = Room::with(Duration::from_millis(1));
    assert!(room.child.wait_for_successor(&room.shutdown).is_none());
    let room = Room::new();
    room.child.status_reporter().clear();
    assert!(room.child.wait_for_successor(&room.shutdown).is_none());
}

#[test]
fn a_dead_child_is_not_found() {
    let room = Room::new();
    let files = room.child.files();
    let Room { dir, child, .. } = room;
    drop(child);
    let key = Key::load(dir.path()).unwrap();
    assert!(matches!(families(dir.path(), &key).unwrap()[0].found, FamilyState::LeaderGone));
    files.remove().unwrap();
    files.remove().unwrap();
    // Lock files that do not belong to a family are ignored.
    std::fs::write(dir.path().join("api-server.lock"), "").unwrap();
    assert!(families(dir.path(), &key).unwrap().is_empty());
}

#[test]
fn a_family_requires_a_valid_name() {
    for bad in ["", "..", "../x", "a/b", "api-server"] {
        assert_eq!(Files::of(Path::new("/run"), bad), None, "{bad}");
    }
}
