//! Values that are written in place or kept elsewhere.

use std::path::PathBuf;

use super::not_yet;
use super::scope::Scope;
use crate::SecretRef;
use crate::source::substitute::{is_variable_name, uses_mask};

/// Either of the two ways to give a value.
pub(crate) enum Source<'r> {
    Value(&'r str),
    Secret(SecretRef),
}

/// Demands exactly one of `value` and `secret`.
pub(crate) fn source<'r>(value: Option<&'r str>, secret: Option<&str>, scope: &Scope<'_>) -> Option<Source<'r>> {
    match (value, secret) {
        (Some(value), None) => Some(Source::Value(value)),
        (None, Some(reference)) => secret_ref(reference, &scope.field("secret")).map(Source::Secret),
        (Some(_), Some(_)) => {
            scope.error("value and secret are both set", "keep one of the two");
            None
        }
        (None, None) => {
            scope.missing("value", "write value: TEXT, or secret: env:NAME");
            None
        }
    }
}

fn secret_ref(text: &str, scope: &Scope<'_>) -> Option<SecretRef> {
    // What is no reference may be the secret itself, so it is never repeated in a message.
    match text.split_once(':') {
        Some(("env", name)) if is_variable_name(name) => {
            return Some(SecretRef::Env(name.to_owned()));
        }
        Some(("file", path)) if !path.is_empty() && !path.contains('\0') && !uses_mask(path) => {
            return Some(SecretRef::File(PathBuf::from(path)));
        }
        Some(("vault", _)) => scope.error(not_yet::message("vault: secrets"), "write env:NAME or file:PATH"),
        Some(("k8s", _)) => {
            scope.error(not_yet::message("k8s: secrets"), "mount the secret and write file:PATH, or env:NAME");
        }
        _ => scope.error("not a reference to a secret", "write env:NAME or file:PATH"),
    }
    None
}
