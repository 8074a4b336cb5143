//! `shadowcat tape list`: which tapes and spools there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::bail;
use shadowcat_control_plane::default_data_dir;
use shadowcatctl_cli::output::Printer;

use super::{note, page, printed};
use crate::args::TapeListArgs;
use crate::commands::Ended;
use crate::tapes::{Kind, Listing, Place, Row, judge};

/// Where tapes are kept, in the data directory.
const TAPES_DIR: &str = "tapes";

/// The spools that `up` and `reverse` keep in it.
const SPOOLS: [&str; 2] = ["node/spool", "spool"];

/// Prints what there is. A place that was named and cannot be looked into fails the command, after what could be.
pub(super) fn run(args: TapeListArgs) -> anyhow::Result<Ended> {
    let printer = Printer::new(args.output);
    let (places, unusable) = match args.dirs.as_slice() {
        [] => (usual(&args.data_dir.unwrap_or_else(default_data_dir)), Vec::new()),
        dirs => named(dirs),
    };
    let mut listing = Listing::default();
    for place in distinct(places) {
        match judge(&place, SystemTime::now()) {
            Ok(judgement) => listing.tapes.push(Row::from(&judgement)),
            // It went meanwhile, or its directory's mode changed.
            Err(why) => note(&why.to_string()),
        }
    }
    if unusable.is_empty() || !listing.tapes.is_empty() {
        printed(printer.show(&listing, &page(&printer)))?;
    }
    if unusable.is_empty() { Ok(Ended::Whole) } else { bail!("{}", unusable.join("\n")) }
}

/// Where a person has tapes who names no place.
fn usual(data_dir: &Path) -> Vec<Place> {
    let mut places = Place::within(&data_dir.join(TAPES_DIR)).unwrap_or_default();
    let spools = SPOOLS.into_iter().map(|spool| Place { path: data_dir.join(spool), kind: Kind::Spool });
    places.extend(spools.filter(|spool| spool.path.is_dir()));
    let here = Place::within(Path::new(".")).unwrap_or_default().into_iter();
    places.extend(here.map(|place| match place.path.strip_prefix(".") {
        Ok(path) if !path.as_os_str().is_empty() => Place { path: path.to_owned(), ..place },
        _ => place,
    }));
    places
}

fn named(dirs: &[PathBuf]) -> (Vec<Place>, Vec<String>) {
    let (mut places, mut unusable) = (Vec::new(), Vec::new());
    for dir in dirs {
        match Place::within(dir) {
            Ok(found) => places.extend(found),
            Err(why) => unusable.push(why.to_string()),
        }
    }
    (places, unusable)
}

/// Each place once, although several ways may lead there.
fn distinct(places: Vec<Place>) -> Vec<Place> {
    let mut seen = BTreeSet::new();
    let is_new = |place: &Place| seen.insert(fs::canonicalize(&place.path).unwrap_or_else(|_| place.path.clone()));
    let mut is_new = is_new;
    places.into_iter().filter(|place| is_new(place)).collect()
}
