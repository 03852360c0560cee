//! The APIs that single models need, whatever else their provider speaks.

use crate::Api;

/// Models that answer some requests of an API only in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRule {
    /// Beginnings of the names of the models, without what comes before a slash. A date or a variant may follow.
    pub models: &'static [&'static str],
    /// API in which the requests are refused.
    pub refused_in: Api,
    /// Requests to which the rule applies.
    pub applies: ApiCondition,
    /// API in which the requests are answered.
    pub needs: Api,
}

/// Requests to which a rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiCondition {
    /// Those that offer tools.
    Tools,
    /// Those that offer tools, and ask for another effort than `none` or for none at all.
    ToolsWithEffort,
}

/// The features of an API that a request needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiNeeds {
    /// Whether it offers tools.
    pub tools: bool,
    /// Whether it asks for the effort `none`.
    pub no_effort: bool,
}

/// The rules, by the documentation of the vendors.
pub const API_RULES: &[ApiRule] = &[
    ApiRule {
        models: &["gpt-6-astra", "gpt-6.1-sol"],
        refused_in: Api::Chat,
        applies: ApiCondition::Tools,
        needs: Api::Responses,
    },
    ApiRule {
        models: &["gpt-6-sol", "gpt-6-luna", "gpt-5.6"],
        refused_in: Api::Chat,
        applies: ApiCondition::ToolsWithEffort,
        needs: Api::Responses,
    },
];

/// Returns the API that a model needs for a request of `client`'s API; `None` if it needs no other one.
#[must_use]
pub fn needed_api(client: Api, model: &str, needs: ApiNeeds) -> Option<Api> {
    // Providers of many vendors put the vendor before the name.
    let name = model.rsplit('/').next().unwrap_or(model);
    let rule = API_RULES.iter().find(|rule| rule.refused_in == client && rule.has_model(name))?;
    rule.applies.is_met(needs).then_some(rule.needs)
}

// === impl ApiRule ===

impl ApiRule {
    fn has_model(&self, name: &str) -> bool {
        // A letter, a digit or a dot would make it another model.
        let is_end = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '.');
        self.models.iter().any(|model| name.strip_prefix(model).is_some_and(is_end))
    }
}

// === impl ApiCondition ===

impl ApiCondition {
    const fn is_met(self, needs: ApiNeeds) -> bool {
        match self {
            Self::Tools => needs.tools,
            Self::ToolsWithEffort => needs.tools && !needs.no_effort,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: ApiNeeds = ApiNeeds { tools: false, no_effort: false };
    const TOOLS: ApiNeeds = ApiNeeds { tools: true, no_effort: false };
    const NO_EFFORT: ApiNeeds = ApiNeeds { tools: true, no_effort: true };

    #[test]
    fn tools_need_responses_where_the_model_refuses_them_in_chat() {
        let moved = |model: &str| [PLAIN, TOOLS, NO_EFFORT].map(|needs| needed_api(Api::Chat, model, needs).is_some());
        for (model, expected) in [
            ("gpt-6-astra", [false, true, true]),
            ("gpt-6.1-sol-2026-11-01", [false, true, true]),
            ("gpt-6-sol", [false, true, false]),
            ("openai/gpt-6-sol:free", [false, true, false]),
            ("gpt-6-luna", [false, true, false]),
            ("gpt-5.6", [false, true, false]),
            ("openai/gpt-5.6-mini", [false, true, false]),
            ("gpt-6-solar", [false; 3]),
            ("gpt-5.60", [false; 3]),
            ("gpt-5", [false; 3]),
            ("gpt-4o", [false; 3]),
            ("my-gpt-6-sol", [false; 3]),
            ("gpt-6-sol/other", [false; 3]),
            ("", [false; 3]),
        ] {
            assert_eq!(moved(model), expected, "{model}");
        }
        assert_eq!(needed_api(Api::Chat, "gpt-6-sol", TOOLS), Some(Api::Responses));
        for client in [Api::Messages, Api::Responses] {
            assert_eq!(needed_api(client, "gpt-6-sol", TOOLS), None);
        }
    }
}
