//! The fleet harness: starts the real binaries, as an operator would, in front of real or scripted MCP servers.
//!
//! ```no_run
//! # async fn example() {
//! use shadowcat_tests::{fleet, Upstream};
//!
//! let upstream = Upstream::start().await;
//! let fleet = fleet().data_planes(2).redis().upstream(&upstream).start().await;
//! let client = fleet.client(0).await;
//! client.call("echo", serde_json::json!({ "token": "a" })).await.expect("an answer");
//! # }
//! ```
//!
//! - Everything a fleet started dies with it, and its logs are printed if the test fails.
//! - Nothing here retries a call, and nothing sleeps for a length of time: a test waits for what it waits for ([`eventually`]).
//! - The client and the server of the harness share no code with the gateway: what both got wrong would pass.
//! - Whoever calls this is a test: what goes wrong in the harness itself panics with a sentence.

#![allow(clippy::disallowed_methods, reason = "a test's tasks end with its runtime; there is nothing to drain")]

mod admin;
mod client;
mod control_plane;
mod database;
mod fleet;
mod lab;
mod load;
mod managed;
mod member;
mod metrics;
mod plane;
mod ports;
mod postgres;
mod program;
mod redis;
mod s3;
mod upstream;
mod wait;

pub use admin::Admin;
pub use client::{Client, Event, Events, Failure, Reply, message, secured};
pub use control_plane::{ControlPlane, Said};
pub use database::Database;
pub use fleet::{Fleet, FleetBuilder, fleet, reverse};
pub use lab::Lab;
pub use load::{Call, Load};
pub use managed::{Managed, ManagedBuilder, managed, number, one_route};
pub use member::Follower;
pub use metrics::Metrics;
pub use plane::DataPlane;
pub use ports::free_port;
pub use postgres::Postgres;
pub use program::{Process, Program, Signal, binary, command};
pub use redis::Redis;
pub use s3::S3;
pub use upstream::{Gate, Seen, Upstream};
pub use wait::{eventually, within};
