//! `fake-qwen`: a stand-in for chat.qwen.ai whose behaviour is selected by the user's text and the model name.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
};

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use signalbox_fakes::{FakeQwen, qwen::trouble::NAMES};

const COMMANDS: &str = "\
Commands, each a line of the last paragraph of what the user says:
  remember K=V     says `noted K`
  recall K         says what the conversation knows of K
  say TEXT         says the text; a text in double quotes is a JSON string
  repeat           says what the user said
  ticks N          says N words, each the time at which it was sent
  draw             says `drew N`, another N each time
  call NAME {…}    calls a tool that the conversation was told of
  think TEXT       thinks this first
  pieces N         cuts the answer into events of N characters
  then             what follows is for the next turn without a command, as with results of tools
A text without a command is said back.
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
        "\nFrom another process: POST /_fake/script, release, forget and token, GET /_fake/calls and complaints,\n",
    );
    text.push_str("DELETE /_fake/calls.");
    text
}
