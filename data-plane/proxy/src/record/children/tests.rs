use shadowcat_config::{Config, parse_local_in};

use super::*;

fn config(routes: &[&str], recordings: &str) -> Config {
    let route = |(number, more): (usize, &&str)| {
        format!("{{ name: r{number}, match: {{ path: /{number} }}, targets: [{{ upstream: u }}]{more} }}")
    };
    let routes: Vec<String> = routes.iter().enumerate().map(route).collect();
    let text = format!(
        "routes: [{}]\nupstreams: [{{ name: u, stdio: {{ command: [server] }} }}]\nrecordings: [{recordings}]",
        routes.join(", ")
    );
    parse_local_in(&text, "", &|_| None).expect("valid").config
}

fn terms(routes: &[&str], recordings: &str) -> Option<Terms> {
    let config = config(routes, recordings);
    let routes: Vec<&Route> = config.routes().iter().map(|route| &**route).collect();
    Terms::of(&routes, 7)
}

#[test]
fn children_are_recorded_on_the_strictest_terms_of_their_routes() {
    let all = ", recording: all";
    let some = ", recording: some";
    let recordings = "{ name: all }, { name: some, capture: HEADERS, sample_percent: 5, max_message: 2Ki }";
    assert!(terms(&["", ""], "").is_none());
    let one = terms(&[all, all], "{ name: all }").unwrap();
    assert_eq!((one.recordings.len(), one.capture, one.sample_percent, one.version), (1, Capture::Full, 100, 7));
    let both = terms(&[all, some], recordings).unwrap();
    assert_eq!((both.recordings.len(), both.capture, both.sample_percent), (2, Capture::Headers, 5));
    assert_eq!((both.max_message, both.recordings[0].name.as_str()), (2048, "all"));
}

#[test]
fn words_that_may_be_about_a_route_that_is_not_recorded_are_not_kept() {
    let terms = terms(&[", recording: all", ""], "{ name: all }").unwrap();
    assert_eq!((terms.capture, terms.sample_percent), (Capture::Metadata, 100));
}

#[test]
fn every_queue_is_bounded_and_the_words_of_children_have_a_room_of_their_own() {
    let room = Arc::new(Room::default());
    let places: Vec<Place> = (0..FRAMES_MAX + 3).filter_map(|_| room.take(1)).collect();
    assert_eq!((places.len(), room.take_dropped(), room.take_dropped()), (FRAMES_MAX, 3, 0));
    drop(places);
    let large = room.take(BYTES_MAX);
    assert!(large.is_some() && room.take(1).is_none(), "the bytes are bounded too");
    drop(large);
    assert!(room.take(1).is_some());
    assert_eq!((room.frames.load(Ordering::Relaxed), room.bytes.load(Ordering::Relaxed)), (0, 0));
}
