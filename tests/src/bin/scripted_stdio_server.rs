//! An MCP server over stdin and stdout that does what a test tells it to. Small, so that a thousand fit on one machine.
//!
//! | tool | does |
//! |---|---|
//! | `echo` | answers with `message` |
//! | `stream` | sends `events` progress notifications, then answers |
//! | `chatter` | answers, then says `events` log messages that belong to no call |
//! | `pid` | answers with its process id |
//! | `child` | starts a process of its own that outlives it, and answers with that one's id |
//! | `noise` | writes a line that is no JSON, then answers |
//! | `mutter` | says `message` on stderr, then answers |
//! | `silence` | never answers |
//! | `die` | says `last words` on stderr and ends with exit code 3 |
//!
//! Command line arguments mean nothing to it: tests use them to find its processes.

use std::io::{self, BufRead, Write};
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Value, json};

/// Longer than any test.
const CHILD_LIVES_SECONDS: &str = "86400";

fn main() -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        let name = message["params"]["name"].as_str().unwrap_or_default();
        match message["method"].as_str().unwrap_or_default() {
            "tools/call" if name == "die" => {
                writeln!(io::stderr(), "last words")?;
                return Ok(ExitCode::from(3));
            }
            "tools/call" if name == "chatter" => {
                answer(&message, &json!({ "content": [] }), &mut out)?;
                chatter(message["params"]["arguments"]["events"].as_u64().unwrap_or_default(), &mut out)?;
            }
            "tools/call" => call(name, &message, &mut out)?,
            "initialize" => answer(&message, &initialize(&message), &mut out)?,
            "tools/list" => answer(
                &message,
                &json!({ "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] }),
                &mut out,
            )?,
            _ if message.get("id").is_some() => answer(&message, &json!({}), &mut out)?,
            _ => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn initialize(message: &Value) -> Value {
    json!({
        "protocolVersion": message["params"]["protocolVersion"],
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "scripted-stdio", "version": "1" },
    })
}

fn call(name: &str, message: &Value, out: &mut impl Write) -> io::Result<()> {
    let arguments = &message["params"]["arguments"];
    let text = match name {
        "echo" => arguments["message"].as_str().unwrap_or_default().to_owned(),
        "pid" => std::process::id().to_string(),
        "child" => start_child()?.to_string(),
        "noise" => {
            writeln!(out, "warning: this line is for a person")?;
            "noisy".to_owned()
        }
        "stream" => {
            progress(message, arguments["events"].as_u64().unwrap_or_default(), out)?;
            "done".to_owned()
        }
        "mutter" => {
            writeln!(io::stderr(), "{}", arguments["message"].as_str().unwrap_or_default())?;
            "said".to_owned()
        }
        "silence" => return Ok(()),
        other => format!("there is no tool {other}"),
    };
    answer(message, &json!({ "content": [{ "type": "text", "text": text }] }), out)
}

fn start_child() -> io::Result<u32> {
    let mut sleep = Command::new("sleep");
    sleep.arg(CHILD_LIVES_SECONDS).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(sleep.spawn()?.id())
}

fn progress(message: &Value, events: u64, out: &mut impl Write) -> io::Result<()> {
    let token = &message["params"]["_meta"]["progressToken"];
    for step in 1..=events {
        let params = json!({ "progressToken": token, "progress": step });
        writeln!(out, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params }))?;
    }
    out.flush()
}

fn chatter(events: u64, out: &mut impl Write) -> io::Result<()> {
    for step in 1..=events {
        let params = json!({ "level": "info", "data": step });
        writeln!(out, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params }))?;
    }
    out.flush()
}

fn answer(message: &Value, result: &Value, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))?;
    out.flush()
}
