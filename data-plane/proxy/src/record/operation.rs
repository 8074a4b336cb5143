//! Which operation a message belongs to, and by what those that follow can name it.

use shadowcat_mcp::{Envelope, Kind};
use shadowcat_tape::record;

use super::call::{CallContext, Told};
use super::facts::Ties;
use super::frame::{Framer, same, subject};
use super::links::{Name, Scope};

/// Which operation a frame belongs to, if not one of its own.
#[derive(Debug, Default)]
pub(super) struct Linked {
    pub(super) operation: Option<u64>,
    pub(super) link: Option<record::OpLink>,
}

impl Framer {
    /// The operation that a message of the client goes on with, if it does.
    pub(super) fn operation_of(&self, call: &CallContext, message: &Envelope) -> Linked {
        let (tape, route) = (Scope::Tape(call.tape(&self.instance)), Scope::Route(&call.route.name));
        match message.kind() {
            Kind::Response | Kind::ErrorResponse => {
                message.id().map(|id| self.find(tape, Name::AskedByServer(id.as_json()))).unwrap_or_default()
            }
            Kind::Notification => match (message.cancelled_request(), message.progress_token()) {
                (Some(id), _) => self.find(tape, Name::Asked(id.as_json())),
                (None, Some(token)) => self.find(tape, Name::Progress(token.as_json())),
                (None, None) => Linked::default(),
            },
            Kind::Request => {
                let ties = Ties::of(message);
                if let Some(state) = &ties.state {
                    return self.find(route, Name::State(state));
                }
                if let Some(task) = &ties.task {
                    return self.find(route, Name::Task(task));
                }
                match message.method() {
                    Some(method) if !ties.questions.is_empty() => {
                        let name = subject(message).unwrap_or_default();
                        self.find(tape, Name::Questions(method, name, &ties.questions))
                    }
                    _ => Linked::default(),
                }
            }
        }
    }

    /// The operation that a message in a stream belongs to: the exchange's, unless it names another.
    pub(super) fn operation_of_event(&self, call: &CallContext, told: &Told, message: &Envelope) -> Linked {
        let within = Linked { operation: told.operation, link: None };
        let Some(token) = message.progress_token().filter(|_| message.kind() == Kind::Notification) else {
            return within;
        };
        let of_the_call = call.asked().and_then(Envelope::progress_token);
        if same(of_the_call, Some(token)) {
            return within;
        }
        let tape = Scope::Tape(call.tape(&self.instance));
        let named = self.find(tape, Name::Progress(token.as_json()));
        if named.operation.is_some() || named.link.is_some() { named } else { within }
    }

    fn find(&self, scope: Scope<'_>, name: Name<'_>) -> Linked {
        match self.links.find(scope, name) {
            Some(Ok((operation, link))) => Linked { operation: Some(operation), link: Some(link) },
            Some(Err(_ambiguous)) => Linked { operation: None, link: Some(record::OpLink::None) },
            None => Linked::default(),
        }
    }

    /// A request of a session can be named by what comes in other exchanges: its cancellation, its progress.
    pub(super) fn remember_request(&mut self, call: &CallContext, message: &Envelope, seq: u64, told: &Told) {
        if call.session.is_none() || message.kind() != Kind::Request {
            return;
        }
        let (tape, operation) = (Scope::Tape(call.tape(&self.instance)), told.operation.unwrap_or(seq));
        for name in names(message) {
            self.links.remember(tape, name, operation);
        }
    }

    pub(super) fn forget_request(&mut self, call: &CallContext, message: &Envelope) {
        if call.session.is_none() || message.kind() != Kind::Request {
            return;
        }
        let tape = Scope::Tape(call.tape(&self.instance));
        for name in names(message) {
            self.links.forget(tape, name);
        }
    }

    /// An answer may leave something by which the operation goes on.
    pub(super) fn remember_answer(&mut self, call: &CallContext, operation: Option<u64>, answer: &Envelope) {
        let (ties, Some(operation)) = (Ties::of(answer), operation) else { return };
        let route = Scope::Route(&call.route.name);
        if let Some(task) = &ties.task {
            self.links.remember(route, Name::Task(task), operation);
        }
        if let Some(state) = &ties.state {
            self.links.remember(route, Name::State(state), operation);
        } else if let Some(request) = call.asked().filter(|_| !ties.questions.is_empty()) {
            let method = request.method().unwrap_or_default();
            let name = Name::Questions(method, subject(request).unwrap_or_default(), &ties.questions);
            self.links.remember(Scope::Tape(call.tape(&self.instance)), name, operation);
        }
    }
}

fn names(request: &Envelope) -> impl Iterator<Item = Name<'_>> {
    let id = request.id().map(|id| Name::Asked(id.as_json()));
    let token = request.progress_token().map(|token| Name::Progress(token.as_json()));
    id.into_iter().chain(token)
}
