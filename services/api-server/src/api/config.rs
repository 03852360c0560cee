//! `/api/config`: export and import of the catalogue as a document.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, header};
use serde::Serialize;
use signalbox_daemon::clock::unix_ms;
use signalbox_management::FieldMistake;
use signalbox_store::catalog;
use utoipa::ToSchema;

use super::error_schemas::Failure;
use super::extract::bytes_of;
use super::query::Query;
use super::{App, Error};
use crate::declared::{self, Apply, FieldChange, Format, Issued, References, read::read, write::comments};

/// Changes made, or to be made: each entry by its path, such as `providers.openai`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Applied {
    /// Whether nothing was written.
    dry_run: bool,
    created: Vec<String>,
    /// The keys that were created, with their secrets: they are shown only here. Empty in a dry run.
    keys: Vec<Issued>,
    updated: Vec<Updated>,
    deleted: Vec<String>,
    unchanged: Vec<String>,
    /// The changed fields of the updated entries, with their values; secrets are masked.
    changes: Vec<FieldChange>,
    /// The version of the configuration that was compared: give it as `base_version` to apply exactly this plan.
    base_version: i64,
}

/// Changes of one entry.
#[derive(Debug, Serialize, ToSchema)]
struct Updated {
    path: String,
    /// Changed fields.
    what: Vec<String>,
}

/// Exports providers, models, settings, routes, keys and prices as a document. Secrets are masked, and keys have none.
#[utoipa::path(
    get, path = "/api/config/export", tag = "config",
    params(("format" = Option<String>, Query, pattern = "^(toml|yaml|json)?$",
        description = "Format of the response; if absent, that of the `Accept` header, else TOML")),
    responses(
        (status = 200, description = "The document", content(
            (Value = "application/toml"), (Value = "application/yaml"), (Value = "application/json"),
        )),
        (status = 409,
         description = "The configuration has a value that this format cannot represent; request JSON", body = Failure),
    ),
)]
pub(super) async fn export(State(app): State<App>, mut query: Query, headers: HeaderMap) -> Result<Response, Error> {
    let format = format_of(&mut query, &headers, header::ACCEPT);
    query.finish()?;
    let catalog = catalog::load(&app.store).await?;
    let (document, secrets) = declared::write(&catalog, &app.sealer)?;
    let text = format.print(&document, &comments(&secrets));
    let text = text.map_err(|message| Error::Conflict { code: "format_cannot_say", message })?;
    Ok(([(header::CONTENT_TYPE, format.media_type())], text).into_response())
}

/// Applies a document to providers, models, settings, routes, keys and prices, completely or not at all. A masked secret
/// stays unchanged. A key that does not exist is created, and the response is the only one that contains it.
#[utoipa::path(
    post, path = "/api/config/apply", tag = "config",
    params(
        ("dry_run" = Option<bool>, Query, description = "Only report what would change"),
        ("prune" = Option<bool>, Query, description = "Delete entries that are not declared, in the sections that are \
            present"),
        ("base_version" = Option<i64>, Query,
         description = "Write nothing unless the configuration still has this version, which a dry run tells"),
        ("format" = Option<String>, Query, pattern = "^(toml|yaml|json)?$",
         description = "Format of the document; if absent, that of the `Content-Type` header, else TOML"),
    ),
    request_body(description = "The document", content(
        (Value = "application/toml"), (Value = "application/yaml"), (Value = "application/json"),
    )),
    responses(
        (status = 200, description = "The changes", body = Applied),
        (status = 409,
         description = "`configuration_changed`: it has another version than `base_version`, or changed during the \
            request, and nothing was written", body = Failure),
    ),
)]
pub(super) async fn apply(State(app): State<App>, mut query: Query, request: Request) -> Result<Json<Applied>, Error> {
    let format = format_of(&mut query, request.headers(), header::CONTENT_TYPE);
    let [dry_run, prune] = ["dry_run", "prune"].map(|name| switch(&mut query, name));
    let base_version = query.given("base_version").and_then(|text| {
        let version = text.parse().ok();
        if version.is_none() {
            query.mistake("base_version must be the base_version of a dry run");
        }
        version
    });
    // A misspelt `dry_run` must not apply the document.
    query.refuse_others();
    query.finish()?;
    let bytes = bytes_of(request, &app).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::invalid("the document is not valid UTF-8"))?;
    let references = References::Server(app.logs.data_dir().to_owned());
    let document = read(text, format, &references).map_err(invalid)?;
    document.check_host(app.management.guarded).await.map_err(invalid)?;
    let how = Apply { dry_run, prune, base_version };
    let plan = declared::apply(&app.store, &app.sealer, &document, how, unix_ms()).await.map_err(refused)?;
    let updated = plan.updated.into_iter().map(|(path, what)| Updated { path, what }).collect();
    let (created, keys, deleted, unchanged) = (plan.created, plan.issued, plan.deleted, plan.unchanged);
    let (changes, base_version) = (plan.fields, plan.base_version);
    Ok(Json(Applied { dry_run, created, keys, updated, deleted, unchanged, changes, base_version }))
}

/// Takes `true` or `false`; an empty value is neither.
fn switch(query: &mut Query, name: &str) -> bool {
    match query.given(name).as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            query.mistake(format!("{name} must be true or false"));
            false
        }
    }
}

/// Returns the format of the query, else of the header, else TOML.
fn format_of(query: &mut Query, headers: &HeaderMap, name: header::HeaderName) -> Format {
    if let Some(word) = query.text("format") {
        return Format::of_word(&word).unwrap_or_else(|| {
            query.mistake("format must be toml, yaml or json");
            Format::Toml
        });
    }
    let header = headers.get(name).and_then(|value| value.to_str().ok());
    header.and_then(Format::of_media_type).unwrap_or(Format::Toml)
}

/// Reports mistakes in a document, each of which begins with its path.
fn invalid(mistakes: Vec<String>) -> Error {
    Error::Validation(mistakes.into_iter().map(FieldMistake::of_path).collect())
}

fn refused(error: declared::Error) -> Error {
    match error {
        declared::Error::Mistakes(mistakes) => invalid(mistakes),
        declared::Error::Busy | declared::Error::Moved { .. } => {
            Error::Conflict { code: "configuration_changed", message: error.to_string() }
        }
        declared::Error::NoRandom(error) => Error::NoRandom(error.to_string()),
        declared::Error::Store(error) => error.into(),
    }
}
