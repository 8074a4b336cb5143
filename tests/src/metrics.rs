//! The Prometheus text that a data plane shows.

use std::collections::{BTreeMap, BTreeSet};

/// Values of one scrape.
#[derive(Debug, Clone)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the text format; comments are skipped.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        Self(
            samples
                .filter_map(|line| {
                    line.rsplit_once(' ').and_then(|(series, value)| Some((series.to_owned(), value.parse().ok()?)))
                })
                .collect(),
        )
    }

    /// The sum over every series of `name` that carries all of `labels`, each as `key="value"`; `None` if there is no such series.
    pub fn sum(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let of_name =
            |series: &str| series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
        let mut found = self
            .0
            .iter()
            .filter(|(series, _)| of_name(series) && labels.iter().all(|label| series.contains(label)))
            .peekable();
        found.peek()?;
        Some(found.map(|(_, value)| value).sum())
    }

    /// The distinct values of `label` among the series of `name`.
    pub fn values(&self, name: &str, label: &str) -> BTreeSet<String> {
        let (start, label) = (format!("{name}{{"), format!("{label}=\""));
        let of_name = self.0.keys().filter_map(|series| series.strip_prefix(&start));
        let value = |labels: &str| Some(labels.split_once(&label)?.1.split_once('"')?.0.to_owned());
        of_name.filter_map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_summed_and_names_that_only_begin_alike_are_not() {
        let metrics = Metrics::parse("# HELP a b\na{x=\"1\",y=\"1\"} 2\na{x=\"1\"} 3\na_total 5\na{x=\"2\"} 7\n");
        assert_eq!(metrics.sum("a", &[]), Some(12.0));
        assert_eq!(metrics.sum("a", &["x=\"1\""]), Some(5.0));
        assert_eq!(metrics.sum("b", &[]), None);
        assert_eq!(metrics.values("a", "x").into_iter().collect::<Vec<_>>(), ["1", "2"]);
    }
}
