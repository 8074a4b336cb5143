//! Versions of the configuration.

use shadowcat_proto::admin::v1::{GetVersionResponse, HistoryResponse, Version};

use crate::output::{Cell, Page, Table, View, age, clean, each, moment};

/// Bytes of a digest that are shown: enough to tell versions apart by eye.
const SHOWN_DIGEST_BYTES: usize = 4;

/// The number of a version; 0 if there is none.
pub(crate) fn number(version: Option<&Version>) -> u64 {
    version.and_then(|version| version.r#ref.as_ref()).map_or(0, |config| config.number)
}

/// A version in half a sentence: `version 12 by admin, 5m ago: why`.
pub(super) fn sentence(version: &Version, page: &Page) -> String {
    let ago = age(version.created_at.as_ref(), page.now);
    let why = if version.message.is_empty() { String::new() } else { format!(": {}", clean(&version.message)) };
    format!("version {} by {}, {ago} ago{why}", number(Some(version)), clean(&version.author))
}

fn digest(version: &Version) -> String {
    let bytes = version.r#ref.as_ref().map(|config| config.digest.as_ref()).unwrap_or_default();
    bytes.iter().take(SHOWN_DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

impl View for HistoryResponse {
    fn text(&self, page: &Page) -> String {
        let headings = ["VERSION", "AGE", "AUTHOR", "ROUTES", "UPSTREAMS", "DIGEST", "MESSAGE"];
        let mut table = Table::new(&headings, "no version yet: make one with `shadowcatctl apply -f FILE`");
        for version in &self.versions {
            table.row([
                number(Some(version)).into(),
                age(version.created_at.as_ref(), page.now).into(),
                Cell::from(&version.author),
                version.routes.into(),
                version.upstreams.into(),
                digest(version).into(),
                Cell::from(&version.message),
            ]);
        }
        let more = match self.next_before {
            0 => String::new(),
            before => format!("older ones: --before {before}\n"),
        };
        table.render(page.paint) + &more
    }

    fn lines(&self) -> Result<Vec<String>, serde_json::Error> {
        each(&self.versions)
    }
}

impl View for GetVersionResponse {
    /// A file that `apply` takes as it is. It may be kept, so its time is told in full.
    fn text(&self, page: &Page) -> String {
        let config = self.config.clone().unwrap_or_default();
        let head = self.version.as_ref().map_or_else(String::new, |version| {
            let (fleet, author, message) = (clean(&page.fleet), clean(&version.author), clean(&version.message));
            let why = if message.is_empty() { String::new() } else { format!("# {message}\n") };
            let at = moment(version.created_at.as_ref());
            format!("# version {} of {fleet}, by {author} at {at}\n{why}", number(Some(version)))
        });
        head + &shadowcat_config::print_yaml(&config)
    }
}
