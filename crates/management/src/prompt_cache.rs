//! The guardian of prompt caches: what part of a prompt the provider had cached, and what made it fall.
//!
//! Computed when it is asked for, from the token counts and the bodies in the log.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use signalbox_core::conversation::Opening;
use signalbox_core::json::Reader;
use signalbox_core::prompt_cache::{Divergence, PromptTokens, divergence, shared_prefix};
use signalbox_core::schema::{Request, Response};
use signalbox_pricing::{Table, Tokens};
use signalbox_store::requests::{self, RequestKey};
use signalbox_store::turns::{self, Turn};
use signalbox_store::{Store, providers};
use utoipa::ToSchema;

use super::prices::in_effect;
use super::views::dollars;
use super::{App, Error};

/// Maximum turns of a session that are looked at.
const MAX_TURNS: i64 = 200;
/// Maximum falls of a session that are told.
const MAX_FALLS: usize = 5;
/// Maximum turns of a session for which bodies are compared, to find the turn before each.
const MAX_COMPARED: usize = 20;
/// Field of a request that continues an answer which the provider keeps.
const PREVIOUS: &str = r#""previous_response_id""#;
/// Number of earlier turns among which the one that a turn continues is looked for. The agents of a session take turns.
const MAX_EARLIER: usize = 8;

/// Share of the prompt that the provider had cached.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PromptCache {
    /// Share of the prompt that was read from the cache, from 0 to 1.
    share: f64,
    prompt_tokens: i64,
    cached_tokens: i64,
    /// The turn before, for the same session and model: of the last few, the one whose prompt this one continues
    /// furthest. Null for the first one.
    previous: Option<PreviousTurn>,
    /// Null unless the share fell by more than 0.2, and tokens that were cached are no longer.
    fall: Option<CacheFall>,
}

/// The turn before.
#[derive(Debug, Serialize, ToSchema)]
struct PreviousTurn {
    /// UUID of the request.
    request_id: String,
    timestamp: i64,
    share: f64,
    provider_id: Option<String>,
}

/// A fall of the cached share.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CacheFall {
    /// UUID of the request whose share fell.
    request_id: String,
    /// Since when: the arrival of this request.
    since: i64,
    share: f64,
    previous_share: f64,
    /// `prefix_changed`: the prompt differs from that of the turn before; `other_provider`: another one answered;
    /// `not_cached`: the provider had the same beginning no longer; `unknown`: the bodies are not kept.
    cause: &'static str,
    /// Where the prompt first differs, such as `messages[3].content`.
    path: Option<String>,
    /// Byte position in the body where it first differs.
    offset: Option<usize>,
    /// Tokens that were cached for the turn before and are not for this one.
    lost_tokens: i64,
    /// Their cost above that of cached ones, in dollars; null if the price is unknown.
    extra_cost_usd: Option<f64>,
}

/// The cached shares of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionPromptCache {
    /// Answered requests with token counts by class, at most 200.
    turns: usize,
    /// Share of all their prompt tokens that was read from caches; null without turns.
    share: Option<f64>,
    /// The newest falls, at most 5, the newest first.
    falls: Vec<CacheFall>,
}

/// Returns what part of the prompt of a request was cached; `None` without token counts.
pub(super) async fn of_request(
    app: &App,
    request: &Request,
    response: Option<&Response>,
) -> Result<Option<PromptCache>, Error> {
    let counted = response.and_then(|response| Some((response.prompt_tokens?, response.token_classes?.cache_read)));
    let Some((prompt, cached)) = counted else { return Ok(None) };
    let turn = Turn {
        id: request.id,
        request_id: request.request_id.clone(),
        timestamp: request.timestamp,
        model: request.model.clone(),
        provider_id: request.provider_id.clone(),
        tokens: PromptTokens { prompt, cached },
    };
    let limit = i64::try_from(MAX_EARLIER).unwrap_or(i64::MAX);
    let earlier = (turn.timestamp, turn.id);
    let earlier = turns::before(&app.store, &request.session_id, &turn.model, earlier, limit).await?;
    let earlier: Vec<&Turn> = earlier.iter().collect();
    let previous = Bodies::new(&app.store).previous(&turn, &earlier).await?.cloned();
    let fall = match previous.as_ref().and_then(|previous| Some((previous, turn.tokens.lost_since(previous.tokens)?))) {
        None => None,
        Some((previous, lost)) => {
            let prices = in_effect(app).await?;
            Some(fall(&app.store, &prices.0, (previous, &turn, lost)).await?)
        }
    };
    Ok(Some(PromptCache {
        share: turn.tokens.share(),
        prompt_tokens: prompt,
        cached_tokens: cached,
        previous: previous.map(|previous| PreviousTurn {
            share: previous.tokens.share(),
            request_id: previous.request_id,
            timestamp: previous.timestamp,
            provider_id: previous.provider_id,
        }),
        fall,
    }))
}

/// Returns the cached shares of a session.
pub(super) async fn of_session(app: &App, id: &str) -> Result<SessionPromptCache, Error> {
    let newest = turns::newest(&app.store, id, MAX_TURNS).await?;
    let sum = |count: fn(&PromptTokens) -> i64| newest.iter().map(|turn| count(&turn.tokens)).sum::<i64>();
    let all = PromptTokens { prompt: sum(|tokens| tokens.prompt), cached: sum(|tokens| tokens.cached) };
    let (mut bodies, mut compared) = (Bodies::new(&app.store), 0);
    let mut fallen: Vec<(&Turn, &Turn, i64)> = Vec::new();
    for (n, turn) in newest.iter().enumerate() {
        let earlier = newest[n + 1..].iter().filter(|previous| previous.model == turn.model);
        let earlier: Vec<&Turn> = earlier.take(MAX_EARLIER).collect();
        if !may_have_fallen(turn, &earlier) {
            continue;
        }
        if fallen.len() == MAX_FALLS || compared == MAX_COMPARED {
            break;
        }
        compared += 1;
        let Some(previous) = bodies.previous(turn, &earlier).await? else { continue };
        fallen.extend(turn.tokens.lost_since(previous.tokens).map(|lost| (previous, turn, lost)));
    }
    let mut falls = Vec::with_capacity(fallen.len());
    if !fallen.is_empty() {
        let prices = in_effect(app).await?;
        for fallen in fallen {
            falls.push(fall(&app.store, &prices.0, fallen).await?);
        }
    }
    let share = (!newest.is_empty()).then(|| all.share());
    Ok(SessionPromptCache { turns: newest.len(), share, falls })
}

/// Returns whether the share of a turn is much lower than that of one of these.
fn may_have_fallen(turn: &Turn, earlier: &[&Turn]) -> bool {
    earlier.iter().any(|previous| turn.tokens.lost_since(previous.tokens).is_some())
}

/// Returns whether a request opens a conversation, such as that of another agent in the session: it has no answer of
/// the model, and continues none that the provider keeps.
fn opens(body: &str) -> bool {
    Opening::of(body.as_bytes()).answer.is_none() && !body.contains(PREVIOUS)
}

/// The bodies of turns that have been read.
struct Bodies<'a> {
    store: &'a Store,
    /// By the number of the request; `None` if it is not kept.
    read: HashMap<i64, Option<String>>,
}

// === impl Bodies ===

impl<'a> Bodies<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, read: HashMap::new() }
    }

    async fn of(&mut self, turn: &Turn) -> Result<Option<&str>, Error> {
        if !self.read.contains_key(&turn.id) {
            let body = body(self.store, turn.id).await?.map(|(body, _)| body);
            self.read.insert(turn.id, body);
        }
        Ok(self.read.get(&turn.id).and_then(Option::as_deref))
    }

    /// Returns the turn that another one continues, if it does not open a conversation: of the earlier ones, the newest
    /// first, the one whose prompt begins alike for longest. Bodies are compared only if the share may have fallen;
    /// without them, the newest one counts.
    async fn previous<'t>(&mut self, turn: &Turn, earlier: &[&'t Turn]) -> Result<Option<&'t Turn>, Error> {
        let newest = earlier.first().copied();
        if !may_have_fallen(turn, earlier) {
            return Ok(newest);
        }
        let Some(own) = self.of(turn).await?.map(str::to_owned) else { return Ok(newest) };
        if opens(&own) {
            return Ok(None);
        }
        let (mut best, mut most) = (newest, 0);
        for previous in earlier {
            let shared = self.of(previous).await?.map_or(0, |body| shared_prefix(body, &own));
            if shared > most {
                (best, most) = (Some(*previous), shared);
            }
        }
        Ok(best)
    }
}

/// Finds the cause of a fall, and what it cost.
async fn fall(store: &Store, prices: &Table, (previous, turn, lost): (&Turn, &Turn, i64)) -> Result<CacheFall, Error> {
    let before = body(store, previous.id).await?;
    let after = body(store, turn.id).await?;
    let (found, is_kept) = match (&before, &after) {
        (Some((before, _)), Some((after, _))) => (divergence(before, after), true),
        _ => (None, false),
    };
    let cause = match &found {
        Some(_) => "prefix_changed",
        None if previous.provider_id != turn.provider_id => "other_provider",
        None if is_kept => "not_cached",
        None => "unknown",
    };
    let model = after.and_then(|(_, upstream)| upstream).unwrap_or_else(|| turn.model.clone());
    let (path, offset) = found.map_or((None, None), |Divergence { path, offset }| (Some(path), Some(offset)));
    Ok(CacheFall {
        request_id: turn.request_id.clone(),
        since: turn.timestamp,
        share: turn.tokens.share(),
        previous_share: previous.tokens.share(),
        cause,
        path,
        offset,
        lost_tokens: lost,
        extra_cost_usd: extra_cost(store, prices, turn, &model, lost).await?,
    })
}

/// Returns the body of a request, if it is kept, and the model that the provider was asked for, if it differs.
async fn body(store: &Store, id: i64) -> Result<Option<(String, Option<String>)>, Error> {
    let (request, _) = match requests::get(store, &RequestKey::Id(id)).await {
        Ok(found) => found,
        // It may have been deleted since.
        Err(signalbox_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut upstream = None;
    let _ = Reader::lenient(request.upstream_request.as_bytes()).fields(|name, value| {
        if name == "model" && value.peek()? == b'"' {
            upstream = value.string().map(std::borrow::Cow::into_owned);
            return upstream.as_ref().map(|_| ());
        }
        value.skip()
    });
    let is_kept = serde_json::from_str::<Value>(&request.request_body).is_ok_and(|body| body.is_object());
    Ok(is_kept.then_some((request.request_body, upstream)))
}

/// Returns what so many tokens cost more uncached than cached.
async fn extra_cost(store: &Store, prices: &Table, turn: &Turn, model: &str, lost: i64) -> Result<Option<f64>, Error> {
    let Some(provider_id) = turn.provider_id.as_deref() else { return Ok(None) };
    let provider = match providers::get(store, provider_id).await {
        Ok(provider) => provider,
        Err(signalbox_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let lost = u64::try_from(lost).unwrap_or_default();
    let price = prices.find(&provider.kind, provider_id, model, turn.timestamp);
    let nanos = price.and_then(|price| {
        let of = |tokens: Tokens| price.cost(&tokens.into()).ok()?.total().nanos();
        let uncached = of(Tokens { input: lost, ..Tokens::default() })?;
        let cached = of(Tokens { cache_read: lost, ..Tokens::default() })?;
        Some(uncached.saturating_sub(cached))
    });
    Ok(nanos.map(dollars))
}
