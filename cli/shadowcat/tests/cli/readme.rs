//! README.md is run as it is printed, so that it stays true.
//!
//! Of its fenced blocks, `sh serve` is what a person starts in one terminal and `sh run` what they then type in another; the block of
//! another kind that follows one of them is what that prints, where `…` stands for anything. A `sh serve` after a `sh run` is in the
//! place of what was started before, `sh serve beside` comes to it. `sh watch` is started in one more terminal, and what it has printed
//! by then is the next block `text watched`, after which it is ended. All run in one scratch directory, data and contexts included, and
//! share their variables. Only ports and the way to start the programs are replaced, so that tests run side by side.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::{SHADOWCAT, keep_in, soon};

const README: &str = include_str!("../../../../README.md");

/// The ports README names; each becomes a free one.
const PORTS: [&str; 8] = ["8080", "8081", "9090", "9091", "7070", "7080", "3001", "6379"];

/// How README starts each program, and the program.
const PROGRAMS: [(&str, &str); 4] = [
    ("cargo run --release -p shadowcat-proxy --bin shadowcat-data-plane --", CARRIES),
    ("cargo run --release -p shadowcat-control-plane --", DIRECTS),
    ("cargo run --release --", "shadowcat"),
    ("target/release/shadowcat", "shadowcat"),
];
const CARRIES: &str = "shadowcat-data-plane";
const DIRECTS: &str = "shadowcat-control-plane";

/// How README builds the program for operators, and where it finds it then.
const BUILD: &str = "cargo build --release -p shadowcatctl";
const BUILT: &str = "$PWD/target/release:";

/// Where README says that the test begins, and what it excepts.
const CLAIM: &str = "runs what follows as it is printed, the line with `npx` excepted";

/// Fewer than this, and the markers have changed rather than the tour.
const RUNS_MIN: usize = 10;

/// Between two looks at a port that will be bound.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[tokio::test]
async fn the_tour_of_the_readme_prints_what_the_readme_says() {
    let steps = steps(README);
    let runs = steps.iter().filter(|step| step.kind == Kind::Run).count();
    assert!(runs >= RUNS_MIN, "only {runs} blocks of README.md are marked `sh run`");
    let mut tour = Tour::new();
    for step in &steps {
        match step.kind {
            Kind::Serve => {
                tour.leave().await;
                tour.serve(step).await;
            }
            Kind::Beside => tour.serve(step).await,
            Kind::Run => tour.run(step).await,
            Kind::Watch => tour.watch(step).await,
            Kind::Watched => tour.watched(step).await,
        }
    }
    tour.stop().await;
}

#[test]
fn whatever_is_to_be_typed_is_run_and_whatever_is_shown_is_compared() {
    let (_, tour) = README.split_once(CLAIM).expect("README says what is run");
    let (mut not_run, mut shown) = (Vec::new(), 0);
    let mut blocks = tour.split("\n```");
    // Between two fences there is a block, then prose.
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        match block.split_once('\n').expect("a block of some lines") {
            ("sh", commands) => not_run.push(commands),
            ("sh serve" | "sh serve beside" | "sh run" | "sh watch", _) => {}
            _ => shown += 1,
        }
    }
    assert!(matches!(&not_run[..], [command] if command.contains("npx")), "not run: {not_run:?}");
    let compared = steps(tour).iter().filter(|step| step.prints.is_some()).count();
    assert_eq!(compared, shown, "a block that is shown must follow the block that prints it");
}

struct Step {
    line: usize,
    script: String,
    kind: Kind,
    prints: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Serve,
    Beside,
    Run,
    Watch,
    Watched,
}

/// The marked blocks of `markdown`, in order.
fn steps(markdown: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = markdown.lines().enumerate();
    let mut expects_output = false;
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            expects_output &= line.is_empty();
            continue;
        };
        let block: Vec<_> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let block = block.join("\n");
        let kind = match info {
            "sh serve" => Some(Kind::Serve),
            "sh serve beside" => Some(Kind::Beside),
            "sh run" => Some(Kind::Run),
            "sh watch" => Some(Kind::Watch),
            "text watched" => Some(Kind::Watched),
            _ => None,
        };
        match (kind, steps.last_mut()) {
            (Some(Kind::Watched), _) => {
                let (line, script, kind) = (number + 1, String::new(), Kind::Watched);
                steps.push(Step { line, script, kind, prints: Some(block) });
            }
            (Some(kind), _) => steps.push(Step { line: number + 1, script: block, kind, prints: None }),
            (None, Some(step)) if expects_output => step.prints = Some(block),
            (None, _) => {}
        }
        expects_output = kind.is_some_and(|kind| kind != Kind::Watched);
    }
    steps
}

/// A person with some terminals, in a directory of their own.
struct Tour {
    directory: TempDir,
    ports: Vec<(&'static str, String)>,
    /// What the last run of `sh serve` blocks started.
    servers: Vec<Child>,
    /// A `sh run` has followed them: the next `sh serve` replaces them.
    used: bool,
    /// What the last `sh watch` started, and where it prints.
    watching: Option<(Child, PathBuf)>,
}

impl Tour {
    fn new() -> Self {
        let (mut ports, mut held) = (Vec::new(), Vec::new());
        while let Some(port) = PORTS.get(ports.len()) {
            let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let free = socket.local_addr().expect("bound").port().to_string();
            // Such as 48080, which would be replaced in its turn.
            if !PORTS.iter().any(|named| free.contains(named)) {
                ports.push((*port, free));
            }
            held.push(socket);
        }
        Self {
            directory: TempDir::new().expect("a directory"),
            ports,
            servers: Vec::new(),
            used: false,
            watching: None,
        }
    }

    /// Starts what the block says, waits until its port is open, and compares what it prints.
    async fn serve(&mut self, step: &Step) {
        let mut command = self.shell(&format!("exec {}", step.script));
        let printed = self.directory.path().join(format!("printed-{}", step.line));
        // What a server logs belongs to the report of a test that failed.
        command.stdout(File::create(&printed).expect("a file")).stderr(Stdio::inherit());
        self.servers.push(command.kill_on_drop(true).spawn().expect("a shell"));
        let port = self.port_of(step);
        soon(&format!("README.md:{}: port {port}", step.line), async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
        .await;
        let Some(prints) = &step.prints else { return };
        let prints = self.localized(prints);
        soon(&format!("README.md:{}: what it prints, which is not\n{prints}\n", step.line), async {
            while !std::fs::read_to_string(&printed).is_ok_and(|printed| agrees(&prints, &printed)) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
        .await;
    }

    /// Runs the block and compares what it prints.
    async fn run(&mut self, step: &Step) {
        self.used = true;
        let script =
            format!("set -eua; [ ! -f .variables ] || . ./.variables\n{}\nexport -p > .variables", step.script);
        let mut command = self.shell(&script);
        let output =
            soon(&format!("README.md:{}", step.line), command.kill_on_drop(true).output()).await.expect("a shell");
        let Output { status, stdout, stderr } = output;
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "README.md:{}: {status}\n{stdout}\n{stderr}", step.line);
        if let Some(prints) = &step.prints {
            let prints = self.localized(prints);
            assert!(agrees(&prints, &stdout), "README.md:{} says\n{prints}\n\nbut it printed\n{stdout}", step.line);
        }
    }

    /// Starts what the block says, and waits for its first word: it watches then.
    async fn watch(&mut self, step: &Step) {
        let mut command = self.shell(&format!("exec {}", step.script));
        let [printed, said] =
            ["printed", "said"].map(|what| self.directory.path().join(format!("{what}-{}", step.line)));
        command.stdout(File::create(&printed).expect("a file")).stderr(File::create(&said).expect("a file"));
        let child = command.kill_on_drop(true).spawn().expect("a shell");
        soon(&format!("README.md:{}: the first word", step.line), async {
            while [&printed, &said].into_iter().all(|file| file.metadata().is_ok_and(|file| file.len() == 0)) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
        .await;
        self.watching = Some((child, printed));
    }

    /// Waits for what the block says, and ends what prints it as Ctrl-C would.
    async fn watched(&mut self, step: &Step) {
        let (mut child, printed) = self.watching.take().expect("a block `sh watch` before");
        let prints = self.localized(step.prints.as_deref().expect("a block of its own"));
        soon(&format!("README.md:{}: what it prints, which is not\n{prints}\n", step.line), async {
            while !std::fs::read_to_string(&printed).is_ok_and(|printed| agrees(&prints, &printed)) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
        .await;
        interrupt(&mut child).await;
    }

    /// Ends the servers if they have been used: what follows is about others.
    async fn leave(&mut self) {
        if std::mem::take(&mut self.used) {
            self.stop().await;
        }
    }

    /// Ends the servers as Ctrl-C would, the last one first.
    async fn stop(&mut self) {
        for mut server in std::mem::take(&mut self.servers).into_iter().rev() {
            interrupt(&mut server).await;
        }
    }

    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(self.localized(script)).current_dir(self.directory.path());
        command.stdin(Stdio::null());
        let bind = format!("127.0.0.1:{}", default_port(script));
        for (name, address) in [
            ("SHADOWCAT_BIND", bind.as_str()),
            ("SHADOWCAT_OPS_BIND", "127.0.0.1:9090"),
            ("SHADOWCAT_CONSOLE_BIND", "127.0.0.1:7080"),
        ] {
            command.env(name, self.localized(address));
        }
        keep_in(&mut command, self.directory.path());
        command
    }

    /// `text` with this machine's ports and programs.
    fn localized(&self, text: &str) -> String {
        let built = Path::new(SHADOWCAT).parent().expect("a directory").display();
        let text = text.replace(BUILD, "true").replace(BUILT, &format!("{built}:"));
        let text = PROGRAMS.iter().fold(text, |text, (printed, name)| {
            if text.contains(printed) { text.replace(printed, &program(name)) } else { text }
        });
        self.ports.iter().fold(text, |text, (port, free)| text.replace(port, free))
    }

    /// The port a `sh serve` block opens: the last it names, else the program's default.
    fn port_of(&self, step: &Step) -> u16 {
        let named = PORTS.iter().filter_map(|port| step.script.rfind(port).map(|at| (at, *port))).max();
        let port = named.map_or(default_port(&step.script), |(_, port)| port);
        self.localized(port).parse().expect("a port")
    }
}

/// Ends a program as Ctrl-C would.
async fn interrupt(program: &mut Child) {
    let id = program.id().expect("still running").to_string();
    Command::new("kill").args(["-INT", &id]).status().await.expect("kill runs");
    soon("the end of a program", program.wait()).await.expect("waited for");
}

/// The port a program opens unless told otherwise.
fn default_port(script: &str) -> &'static str {
    if script.contains(DIRECTS) { "7070" } else { "8080" }
}

/// A program of the workspace, which lies beside the one under test.
fn program(name: &str) -> String {
    let path = Path::new(SHADOWCAT).with_file_name(name);
    assert!(path.exists(), "{} is not built: run tests/run, or cargo build --workspace --bins", path.display());
    path.display().to_string()
}

/// Whether `printed` is `pattern`, where `…` stands for anything; space at the ends does not count.
fn agrees(pattern: &str, printed: &str) -> bool {
    fn fits(pattern: &str, text: &str) -> bool {
        let Some((before, after)) = pattern.split_once('…') else { return pattern == text };
        let Some(text) = text.strip_prefix(before) else { return false };
        text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(after, &text[at..]))
    }
    fits(pattern.trim(), printed.trim())
}

#[test]
fn an_ellipsis_stands_for_anything() {
    assert!(agrees("a…c", "abc c\n"));
    assert!(agrees("a…", "a\nb\n"));
    assert!(agrees("…b", "ab"));
    assert!(!agrees("a…c", "abcd"));
    assert!(!agrees("b", "ab"));
    assert!(agrees("ab", "ab"));
}
