use super::*;

const ROUTES: &str = "routes:
  - { name: a, match: { path: /a }, targets: [{ upstream: one }] }
---
# Another document of the same file.
routes:
  - { name: b, match: { path: /b }, targets: [{ upstream: two }] }
upstreams:
  - { name: one, http: { endpoints: [{ url: 'http://${HOST:-h}/mcp' }] } }
---
";

const UPSTREAMS: &str = "upstreams: [{ name: two, stdio: { command: [x] } }]\n";

fn files(texts: &[&str]) -> Vec<(String, String)> {
    texts.iter().enumerate().map(|(index, text)| (format!("{index}.yaml"), (*text).to_owned())).collect()
}

fn parse(texts: &[&str]) -> Result<FleetSource, Diagnostics> {
    parse_fleet_in(&files(texts), &|_| None)
}

fn told(texts: &[&str]) -> Vec<String> {
    parse(texts).expect_err("something is wrong").to_string().lines().map(str::to_owned).collect()
}

#[test]
fn files_and_documents_make_one_configuration_in_their_order() {
    let source = parse(&[ROUTES, UPSTREAMS]).expect("valid");
    let names = |source: &FleetSource| {
        let config = source.config();
        let routes = config.routes.iter().map(|route| route.name.clone());
        routes.chain(config.upstreams.iter().map(|upstream| upstream.name.clone())).collect::<Vec<_>>()
    };
    assert_eq!(names(&source), ["a", "b", "one", "two"]);
    let turned = parse(&[UPSTREAMS, ROUTES]).expect("valid");
    assert_eq!(names(&turned), ["a", "b", "two", "one"]);
}

#[test]
fn every_path_of_the_whole_leads_back_to_its_file() {
    let source = parse(&[ROUTES, UPSTREAMS]).expect("valid");
    let at = |path: &str| source.locate(path).map(|(origin, place)| (origin.to_owned(), place.line, place.column));
    let found = |file: &str, line, column| Some((file.to_owned(), line, column));
    assert_eq!(at("routes[0].match.path"), found("0.yaml", 2, 31));
    assert_eq!(at("routes[1].match.path"), found("0.yaml", 6, 31));
    assert_eq!(at("upstreams[0].name"), found("0.yaml", 8, 13));
    assert_eq!(at("upstreams[1].name"), found("1.yaml", 1, 21));
    assert_eq!(at("upstreams[1].stdio.command[7]"), found("1.yaml", 1, 44));
    assert_eq!(at("upstreams"), found("0.yaml", 8, 3));
    assert_eq!(at(""), found("0.yaml", 1, 1));
    assert_eq!((at("upstreams[2]"), at("policies"), at("no path[")), (None, None, None));
}

#[test]
fn mistakes_of_all_files_are_told_in_their_order() {
    let misled = UPSTREAMS.replace("two", "three");
    assert_eq!(
        told(&["node: { bind: '127.0.0.1:1' }", &ROUTES.replace("/a ", "a "), &misled.replace("x]", "'${X}']")]),
        [
            "0.yaml:1:1: node: the settings of one machine are not part of a fleet's configuration (remove them: flags, SHADOWCAT_* variables or a local file of that machine say them)",
            r#"1.yaml:2:31: routes[0].match.path: "a" is not a path (a path starts with /)"#,
            r#"1.yaml:6:59: routes[1].targets[0].upstream: no upstream named "two""#,
            "2.yaml:1:47: upstreams[1].stdio.command[0]: the environment variable X is not set (set it, or write ${X:-default})",
        ]
    );
    assert_eq!(
        told(&[ROUTES, &UPSTREAMS.replace("two", "one")])[..2],
        [
            r#"0.yaml:6:59: routes[1].targets[0].upstream: no upstream named "two""#,
            r#"1.yaml:1:21: upstreams[1].name: the name "one" is taken (names are unique among their kind)"#,
        ]
    );
}

#[test]
fn what_does_not_fit_the_schema_is_told_of_every_document_and_nothing_else_is() {
    assert_eq!(
        told(&[&ROUTES.replace("match:", "mach:"), "upstreams: [{ name: [] }]\n---\na: [", ""]),
        [
            r#"0.yaml:2:16: routes[0].mach: unknown field (did you mean "match"?)"#,
            r#"0.yaml:6:16: routes[1].mach: unknown field (did you mean "match"?)"#,
            "1.yaml:1:21: upstreams[1].name: expected a single value, found a list",
            "1.yaml:3:4: not YAML: unclosed bracket '['",
            "2.yaml: the file is empty (a configuration has routes and upstreams)",
        ]
    );
}

#[test]
fn a_version_holds_no_reference_to_a_file() {
    let rules = "rule_sets: [{ name: r, file: rules.yaml }]";
    assert_eq!(
        told(&[ROUTES, UPSTREAMS, rules]),
        [
            "2.yaml:1:1: rule_sets: this version does not act on interception rules yet (remove it: what would be ignored is refused)",
            "2.yaml:1:30: rule_sets[0].file: a version holds no references to files: nodes have none of them (write the rules as source: TEXT)",
        ]
    );
}

#[test]
fn files_and_documents_are_bounded() {
    assert_eq!(told(&[]), ["there is no file to read"]);
    assert_eq!(told(&vec!["{}"; MAX_FILES + 1]), [format!("1001 files are too many: at most {MAX_FILES}")]);
    let half = " ".repeat(usize::try_from(MAX_FILE_BYTES / 2).expect("small") + 1);
    assert_eq!(told(&[&half, &half]), ["the files are together longer than 16777216 bytes"]);
    let documents = "{}\n---\n".repeat(crate::limits::MAX_DOCUMENTS);
    assert!(told(&[&documents])[0].ends_with("more than 10000 documents"), "{}", told(&[&documents])[0]);
}
