//! The one expression language: CEL over a message, its principal, its session and time.
