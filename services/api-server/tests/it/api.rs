//! Tests of `/api`.

mod activity;
mod audit;
mod config;
mod cursors;
mod health;
mod keys;
mod log;
mod logs;
mod metrics;
mod models;
mod playground;
mod prices;
mod provider_config;
mod provider_models;
mod providers;
mod proxy;
mod qwen_credentials;
mod refusals;
mod requests;
mod responses;
mod routes;
mod sessions;
mod settings;
mod storage;
mod versions;
mod writes;
