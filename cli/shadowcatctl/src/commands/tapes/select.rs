//! What the command line says of frames, as a control plane reads it.

use std::time::SystemTime;

use shadowcat_proto::admin::v1::TapeSelection;

use crate::args::{Place, Span, What};

impl Place {
    /// `selection`, and only there.
    pub(super) fn narrow(&self, selection: TapeSelection) -> TapeSelection {
        TapeSelection {
            route: self.route.clone(),
            upstream: self.upstream.clone(),
            node: self.node.clone(),
            principal: self.principal.clone(),
            session: self.session.clone(),
            ..selection
        }
    }
}

impl Span {
    /// `selection`, and only then, counted from now.
    pub(super) fn narrow(self, selection: TapeSelection) -> TapeSelection {
        let now = SystemTime::now();
        let at = |when: Option<crate::args::When>| when.map(|when| when.from(now));
        TapeSelection { since: at(self.since), until: at(self.until), ..selection }
    }
}

impl What {
    /// `selection`, and only that.
    pub(super) fn narrow(&self, selection: TapeSelection) -> TapeSelection {
        let named = [("tools/call", &self.tool), ("prompts/get", &self.prompt), ("resources/read", &self.resource)];
        let named = named.into_iter().find_map(|(method, name)| Some((method.to_owned(), name.clone()?)));
        let (method, name) = named.unwrap_or_else(|| (self.method.clone(), String::new()));
        let latency = self.slower_than.unwrap_or_default();
        TapeSelection {
            method,
            name,
            text: self.text.clone(),
            outcomes: self.outcomes.clone(),
            trace: self.trace.clone(),
            latency_us: u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            size: self.larger_than.unwrap_or_default(),
            filter: self.filter.clone(),
            ..selection
        }
    }
}
