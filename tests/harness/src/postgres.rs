//! A PostgreSQL of its own for a test run.
