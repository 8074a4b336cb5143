//! "Did you mean …?"

/// Longer text is no misspelt name, and the comparison is quadratic in its length.
const MAX_WRITTEN_BYTES: usize = 128;

/// The hint that names the candidate which a typing mistake or another spelling turned into `written`, if there is one.
pub(crate) fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if written.len() > MAX_WRITTEN_BYTES {
        return None;
    }
    let written = written.to_lowercase();
    // One mistake in three letters: more than that is another word, and a wrong hint is worse than none.
    let tolerated = (written.chars().count() / 3).max(1);
    let distance = |candidate: &str| strsim::damerau_levenshtein(&written, &candidate.to_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("did you mean {candidate:?}?"))
}
