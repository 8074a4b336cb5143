//! A call to a stdio server through the gateway, beside the same call over a bare pipe.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio as Pipe};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Binaries, gateway};
use crate::exchange::{Call, FIRST_ID, write_answer, write_call};
use crate::load::{self, Pace, Plan};

/// Medians, in microseconds.
#[derive(Serialize)]
pub(super) struct Stdio {
    /// Of a call over the bare pipe.
    pub(super) pipe_us: f64,
    /// Of a call through the gateway, over HTTP on the client's side.
    pub(super) gateway_us: f64,
    /// Calls through the gateway that went wrong.
    pub(super) errors: u64,
}

impl Stdio {
    /// What the gateway adds, in milliseconds; nothing to go by if a call went wrong.
    pub(super) fn added_ms(&self) -> Option<f64> {
        (self.errors == 0).then_some((self.gateway_us - self.pipe_us) / 1_000.0)
    }
}

/// Measures both, one call at a time.
pub(super) fn measure(binaries: &Binaries, measured: Duration, warm_up: Duration) -> anyhow::Result<Stdio> {
    let pipe_us = over_pipe(binaries, measured).context("stdio over a bare pipe")?;
    let gateway = gateway::start_before_stdio(binaries).context("shadowcat before a stdio server")?;
    let plan =
        Plan { target: gateway.address, connections: 1, call: Call::Json, pace: Pace::Closed, warm_up, measured };
    let (outcome, _) = load::run(&plan, || Ok(()))?;
    Ok(Stdio { pipe_us, gateway_us: outcome.latency.p50_us, errors: outcome.errors })
}

fn over_pipe(binaries: &Binaries, measured: Duration) -> anyhow::Result<f64> {
    let mut server =
        Command::new(&binaries.benches).arg("stdio-upstream").stdin(Pipe::piped()).stdout(Pipe::piped()).spawn()?;
    let (mut stdin, stdout) = server.stdin.take().zip(server.stdout.take()).context("a child without pipes")?;
    let mut stdout = BufReader::new(stdout);
    let mut nanoseconds = Histogram::<u64>::new(3)?;
    let (mut call, mut answer, mut expected) = (String::new(), String::new(), String::new());
    let began = Instant::now();
    for id in FIRST_ID.. {
        if began.elapsed() > measured {
            break;
        }
        for text in [&mut call, &mut answer, &mut expected] {
            text.clear();
        }
        write_call(&mut call, Call::Json, id);
        call.push('\n');
        write_answer(&mut expected, id);

        let start = Instant::now();
        stdin.write_all(call.as_bytes())?;
        stdout.read_line(&mut answer)?;
        nanoseconds.record(u64::try_from(start.elapsed().as_nanos())?)?;
        ensure!(answer.trim_end() == expected, "not the answer that was due: {answer}");
    }
    // The end of its input is the end of the server.
    drop(stdin);
    server.wait()?;
    Ok(nanoseconds.value_at_quantile(0.5) as f64 / 1_000.0)
}
