//! Fields of one API that the others have in another form, or not at all.

use super::{FOREIGN, Job};
use crate::Api;
use crate::error::RequestError;
use crate::hub::Json;
use crate::out::Object;

impl Job<'_> {
    /// Writes or reports the fields that the readers did not interpret. `allowed` are those that both APIs have.
    pub(crate) fn write_extras(&mut self, body: &mut Object<'_>, allowed: &[&str]) -> Result<(), RequestError> {
        for (name, value) in &self.request.extras {
            let is_known = self.request.api == self.api || allowed.contains(&name.as_str());
            if is_known && self.api == Api::Chat && self.target.refused.contains(&name.as_str()) {
                if is_refused(name, value) {
                    return self.refuse(name, "The provider refuses it.");
                }
                if !is_default(name, value) {
                    self.losses.dropped(name, "the provider refuses it");
                }
            } else if is_known {
                let is_seed = name == "seed" && self.api == Api::Chat;
                body.raw(if is_seed { self.target.seed_field } else { name }, value.as_str());
            } else if name == "speed" && value.as_str() == "\"fast\"" && self.request.service_tier.is_none() {
                self.losses.changed("speed", "fast", "service_tier fast", "sent as another field");
                body.str("service_tier", "fast");
            } else if name == "prompt_cache_options" && self.api == Api::Chat {
                // Written or reported by the writer of Chat Completions.
            } else if is_refused(name, value) {
                return self.refuse(name, "The answer would be a different one without it.");
            } else if !(is_default(name, value) || name == "web_search_options" && self.target.web_search) {
                self.losses.dropped(name, FOREIGN);
            }
        }
        Ok(())
    }

    /// Returns whether the probabilities of tokens are asked for. Answers of another API are translated without them,
    /// so that they are not asked for there.
    pub(crate) fn takes_logprobs(&mut self) -> bool {
        let request = self.request;
        let is_own = request.api == self.api;
        let fields = [("logprobs", request.logprobs), ("top_logprobs", request.top_logprobs.is_some())];
        for (name, _) in fields.into_iter().filter(|(_, is_asked)| *is_asked && !is_own) {
            self.losses.dropped(name, "the probabilities of tokens are not translated");
        }
        if is_own && self.api == Api::Chat && self.target.refused.contains(&"logprobs") {
            for (name, _) in fields.into_iter().filter(|(_, is_asked)| *is_asked) {
                self.losses.dropped(name, "the provider refuses it");
            }
            return false;
        }
        is_own
    }

    /// Returns whether the web search of Chat Completions, which is a field there, becomes a tool.
    pub(crate) fn searches(&mut self) -> bool {
        let is_asked = self.request.extras.iter().any(|(name, _)| name == "web_search_options");
        let searches = is_asked && self.target.web_search && self.api != Api::Chat;
        if searches {
            self.losses.altered("web_search_options", "sent as the web search of the target");
        }
        searches
    }
}

/// Returns whether a field changes the answer so much that the request is refused without it.
fn is_refused(name: &str, value: &Json) -> bool {
    match name {
        "audio" | "prompt" | "container" => true,
        "n" => value.as_str() != "1",
        "modalities" => value.as_str().contains("audio") || value.as_str().contains("image"),
        _ => false,
    }
}

/// Returns whether a field has the value that the target assumes without it.
fn is_default(name: &str, value: &Json) -> bool {
    let value = value.as_str();
    match name {
        "n" => value == "1",
        "modalities" => true,
        "presence_penalty" | "frequency_penalty" => value.parse::<f64>().is_ok_and(|number| number == 0.0),
        "logit_bias" => value == "{}",
        "truncation" => value == "\"disabled\"",
        "background" => value == "false",
        "speed" => value == "\"standard\"",
        "include" | "betas" | "functions" => value == "[]",
        // The gateway has resolved it.
        "previous_response_id" | "conversation" => true,
        _ => false,
    }
}
