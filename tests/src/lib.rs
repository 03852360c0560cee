//! Empty library; the system tests are in `system/`.
