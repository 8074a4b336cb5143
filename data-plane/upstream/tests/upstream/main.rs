//! Upstreams against real servers: processes for stdio, sockets for HTTP.

mod http;
mod lifecycle;
mod sessionless;
mod shared;
mod stdio;
mod support;
mod watch;
