//! Shows an answer to a client.

use crate::hub::{Answer, ErrorClass, Event, Failure, Finish, FinishReason, Fold, Usage};
use crate::loss::Losses;
use crate::stage::{Guard, Restore, Stops};
use crate::target::{Api, ToolMap};
use crate::{chat, messages, responses};

/// The values that an answer to a client needs beside the provider's events.
#[derive(Clone, Debug, Default)]
pub struct EmitOptions {
    /// The id of the exchange, without a prefix: ids of answers and items are made of it.
    pub id: String,
    /// The time of the answer, in seconds since 1970.
    pub created: u64,
    /// The model, as the client shall see it. If empty, the provider's name is shown.
    pub model: String,
    /// Whether a chat stream ends with the token counts.
    pub include_usage: bool,
    /// Whether summaries of reasoning are shown to clients of Messages, as thinking without a signature.
    pub summaries: bool,
    /// The tools whose form differs at the provider: [`Written::tools`](crate::Written::tools).
    pub tools: ToolMap,
    /// Stop sequences to cut the answer at: [`Written::stops`](crate::Written::stops).
    pub stops: Vec<String>,
    /// `previous_response_id` of the request, which answers of Responses repeat.
    pub previous: Option<String>,
}

/// Writes the events of an answer as a stream of the client's API.
///
/// The order of what it writes is right whatever the order of the events: ids are stable, blocks begin and end once,
/// and one terminal event ends the stream.
#[derive(Debug)]
pub struct Emitter {
    api: Api,
    stops: Stops,
    restore: Restore,
    guard: Guard,
    surface: Surface,
    stage: [Vec<Event>; 3],
}

#[derive(Debug)]
enum Surface {
    Chat(chat::Emitter),
    Messages(messages::Emitter),
    Responses(Box<responses::Emitter>),
}

// === impl Emitter ===

impl Emitter {
    /// Creates an emitter for a client of `api`.
    #[must_use]
    pub fn new(api: Api, options: EmitOptions) -> Self {
        let EmitOptions { id, created, model, include_usage, summaries, tools, stops, previous } = options;
        let guard = Guard::new(api == Api::Chat, &id);
        let surface = match api {
            Api::Chat => Surface::Chat(chat::Emitter::new(&id, created, model, include_usage)),
            Api::Messages => Surface::Messages(messages::Emitter::new(&id, model, summaries)),
            Api::Responses => Surface::Responses(Box::new(responses::Emitter::new(id, created, model, previous))),
        };
        Self { api, stops: Stops::new(stops), restore: Restore::new(tools), guard, surface, stage: Default::default() }
    }

    /// Appends what follows from an event to `out`: whole events of the stream. Events after the end are ignored.
    ///
    /// A [`Start`](Event::Start) of the caller's own begins the stream before the provider does; the provider's is
    /// then ignored.
    pub fn push(&mut self, event: Event, out: &mut Vec<u8>) {
        let event = match event {
            Event::Finish(finish) if is_error(self.api, &finish) => Event::Failed(malformed()),
            event => event,
        };
        let [first, second, third] = &mut self.stage;
        self.stops.push(event, first);
        first.drain(..).for_each(|event| self.restore.push(event, second));
        second.drain(..).for_each(|event| self.guard.push(event, third));
        for event in third.drain(..) {
            match &mut self.surface {
                Surface::Chat(surface) => surface.push(event, out),
                Surface::Messages(surface) => surface.push(event, out),
                Surface::Responses(surface) => surface.push(event, out),
            }
        }
    }

    /// Returns whether the stream has its terminal event. Once it has, the provider's answer can be dropped.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.guard.has_ended()
    }

    /// Returns whether the answer was cut at a stop sequence, so that the provider is still writing.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.stops.is_cut()
    }

    /// Returns what the client's API could not show.
    #[must_use]
    pub const fn losses(&self) -> &Losses {
        match &self.surface {
            Surface::Chat(surface) => &surface.losses,
            Surface::Messages(surface) => &surface.losses,
            Surface::Responses(surface) => &surface.losses,
        }
    }
}

/// Returns whether the end of an answer is an error in an API: only Chat Completions leaves the judgement to the
/// client.
fn is_error(api: Api, finish: &Finish) -> bool {
    finish.reason == FinishReason::MalformedTool && api != Api::Chat
}

fn malformed() -> Failure {
    Failure::new(ErrorClass::Server, "The model wrote a tool call that cannot be read. Send the request again.")
}

/// Writes a whole answer as a body of the client's API.
///
/// # Errors
/// Fails if the client's API can tell the end of the answer only as an error.
pub fn write_answer(api: Api, answer: Answer, options: EmitOptions) -> Result<(Vec<u8>, Losses), Failure> {
    if is_error(api, &answer.finish) {
        return Err(malformed());
    }
    let EmitOptions { id, created, model, summaries, tools, stops, previous, .. } = options;
    let mut stages = (Stops::new(stops), Restore::new(tools), Guard::new(false, &id));
    let (mut first, mut second, mut third) = (Vec::new(), Vec::new(), Vec::new());
    let (usage, mut losses): (Option<Usage>, Losses) = (answer.usage, answer.losses.clone());
    answer.into_events().into_iter().for_each(|event| stages.0.push(event, &mut first));
    first.into_iter().for_each(|event| stages.1.push(event, &mut second));
    second.into_iter().for_each(|event| stages.2.push(event, &mut third));
    let mut fold = Fold::default();
    third.into_iter().for_each(|event| fold.push(event));
    let mut answer = fold.finish()?;
    answer.usage = answer.usage.or(usage);
    let (body, more) = match api {
        Api::Chat => chat::write_answer(&answer, &id, created, &model),
        Api::Messages => messages::write_answer(&answer, &id, &model, summaries),
        Api::Responses => responses::write_answer(&answer, &id, (created, &model), previous.as_deref()),
    };
    let more = more.without(&answer.losses);
    losses.append(answer.losses);
    losses.append(more);
    Ok((body, losses))
}
