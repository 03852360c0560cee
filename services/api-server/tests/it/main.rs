//! The tests of api-server, in one binary.

mod supervisor;
