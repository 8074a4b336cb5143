//! The Lua that makes several commands one: what must not be interrupted, and what must not cost more than one round trip.

use std::sync::LazyLock;

use redis::{Cmd, Pipeline};

/// A script Redis knows by its digest. Links load all of them when they are made.
pub(in crate::redis) struct Script {
    code: String,
    digest: String,
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])* pub(in crate::redis) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!($file)));)*

        /// The commands that make all scripts known to a Redis.
        pub(in crate::redis) fn load_all(pipeline: &mut Pipeline) {
            $(pipeline.cmd("SCRIPT").arg("LOAD").arg(&$name.code).ignore();)*
        }
    };
}

scripts! {
    /// Creates a session within its caps.
    CREATE = "create.lua";
    /// Replaces a session if its revision is still the expected one.
    UPDATE = "update.lua";
    /// Ends a session and all that belongs to it.
    DELETE = "delete.lua";
    /// Notes that sessions were used.
    TOUCH = "touch.lua";
    /// Counts an index.
    COUNT = "count.lua";
    /// Lists a page of an index.
    PAGE = "page.lua";
    /// Appends to a stream.
    APPEND = "append.lua";
    /// Ends a stream.
    END = "end.lua";
    /// Reads a stream.
    READ = "read.lua";
}

impl Script {
    fn new(body: &str) -> Self {
        let code = [include_str!("prelude.lua"), body].concat();
        let digest = redis::Script::new(&code).get_hash().to_owned();
        Self { code, digest }
    }

    /// A call of it, to which arguments are added.
    pub(in crate::redis) fn call<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Cmd {
        let keys: Vec<_> = keys.into_iter().collect();
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.digest).arg(keys.len()).arg(keys);
        call
    }
}
