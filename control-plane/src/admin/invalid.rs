//! How the mistakes of a configuration are told.

use bytes::Bytes;
use prost::Message as _;
use shadowcat_config::Diagnostics;
use shadowcat_proto::fleet::v1::{ConfigError, ConfigStatus, config_status};
use tonic::{Code, Status};

/// Every mistake: as text for whoever reads the status, and as a `ConfigStatus` in its details for programs.
pub(super) fn invalid(diagnostics: &Diagnostics) -> Status {
    let errors = diagnostics.entries().iter().map(|entry| ConfigError {
        path: entry.path.to_string(),
        message: entry.message.clone(),
        hint: entry.hint.clone().unwrap_or_default(),
    });
    let status = ConfigStatus {
        state: config_status::State::Rejected.into(),
        errors: errors.collect(),
        ..ConfigStatus::default()
    };
    // Headers are bounded, by HTTP/2 and on the way: the first mistakes stand for the rest.
    let (details, message) = bounded(status, diagnostics);
    Status::with_details(Code::InvalidArgument, message, details)
}

/// What a client takes of headers is 16 KiB by default (h2), of which base64 eats a quarter.
const DETAILS_BYTES_MAX: usize = 8 * 1024;

/// Of the readable message; percent-encoding may triple it.
const TEXT_BYTES_MAX: usize = 1024;

fn bounded(mut status: ConfigStatus, diagnostics: &Diagnostics) -> (Bytes, String) {
    let all = status.errors.len();
    while status.encoded_len() > DETAILS_BYTES_MAX {
        status.errors.truncate(status.errors.len() - 1);
    }
    let cut = all - status.errors.len();
    if cut > 0 {
        let message = format!("and {cut} more mistakes: mend these first");
        status.errors.push(ConfigError { message, ..ConfigError::default() });
    }
    let mut text = format!("the configuration is refused\n{diagnostics}");
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    (status.encode_to_vec().into(), text)
}
