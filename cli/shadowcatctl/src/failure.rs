//! What went wrong, for a person, with the exit code for a script.

use shadowcat_proto::fleet::v1::ConfigStatus;
use tonic::{Code, Status};

use crate::Exit;
use crate::output::clean;

/// Why a command failed: one sentence with the cure, and what is to be read line by line before it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    exit: Exit,
    report: String,
    text: String,
}

impl Failure {
    /// A failure that ends the program with `exit`.
    #[must_use]
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, report: String::new(), text: text.into() }
    }

    /// A failure without an exit code of its own.
    #[must_use]
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Exit::Failed, text)
    }

    /// The command line, the environment or the contexts do not say what to do.
    #[must_use]
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// Whoever read the output has gone, as `head` does: there is nothing left to do, and nobody to tell.
    #[must_use]
    pub fn nobody_reads() -> Self {
        Self::new(Exit::Done, String::new())
    }

    /// With lines to be printed as they are, before the sentence: mistakes by file, rejections by node.
    #[must_use]
    pub fn with_report(self, report: impl Into<String>) -> Self {
        Self { report: report.into(), ..self }
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Everything for standard error; empty if there is nothing to say.
    #[must_use]
    pub fn message(&self) -> String {
        let mut message = self.report.clone();
        if !message.is_empty() && !message.ends_with('\n') {
            message.push('\n');
        }
        if !self.text.is_empty() {
            message.push_str("shadowcatctl: ");
            message.push_str(&self.text);
            message.push('\n');
        }
        message
    }

    /// What a refused call means. `what` is the call as in `list the nodes`, `server` the address that was asked.
    #[must_use]
    pub fn of_call(what: &str, server: &str, status: &Status) -> Self {
        let said = said(status);
        match status.code() {
            // The server's own words are the same cure once more.
            Code::Unauthenticated => Self::new(
                Exit::Denied,
                format!(
                    "cannot {what}: {server} does not take the token, which is wrong or has expired; give another with --token, \
                     SHADOWCAT_TOKEN or `shadowcatctl context set`"
                ),
            ),
            Code::PermissionDenied => Self::new(
                Exit::Denied,
                format!("cannot {what}: {server} refuses: {said}; use a token whose role may do this"),
            ),
            Code::Aborted => Self::new(Exit::Conflict, format!("cannot {what}: {server} refuses: {said}")),
            Code::Unavailable => Self::new(
                Exit::Unreachable,
                format!("cannot {what}: {server}: {said}; try again, and see `shadowcatctl status`"),
            ),
            Code::DeadlineExceeded | Code::Cancelled => Self::new(
                Exit::Unreachable,
                format!(
                    "cannot {what}: {server} did not answer in time: {said}; try again, it may have been done all the same"
                ),
            ),
            Code::InvalidArgument | Code::OutOfRange => {
                Self::usage(format!("cannot {what}: {server} does not take the request: {said}"))
            }
            Code::Unimplemented => Self::failed(format!(
                "cannot {what}: {server} does not know this call; it is no control plane, or one of another version"
            )),
            _ => Self::failed(format!("cannot {what}: {server}: {said}")),
        }
    }
}

/// What the server wrote, or failing that what its code means.
fn said(status: &Status) -> String {
    if status.message().is_empty() {
        return status.code().description().trim_end_matches('.').to_lowercase();
    }
    clean(status.message()).trim_end_matches('.').to_owned()
}

/// The mistakes that a server found in a configuration, if that is why it refused.
#[must_use]
pub(crate) fn mistakes(status: &Status) -> Option<ConfigStatus> {
    if status.code() != Code::InvalidArgument {
        return None;
    }
    let found: ConfigStatus = prost::Message::decode(status.details()).ok()?;
    (!found.errors.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_exit_code_and_names_server_and_call() {
        for (code, exit) in [
            (Code::Unauthenticated, Exit::Denied),
            (Code::PermissionDenied, Exit::Denied),
            (Code::Aborted, Exit::Conflict),
            (Code::FailedPrecondition, Exit::Failed),
            (Code::Unavailable, Exit::Unreachable),
            (Code::DeadlineExceeded, Exit::Unreachable),
            (Code::InvalidArgument, Exit::Usage),
            (Code::NotFound, Exit::Failed),
            (Code::Internal, Exit::Failed),
        ] {
            let failure = Failure::of_call("list the nodes", "http://here", &Status::new(code, "so it is."));
            assert_eq!(failure.exit(), exit, "{code:?}");
            let text = failure.to_string();
            assert!(text.starts_with("cannot list the nodes: ") && text.contains("http://here"), "{text}");
            assert!(text.contains("so it is") || code == Code::Unauthenticated, "{text}");
            assert!(!text.ends_with('.'), "{text}");
        }
    }

    #[test]
    fn a_report_stands_before_the_sentence_and_bare() {
        let failure = Failure::new(Exit::Invalid, "1 mistake").with_report("fleet.yaml:1:1: empty");
        assert_eq!(failure.message(), "fleet.yaml:1:1: empty\nshadowcatctl: 1 mistake\n");
        assert_eq!(Failure::nobody_reads().message(), "");
    }

    #[test]
    fn control_characters_of_a_server_do_not_reach_the_terminal() {
        let failure = Failure::of_call("x", "http://here", &Status::internal("\u{1b}[2Jgone"));
        assert!(!failure.to_string().contains('\u{1b}'));
    }
}
