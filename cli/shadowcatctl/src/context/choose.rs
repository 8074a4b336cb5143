//! Which control plane a command means: flags and variables first, then the current context.

use super::Contexts;
use crate::Failure;
use crate::connect::{DEFAULT_FLEET, Fingerprint, Server, Target};

/// What the command line and the environment say.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// `--server`.
    pub server: Option<Server>,
    /// `--token`.
    pub token: Option<String>,
    /// `--fleet`.
    pub fleet: Option<String>,
    /// `--ca`.
    pub ca: Option<Fingerprint>,
}

/// Fills from the current context what was not said. A context's token and fingerprint go with its server and with no other.
///
/// # Errors
/// Nothing says which server is meant, or with which token.
pub fn choose(said: Connection, contexts: &Contexts) -> Result<Target, Failure> {
    let current = contexts.current();
    let known = current.map(|context| context.server.parse::<Server>().map(|server| (server, context))).transpose();
    let known = match (known, &said.server) {
        (Ok(known), None) => known,
        (Ok(known), Some(meant)) => known.filter(|(server, _)| server == meant),
        (Err(why), None) => return Err(Failure::usage(format!("the current context: {why}"))),
        (Err(_), Some(_)) => None,
    };
    let (of_context, context) = known.unzip();
    let server = said.server.or(of_context).ok_or_else(|| no_server(contexts))?;
    let token = said.token.or_else(|| context.and_then(|context| context.token.clone())).ok_or_else(|| {
        Failure::usage(format!(
            "no token for {server}: give --token or SHADOWCAT_TOKEN, or `shadowcatctl context set` it"
        ))
    })?;
    let fleet = said.fleet.or_else(|| context.and_then(|context| context.fleet.clone()));
    Ok(Target {
        server,
        ca: said.ca.or_else(|| context.and_then(|context| context.ca)),
        token,
        fleet: fleet.unwrap_or_else(|| DEFAULT_FLEET.to_owned()),
    })
}

fn no_server(contexts: &Contexts) -> Failure {
    let names: Vec<&str> = contexts.contexts.iter().map(|context| context.name.as_str()).collect();
    Failure::usage(match (&contexts.current, names.is_empty()) {
        (Some(name), false) => {
            format!("the current context {name:?} does not exist; choose one of {}", names.join(", "))
        }
        (_, false) => {
            format!("no server: give --server, or `shadowcatctl context use` one of {}", names.join(", "))
        }
        (_, true) => {
            "no server: give --server and --token, or keep them with `shadowcatctl context set NAME`; `shadowcat up` \
                      makes a context of its own"
                .to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    fn contexts() -> Contexts {
        let context = Context {
            name: "here".to_owned(),
            server: "http://127.0.0.1:7070".to_owned(),
            token: Some("of-the-context".to_owned()),
            fleet: Some("edge".to_owned()),
            ca: None,
        };
        Contexts { current: Some("here".to_owned()), contexts: vec![context] }
    }

    #[test]
    fn the_current_context_fills_what_was_not_said() {
        let target = choose(Connection::default(), &contexts()).expect("a target");
        assert_eq!((target.token.as_str(), target.fleet.as_str()), ("of-the-context", "edge"));
        let said =
            Connection { fleet: Some("core".to_owned()), token: Some("mine".to_owned()), ..Connection::default() };
        let target = choose(said, &contexts()).expect("a target");
        assert_eq!((target.token.as_str(), target.fleet.as_str()), ("mine", "core"));
    }

    #[test]
    fn a_contexts_token_goes_to_no_other_server() {
        let server = Some("http://127.0.0.1:7071".parse().expect("a server"));
        let refused = choose(Connection { server, ..Connection::default() }, &contexts()).expect_err("no token");
        assert!(refused.to_string().contains("--token"), "{refused}");
        let server = Some("http://127.0.0.1:7070/".parse().expect("a server"));
        choose(Connection { server, ..Connection::default() }, &contexts()).expect("the context's own server");
    }

    #[test]
    fn without_a_server_the_contexts_are_named() {
        let none = choose(Connection::default(), &Contexts::default()).expect_err("nothing to ask");
        assert!(none.to_string().contains("shadowcat up"), "{none}");
        let unused = Contexts { current: None, ..contexts() };
        let unchosen = choose(Connection::default(), &unused).expect_err("nothing chosen");
        assert!(unchosen.to_string().contains("here"), "{unchosen}");
        let gone = Contexts { current: Some("gone".to_owned()), ..contexts() };
        let gone = choose(Connection::default(), &gone).expect_err("a context that is not there");
        assert!(gone.to_string().contains("\"gone\" does not exist"), "{gone}");
    }
}
