//! Whose a session is.

use std::fmt;
use std::sync::Arc;

/// On whose behalf a call is made. Sessions are bound to it. The default is [`Principal::anonymous`].
///
/// Comparing and cloning are cheap: both happen on every call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Principal(Option<Arc<str>>);

impl Principal {
    /// A caller who was identified. The empty name is nobody's and means [`anonymous`](Self::anonymous).
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self((!name.is_empty()).then(|| name.into()))
    }

    /// Every caller who was not. No name equals it.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self(None)
    }

    /// Whether this is nobody in particular.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }

    /// The name; empty for the anonymous one.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_deref().unwrap_or("anonymous"))
    }
}

#[cfg(test)]
mod tests {
    use super::Principal;

    #[test]
    fn nobody_is_anonymous_by_name() {
        assert_ne!(Principal::named("anonymous"), Principal::anonymous());
        assert_eq!(Principal::named(""), Principal::anonymous());
    }
}
