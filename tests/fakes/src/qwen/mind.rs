//! The site's answers, determined by the user's text alone, so that a test can request any answer through any client.
//!
//! Each line of the text's last paragraph is a command if it begins with the name of one. A label before it, as in
//! `User: recall 1`, is ignored.
//!
//! | Command | What it does |
//! |---|---|
//! | `remember K=V` | says `noted K`. Also recognised anywhere in a text, such as a history that is sent again |
//! | `recall K` | says the last value `V` of `K` in the conversation, or `K is unknown` |
//! | `say TEXT` | says the text; a text in double quotes is a JSON string |
//! | `repeat` | says the complete text of the user |
//! | `ticks N` | says `N` words of the form `t=<nanoseconds of CLOCK_MONOTONIC> `, each rendered when it is sent |
//! | `draw` | says `drew N` with a new `N` each time, as a model answers the same question differently |
//! | `call NAME {…}` | calls a tool in the form given in the prompt: `<NAME>`, a tag for each argument, `</NAME>` |
//! | `think TEXT` | sends this text as reasoning before the answer |
//! | `pieces N` | cuts the answer into events of `N` characters |
//! | `then` | the commands after it apply to the next turn without commands of its own, such as the results of a tool |
//!
//! A text without commands is echoed, unless commands after an earlier `then` apply. A tool is only called if the
//! conversation has introduced it: the preceding texts have to contain its tag, `<NAME>`.

use serde_json::Value;

/// Maximum number of ticks in an answer.
const MOST_TICKS: u32 = 100_000;

/// The conversation so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard<'a> {
    /// System texts.
    pub system: Vec<&'a str>,
    /// User texts, the current one last.
    pub user: Vec<&'a str>,
    /// A number that is unique to this call.
    pub number: u64,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thought {
    /// Reasoning text before the answer.
    pub thinking: String,
    /// Text of the answer.
    pub text: String,
    /// Characters per event; `None` for one word per event.
    pub pieces: Option<usize>,
    /// Number of ticks (words with their send time) after the text.
    pub ticks: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command<'a> {
    Remember(&'a str),
    Recall(&'a str),
    Say(&'a str),
    Repeat,
    Draw,
    Call(&'a str, &'a str),
    Think(&'a str),
    Pieces(usize),
    Ticks(u32),
    Then,
}

/// Answers the last text of the user.
#[must_use]
pub fn answer(heard: &Heard<'_>) -> Thought {
    let current = heard.user.last().copied().unwrap_or_default();
    let Some(commands) = due(&heard.user) else {
        return Thought { text: current.to_owned(), ..Thought::default() };
    };
    let mut thought = Thought::default();
    let mut said = Vec::new();
    for command in commands {
        match command {
            Command::Remember(fact) => said.push(format!("noted {}", fact.split('=').next().unwrap_or_default())),
            Command::Recall(name) => said.push(heard.recall(name)),
            Command::Say(text) => said.push(serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())),
            Command::Repeat => said.push(current.to_owned()),
            Command::Draw => said.push(format!("drew {}", heard.number)),
            Command::Call(name, arguments) => said.push(heard.call(name, arguments)),
            Command::Think(text) => thought.thinking.push_str(text),
            Command::Pieces(size) => thought.pieces = Some(size),
            Command::Ticks(ticks) => thought.ticks = ticks,
            Command::Then => {}
        }
    }
    thought.text = said.join("\n");
    thought
}

/// Returns the commands for the last of these texts: its own, or those after a `then` of an earlier text.
fn due<'a>(texts: &[&'a str]) -> Option<Vec<Command<'a>>> {
    texts.iter().rev().enumerate().find_map(|(turns_ago, text)| {
        let commands = commands(text);
        if commands.is_empty() {
            return None;
        }
        // The search ends at the first text with commands, even if it has none left for this turn.
        Some(commands.split(|command| *command == Command::Then).nth(turns_ago).map(<[_]>::to_vec))
    })?
}

fn commands(text: &str) -> Vec<Command<'_>> {
    let paragraph = text.trim().rsplit("\n\n").next().unwrap_or_default();
    paragraph.lines().filter_map(|line| command(line.trim())).collect()
}

fn command(line: &str) -> Option<Command<'_>> {
    let line = match line.split_once(": ") {
        Some((label, rest)) if label.chars().all(char::is_alphanumeric) => rest,
        _ => line,
    };
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    match (name, rest.trim()) {
        ("remember", fact) if fact.contains('=') => Some(Command::Remember(fact)),
        ("recall", name) if !name.is_empty() => Some(Command::Recall(name)),
        ("say", text) => Some(Command::Say(text)),
        ("repeat", "") => Some(Command::Repeat),
        ("draw", "") => Some(Command::Draw),
        ("call", call) => {
            let (name, arguments) = call.split_once(' ').unwrap_or((call, "{}"));
            Some(Command::Call(name, arguments.trim()))
        }
        ("think", text) => Some(Command::Think(text)),
        ("pieces", size) => size.parse().ok().filter(|size| *size > 0).map(Command::Pieces),
        ("ticks", ticks) => ticks.parse().ok().filter(|ticks| *ticks <= MOST_TICKS).map(Command::Ticks),
        ("then", "") => Some(Command::Then),
        _ => None,
    }
}

// === impl Heard ===

impl Heard<'_> {
    fn recall(&self, name: &str) -> String {
        let facts = self.user.iter().flat_map(|text| text.split("remember ").skip(1));
        let values = facts.filter_map(|fact| fact.lines().next()?.strip_prefix(name)?.strip_prefix('='));
        values.last().map_or_else(|| format!("{name} is unknown"), |value| value.trim().to_owned())
    }

    fn call(&self, name: &str, arguments: &str) -> String {
        let tag = format!("<{name}>");
        if !self.system.iter().chain(&self.user).any(|text| text.contains(&tag)) {
            return format!("I have no tool {name}.");
        }
        let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
        let mut call = tag;
        for (name, value) in arguments.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            call.push_str(&format!("\n<{name}>{value}</{name}>"));
        }
        call + &format!("\n</{name}>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(user: &[&str]) -> String {
        answer(&Heard { system: vec!["Use <look> and <go>."], user: user.to_vec(), number: 9 }).text
    }

    #[test]
    fn values_are_recalled_after_any_number_of_turns() {
        assert_eq!(says(&["remember 1=a tree"]), "noted 1");
        assert_eq!(says(&["remember 1=a tree", "anything", "recall 1"]), "a tree");
        assert_eq!(says(&["remember 1=a", "remember 1=b", "remember 11=c", "recall 1"]), "b");
        assert_eq!(says(&["remember 1=a", "recall 2"]), "2 is unknown");
    }

    #[test]
    fn a_replayed_history_is_remembered() {
        let history = "The conversation so far:\n\nUser: remember 1=a\n\nAssistant: noted 1\n\nUser: recall 1";
        assert_eq!(says(&[history]), "a");
    }

    #[test]
    fn a_tool_is_called_in_the_requested_form() {
        let call = r#"call look {"at":"the <look>sky</look>","deep":true,"n":[1,2]}"#;
        let expected = "<look>\n<at>the <look>sky</look></at>\n<deep>true</deep>\n<n>[1,2]</n>\n</look>";
        assert_eq!(says(&[call]), expected);
        assert_eq!(says(&["say first\ncall look\ncall go {}"]), "first\n<look>\n</look>\n<go>\n</go>");
        assert_eq!(says(&["call fly {}"]), "I have no tool fly.");
        assert_eq!(says(&["You also have <fly>.", "call fly {}"]), "<fly>\n</fly>");
    }

    #[test]
    fn commands_after_then_run_in_the_next_turn() {
        let plan = "call look {}\nthen\ncall go {}\nthen\nrepeat\nsay done";
        assert_eq!(says(&[plan]), "<look>\n</look>");
        assert_eq!(says(&[plan, "a tree"]), "<go>\n</go>");
        assert_eq!(says(&[plan, "a tree", "there"]), "there\ndone");
        assert_eq!(says(&[plan, "a tree", "there", "thanks"]), "thanks");
        assert_eq!(says(&[plan, "say stop", "a tree"]), "a tree");
    }

    #[test]
    fn ticks_are_sent_as_often_as_requested() {
        let ticks = |text| answer(&Heard { user: vec![text], ..Heard::default() }).ticks;
        assert_eq!((ticks("a train\n\nticks 12"), ticks("ticks many"), ticks("ticks 100001")), (12, 0, 0));
    }

    #[test]
    fn a_text_is_repeated_verbatim() {
        assert_eq!(says(&["no command at all\n"]), "no command at all\n");
        assert_eq!(says(&[r#"say "two\nlines""#]), "two\nlines");
        assert_eq!(says(&["draw"]), "drew 9");
        assert_eq!(says(&["say nothing\n\nin the last paragraph"]), "say nothing\n\nin the last paragraph");
    }

    #[test]
    fn think_and_pieces_produce_no_text() {
        let heard = Heard { user: vec!["think hm\npieces 1\nsay yes"], ..Heard::default() };
        let thought = Thought { thinking: "hm".into(), text: "yes".into(), pieces: Some(1), ticks: 0 };
        assert_eq!(answer(&heard), thought);
    }
}
