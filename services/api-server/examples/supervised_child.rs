//! A child for the tests of the supervisor: announces the instance of its first argument and answers its readiness
//! probe with the status and the instance of the other two. Called with flags, as the fleet calls a service, it is ready.
//! It ends when its standard input does.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let [mut instance, mut status, mut answered] = std::array::from_fn(|_| args.next().unwrap_or_default());
    if instance.starts_with("--") {
        [instance, status, answered] = ["me", "200", "me"].map(str::to_owned);
    }

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(110);
    });
    writeln!(std::io::stdout(), "not a status line")?;
    writeln!(
        std::io::stdout(),
        r#"{{"event":"listening","instance":"{instance}","addr":"{addr}","port":{},"pid":{}}}"#,
        addr.port(),
        std::process::id()
    )?;
    let body = format!(r#"{{"instance":"{answered}"}}"#);
    for stream in listener.incoming() {
        let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        serve(stream?, &answer)?;
    }
    Ok(())
}

fn serve(mut stream: TcpStream, answer: &str) -> std::io::Result<()> {
    let length = stream.read(&mut [0; 4096])?;
    if length > 0 {
        stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}
