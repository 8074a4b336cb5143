//! Lines of a stream, among which a private key spans several.

use super::redactor;

#[test]
fn a_private_key_over_several_lines_goes_and_the_lines_around_it_stay() {
    let redactor = redactor();
    let mut stream = redactor.stream();
    let (first, last) = ("a".repeat(64), "Q29kZQ==");
    let lines = [
        "starting",
        "-----BEGIN RSA PRIVATE KEY-----",
        "Proc-Type: 4,ENCRYPTED",
        "",
        &first,
        last,
        "-----END RSA PRIVATE KEY-----",
        "ready",
    ];
    let out: Vec<String> = lines.iter().map(|line| stream.line(line).into_owned()).collect();
    assert_eq!(out[0], "starting");
    assert_eq!(out[1], lines[1]);
    assert_eq!(out[4], redactor.tag("pem", &first));
    assert_eq!(out[5], redactor.tag("pem", last));
    assert_eq!(out[6..], lines[6..]);
}

#[test]
fn lines_with_a_prefix_and_blocks_on_one_line_are_read_too() {
    let redactor = redactor();
    let mut stream = redactor.stream();
    let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj";
    let whole = format!("key: -----BEGIN PRIVATE KEY-----\\n{key}\\n-----END PRIVATE KEY----- done");
    let out = stream.line(&whole).into_owned();
    assert!(!out.contains(key) && out.ends_with(" done"), "{out}");
    assert_eq!(stream.line("innocent"), "innocent");
    stream.line("12:00 -----BEGIN PRIVATE KEY-----");
    assert!(!stream.line(&format!("12:00 {key}")).contains(key));
    assert!(!stream.line(&format!("12:00 {key}-----END PRIVATE KEY----- token=hunter2")).contains("hunter2"));
    assert_eq!(stream.line(key), key);
}

#[test]
fn a_block_that_nothing_ends_is_given_up() {
    let redactor = redactor();
    let mut stream = redactor.stream();
    stream.line("expected -----BEGIN PRIVATE KEY----- in the file");
    for _ in 0..20 {
        assert_eq!(stream.line("an ordinary line of a log"), "an ordinary line of a log");
    }
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    assert_eq!(stream.line(digest), digest);
}

#[test]
fn every_line_is_searched_for_all_other_secrets() {
    let redactor = redactor();
    let mut stream = redactor.stream();
    assert!(!stream.line("PASSWORD=hunter2").contains("hunter2"));
    stream.line("-----BEGIN PRIVATE KEY-----");
    assert!(!stream.line("other thread: token=hunter2").contains("hunter2"));
}
