//! `/api`.

mod health;
mod log;
mod models;
mod provider_config;
mod provider_models;
mod providers;
mod proxy;
mod refusals;
mod requests;
mod responses;
mod sessions;
mod settings;
