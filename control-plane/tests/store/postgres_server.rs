//! A private Postgres, from the system's package.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// It answers within this once it was started, on a machine busy with other tests.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// Runs a Postgres for as long as its standard input is open, and so no longer than the tests, however these end. A line on
/// it is an order; each is answered by a line when it is done, the first by the directory of the socket.
const KEEPER: &str = r#"
set -eu
directory=$(mktemp -d /tmp/shadowcat-postgres.XXXXXX)
trap 'rm -rf "$directory"' EXIT
"$0/initdb" --pgdata="$directory/data" --auth=trust --username=shadowcat --encoding=UTF8 --no-locale --no-sync >/dev/null
start() {
  "$0/postgres" -D "$directory/data" -k "$directory" -c listen_addresses= -c max_connections=300 \
    -c fsync=off -c full_page_writes=off -c synchronous_commit=off >>"$directory/log" 2>&1 &
  server=$!
}
everybody() { kill "$1" "$server" $(cat "/proc/$server/task/$server/children"); }
start
echo "$directory"
while read -r order; do
  case $order in
    start) start ;;
    stop) kill -INT "$server"; wait "$server" || true ;;
    freeze) everybody -STOP ;;
    thaw) everybody -CONT ;;
  esac
  echo "$order"
done
kill -QUIT "$server" 2>/dev/null || true
wait "$server" || true
"#;

/// A Postgres that keeps nothing for long and dies with its owner.
pub(crate) struct PostgresServer {
    directory: PathBuf,
    /// What it is told, and what it answers; gone once it was told to end.
    line: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    keeper: Child,
}

impl PostgresServer {
    /// The one that all tests share who do it no harm.
    pub(crate) async fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        let server = SHARED.get_or_init(Self::spawn);
        server.answers().await;
        server
    }

    /// One of its own.
    pub(crate) async fn start() -> Self {
        let server = Self::spawn();
        server.answers().await;
        server
    }

    fn spawn() -> Self {
        let programs = programs();
        let programs = programs.to_str().unwrap();
        // Postgres refuses to run as root.
        let mut command = if rustix::process::getuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh", "-c", KEEPER, programs]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", KEEPER, programs]);
            command
        };
        let mut keeper = command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut answers = BufReader::new(keeper.stdout.take().unwrap());
        let mut directory = String::new();
        answers.read_line(&mut directory).unwrap();
        assert!(!directory.is_empty(), "Postgres did not start: its reason is above");
        let line = Mutex::new(keeper.stdin.take().map(|orders| (orders, answers)));
        Self { directory: directory.trim().into(), line, keeper }
    }

    /// Ends it, as an administrator does who is in a hurry.
    pub(crate) fn stop(&self) {
        self.order("stop");
    }

    pub(crate) async fn start_again(&self) {
        self.order("start");
        self.answers().await;
    }

    /// Takes connections and bytes, and answers nothing.
    pub(crate) fn freeze(&self) {
        self.order("freeze");
    }

    pub(crate) fn thaw(&self) {
        self.order("thaw");
    }

    fn order(&self, order: &str) {
        let mut line = self.line.lock().unwrap();
        let (orders, answers) = line.as_mut().unwrap();
        writeln!(orders, "{order}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), order);
    }

    async fn answers(&self) {
        let answers = async {
            while self.connect("postgres").await.is_err() {
                tokio::time::sleep(TRY_EVERY).await;
            }
        };
        tokio::time::timeout(ANSWERS_WITHIN, answers).await.expect("Postgres answers");
    }

    async fn connect(&self, database: &str) -> sqlx::Result<PgConnection> {
        PgConnection::connect(&self.url(database)).await
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://shadowcat@localhost/{database}?host={}", self.directory.display())
    }

    /// The URL of a new database.
    pub(crate) async fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.connect("postgres").await.unwrap();
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        self.url(&name)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.line.lock().unwrap().take());
        let _ = self.keeper.wait();
    }
}

/// Where Debian keeps the programs of the newest Postgres there is.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let with_programs = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    with_programs
        .max()
        .expect("no Postgres under /usr/lib/postgresql: install what the tests need with tests/run setup")
}
