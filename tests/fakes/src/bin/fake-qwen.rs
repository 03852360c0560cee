//! `fake-qwen`: a stand-in for chat.qwen.ai whose behaviour is selected by the user's text and the model name.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
};

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use signalbox_fakes::{FakeQwen, qwen::trouble::NAMES};

const COMMANDS: &str = "Commands, one per line, in the last paragraph of the user's message:
  remember K=V     stores V as K, and answers `noted K`
  recall K         answers the value of K in this conversation
  say TEXT         answers TEXT; if it is in double quotes, it is parsed as a JSON string
  repeat           answers the user's text
  ticks N          answers N words, each of which is its send time
  draw             answers `drew N`, with a different N each time
  call NAME {…}    calls a declared tool
  think TEXT       first sends TEXT as thinking
  pieces N         splits the answer into events of N characters
  then             the following commands run in the next turn without a command, such as one with tool results
A text without a command is repeated.
";

/// A stand-in for chat.qwen.ai whose behaviour is selected by the user's text and the model name.
///
/// Pass its address to qwen-proxy as QWEN_BASE_URL, with any QWEN_TOKEN and QWEN_COOKIES.
#[derive(Debug, Parser)]
#[command(name = "fake-qwen", version)]
struct Args {
    /// Port to listen on; 0 selects any free port.
    #[arg(long, default_value_t = 9200)]
    port: u16,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let matches = Args::command().after_help(names()).get_matches();
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let addr = SocketAddr::new(args.host, args.port);
    let fake = FakeQwen::start_on(addr).await.with_context(|| format!("cannot listen on {addr}"))?;
    writeln!(std::io::stdout(), "fake-qwen listening on {}", fake.url()).context("cannot write to stdout")?;
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")
}

fn names() -> String {
    let mut text = format!("{COMMANDS}\nModel names:\n");
    for name in NAMES {
        text.push_str(&format!("  {:<16} {}\n", name.pattern, name.does));
    }
    text.push_str(
        "\nControl over HTTP: POST /_fake/script, release, forget and token, GET /_fake/calls and complaints,\n",
    );
    text.push_str("DELETE /_fake/calls.");
    text
}
