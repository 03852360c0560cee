//! Pieces that the writers of the three APIs share.

mod extras;
mod offer;
mod values;

use std::collections::HashSet;

use crate::error::{Problem, RequestError};
use crate::hub::{Block, Cache, CallKind, Effort, Request, ThinkingMode, Tool};
use crate::ids::{IdForm, IdMap};
use crate::loss::{Action, Losses};
use crate::out::Object;
use crate::target::{Target, ToolMap};
use crate::{Api, ThinkingSwitch, Written};

/// The state of writing one request.
pub(crate) struct Job<'r> {
    pub(crate) request: &'r Request,
    pub(crate) target: &'r Target,
    pub(crate) api: Api,
    pub(crate) losses: Losses,
    pub(crate) tools: ToolMap,
    pub(crate) ids: IdMap,
    /// The ids of the reasoning items that are written.
    pub(crate) items: HashSet<String>,
    pub(crate) stops: Vec<String>,
    /// The indices and types of the built-in tools that are left out.
    left_out: Vec<(usize, &'r str)>,
    /// Number of cache breakpoints that are left out because only the last four are allowed.
    pub(crate) skipped_breakpoints: usize,
}

pub(crate) use offer::Offer;
pub(crate) use values::{arguments_object, block_at, unwrap_custom, unwrap_cut, write_breakpoint, write_cache_control};

const FOREIGN: &str = "the target API has no such field";

// === impl Job ===

impl<'r> Job<'r> {
    pub(crate) fn new(request: &'r Request, target: &'r Target, api: Api) -> Self {
        let blocks = request.messages.iter().flat_map(|message| &message.blocks);
        let inner = |block: &'r Block| match block {
            Block::ToolResult(result) => result.content.as_slice(),
            _ => &[],
        };
        let blocks = blocks.flat_map(|block| inner(block).iter().chain([block]));
        let of_blocks = blocks.filter(|block| block.cache().is_some()).count();
        let of_tools = request.tools.iter().filter(|tool| matches!(tool, Tool::Function(tool) if tool.cache.is_some()));
        let breakpoints = of_blocks + of_tools.count() + usize::from(request.cache.is_some());
        let mut tools = ToolMap::default();
        let plain = request.tools.iter().filter(|tool| match tool {
            Tool::Function(tool) => tool.namespace.is_none(),
            Tool::Custom(tool) => tool.namespace.is_none(),
            Tool::Builtin { .. } => false,
        });
        tools.reserve(plain.filter_map(Tool::name));
        let mut losses = Losses::default();
        if request.api != api {
            request.unread.iter().for_each(|field| losses.dropped(field, FOREIGN));
        }
        Self {
            request,
            target,
            api,
            losses,
            tools,
            ids: IdMap::new(match target.call_id_len.filter(|_| api == Api::Chat) {
                Some(len) => IdForm::Exactly(len),
                None => IdForm::AtMost(64),
            }),
            items: HashSet::new(),
            stops: Vec::new(),
            left_out: Vec::new(),
            skipped_breakpoints: breakpoints.saturating_sub(4),
        }
    }

    pub(crate) fn finish(self, body: Vec<u8>) -> Written {
        let stream = self.streams();
        Written { body, stream, losses: self.losses, tools: self.tools, stops: self.stops }
    }

    /// Returns whether the target is asked for a stream.
    pub(crate) fn streams(&self) -> bool {
        self.request.stream || self.api == Api::Chat && !self.target.whole_answers
    }

    pub(crate) fn is_from(&self, api: Api) -> bool {
        self.request.api == api
    }

    /// Returns whether the provider knows the files that the client names by their ids: those of its own API, and those
    /// of the other API of OpenAI at the same account.
    pub(crate) fn knows_files(&self) -> bool {
        let is_of_anthropic = |api| api == Api::Messages;
        let is_same_vendor = is_of_anthropic(self.request.api) == is_of_anthropic(self.api);
        self.is_from(self.api) || self.target.same_files && is_same_vendor
    }

    pub(crate) fn model(&self) -> &'r str {
        self.target.model.as_deref().unwrap_or(&self.request.model)
    }

    /// Returns the limit for an OpenAI API, which has no request that only writes the cache.
    pub(crate) fn max_tokens(&self) -> Result<Option<u64>, RequestError> {
        match self.request.max_tokens {
            Some(0) if self.is_from(Api::Messages) => self.refuse("max_tokens", "Ask for at least one token."),
            max => Ok(max),
        }
    }

    pub(crate) fn refuse<T>(&self, field: &str, advice: &str) -> Result<T, RequestError> {
        Err(RequestError::new(Problem::NotTranslatable, &field, advice))
    }

    /// Returns whether the provider refuses a field of its API. The client's field is then reported as lost.
    pub(crate) fn refuses(&mut self, name: &str, field: &str) -> bool {
        let refuses = self.api == Api::Chat && self.target.refused.contains(&name);
        if refuses {
            self.losses.dropped(field, "the provider refuses it");
        }
        refuses
    }

    /// Returns the id of a tool call at the target. Call it once for each call.
    pub(crate) fn call_id(&mut self, id: &str) -> String {
        self.ids.call(id)
    }

    /// Returns the id at the target of the tool call that a result answers. Call it once for each result.
    pub(crate) fn result_id(&mut self, id: &str) -> String {
        self.ids.result(id)
    }

    /// Returns the name of a tool in a call of the conversation.
    pub(crate) fn call_name(&mut self, name: &str, namespace: Option<&str>, kind: CallKind) -> String {
        self.renamed(name, namespace, kind, false)
    }

    /// Returns the maximum number of characters of the name of a tool.
    fn max_name(&self) -> usize {
        if self.api == Api::Messages { 128 } else { 64 }
    }

    fn renamed(&mut self, name: &str, namespace: Option<&str>, kind: CallKind, is_changed: bool) -> String {
        let max = self.max_name();
        self.tools.rename(name, namespace, kind, max, is_changed)
    }

    /// Returns the cache breakpoint of a block if it is among the last four and the target knows breakpoints.
    pub(crate) fn breakpoint(&mut self, cache: Option<Cache>) -> Option<Cache> {
        let cache = cache?;
        let known = self.api == Api::Messages || self.target.cache_breakpoints;
        if self.skipped_breakpoints > 0 || !known {
            self.skipped_breakpoints = self.skipped_breakpoints.saturating_sub(1);
            self.losses.once("cache_control", Action::Dropped, "the target does not take this cache breakpoint");
            return None;
        }
        let changes = (self.api == Api::Messages) != self.is_from(Api::Messages);
        if changes {
            self.losses.once("cache_control", Action::Altered, "cache breakpoints have other lifetimes there");
        }
        Some(cache)
    }

    /// Returns the effort for an OpenAI API.
    pub(crate) fn effort(&mut self) -> Option<Effort> {
        let asked = &self.request.reasoning;
        let of_thinking = match &asked.thinking {
            Some(ThinkingMode::Budget(tokens)) if asked.effort.is_none() => {
                let effort = Effort::of_budget(*tokens);
                self.losses.changed("thinking", &tokens.to_string(), effort.as_str(), "budgets have no exact form");
                Some(effort)
            }
            Some(ThinkingMode::Budget(_)) => {
                self.losses.dropped("thinking.budget_tokens", "the effort is sent instead");
                None
            }
            Some(ThinkingMode::Disabled) => {
                if asked.effort.is_some() {
                    self.losses.dropped("output_config.effort", "thinking is disabled");
                }
                Some(Effort::None)
            }
            Some(ThinkingMode::Other(mode)) => {
                self.losses.dropped("thinking", format!("the target has no mode `{mode}`"));
                None
            }
            Some(ThinkingMode::Adaptive) | None => None,
        };
        let effort = of_thinking.or_else(|| asked.effort.clone())?;
        let has_switch = self.target.thinking != ThinkingSwitch::None;
        if self.api == Api::Chat && !self.target.reasoning_effort && !has_switch {
            // Without the field, such a provider does not reason more than it always does.
            if effort != Effort::None {
                let field = self.effort_field();
                self.losses.dropped(field, "the provider takes no effort");
            }
            return None;
        }
        Some(effort)
    }

    pub(crate) fn effort_field(&self) -> &'static str {
        match self.request.api {
            Api::Chat => "reasoning_effort",
            Api::Messages => "output_config.effort",
            Api::Responses => "reasoning.effort",
        }
    }

    /// Writes `temperature` and `top_p` for an OpenAI API.
    pub(crate) fn write_sampling(&mut self, body: &mut Object<'_>, effort: Option<&Effort>) {
        let allowed = self.target.sampling || effort == Some(&Effort::None);
        for (name, value) in [("temperature", &self.request.temperature), ("top_p", &self.request.top_p)] {
            let Some(value) = value else { continue };
            if self.target.refused.contains(&name) && matches!(value.as_str(), "1" | "1.0") {
                // Every API assumes this value without the field.
                continue;
            }
            if self.refuses(name, name) {
                continue;
            }
            let max = self.target.max_temperature;
            let is_higher = |text: &str| text.parse::<f64>().is_ok_and(|number| number > f64::from(max));
            if allowed && self.api == Api::Chat && name == "temperature" && is_higher(value.as_str()) {
                let max = max.to_string();
                self.losses.changed(name, value.as_str(), &max, "the provider takes no higher one");
                body.raw(name, &max);
            } else if allowed {
                body.raw(name, value.as_str());
            } else {
                self.losses.dropped(name, "model refuses unless effort none");
            }
        }
    }

    /// Writes the end user and the service tier for an OpenAI API.
    pub(crate) fn write_identity(&mut self, body: &mut Object<'_>) {
        if let Some(user) = &self.request.user {
            if self.is_from(Api::Messages) {
                self.write_foreign_user(body, user);
            } else if !self.refuses(self.request.user_field, self.request.user_field) {
                body.str(self.request.user_field, user);
            }
        }
        let Some(tier) = &self.request.service_tier else { return };
        if !self.is_from(Api::Messages) {
            if self.api == Api::Chat && tier == "ultrafast" {
                return self.losses.dropped("service_tier", FOREIGN);
            }
            return body.str("service_tier", tier);
        }
        let own = if tier == "standard_only" { "default" } else { "auto" };
        self.losses.changed("service_tier", tier, own, "the tiers of the APIs differ");
        body.str("service_tier", own);
    }

    /// Writes `metadata.user_id` as the end user. Texts that the other API does not take are dropped: hashing them is
    /// left to the caller, who can keep the hash stable.
    fn write_foreign_user(&mut self, body: &mut Object<'_>, user: &str) {
        if user.len() > 128 || user.contains('@') {
            return self.losses.dropped("metadata.user_id", "too long, or holds an e-mail address");
        }
        let field = if self.api == Api::Chat { "user" } else { "safety_identifier" };
        if self.refuses(field, "metadata.user_id") {
            return;
        }
        self.losses.changed("metadata.user_id", "metadata.user_id", field, "sent as another field");
        body.str(field, user);
    }

    /// Reports the name of a message as lost if the target cannot carry it.
    pub(crate) fn report_name(&mut self, at: &str, name: Option<&str>) {
        if name.is_some() && (self.api != Api::Chat || !self.is_from(Api::Chat)) {
            self.losses.dropped(format!("{at}.name"), FOREIGN);
        }
    }

    /// Reports the attributes of a text block that the target cannot carry.
    pub(crate) fn report_text(&mut self, at: &str, block: &Block) {
        let Block::Text(text) = block else { return };
        if text.citations.is_some() && self.request.api != self.api {
            self.losses.dropped(format!("{at}.citations"), "citations have another form there");
        }
        if text.phase.is_some() && self.api != Api::Responses {
            self.losses.dropped(format!("{at}.phase"), FOREIGN);
        }
    }
}
