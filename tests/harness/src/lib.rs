//! Starts the three real binaries, fakes and a PostgreSQL for tests.

pub mod postgres;
