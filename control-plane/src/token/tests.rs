use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::store::SqliteStore;

fn authority() -> Fingerprint {
    Fingerprint::of(b"the certificate of an authority")
}

#[test]
fn a_join_token_reads_back_as_it_was_handed_out() {
    let made = JoinToken::generate(authority()).unwrap();
    let text = made.reveal();
    assert_eq!((text.len(), text.find('.')), (108, Some(43)));
    let read: JoinToken = text.parse().unwrap();
    assert!(read == made && read.hash() == made.hash() && read.authority() == authority());
    assert!(JoinToken::generate(authority()).unwrap() != made);
}

#[test]
fn a_token_is_no_flag_to_a_command_line() {
    for _ in 0..1_000 {
        assert!(!JoinToken::generate(authority()).unwrap().reveal().starts_with('-'));
    }
}

#[test]
fn an_admin_token_reads_back_as_it_was_handed_out() {
    let made = AdminToken::generate().unwrap();
    let text = made.reveal();
    assert!(text.len() == 53 && text.starts_with("shadowcat_"));
    let read: AdminToken = text.parse().unwrap();
    assert!(read == made && read.hash() == made.hash());
}

#[test]
fn what_is_no_token_is_refused_and_not_repeated() {
    let (join, admin) = (JoinToken::generate(authority()).unwrap().reveal(), AdminToken::generate().unwrap().reveal());
    for text in ["", ".", "a.b", &admin, &join[1..], &join[..107], &format!("{join}0"), &join.replace('.', ":")] {
        let refusal = text.parse::<JoinToken>().unwrap_err().to_string();
        assert!(text.len() < 4 || !refusal.contains(text), "{refusal}");
    }
    for text in ["", "shadowcat_", &join, &admin[1..], &admin[..52], &format!("{admin}="), &format!("{admin} ")] {
        assert_eq!(text.parse::<AdminToken>().unwrap_err(), InvalidToken::Admin);
    }
    // The last character of 43 has two bits that 256 bits leave over: one token has one text.
    let mut texts = admin.clone();
    texts.pop();
    let readable = ('a'..='z')
        .chain('A'..='Z')
        .chain('0'..='9')
        .filter(|last| format!("{texts}{last}").parse::<AdminToken>().is_ok());
    assert!(readable.count() <= 16);
}

#[test]
fn a_token_does_not_print_its_secret() {
    let (join, admin) = (JoinToken::generate(authority()).unwrap(), AdminToken::generate().unwrap());
    assert_eq!(format!("{admin:?}"), "AdminToken { .. }");
    assert_eq!(format!("{join:?}"), format!("JoinToken {{ authority: {:?}, .. }}", authority()));
}

struct Place {
    directory: TempDir,
    store: SqliteStore,
}

impl Place {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(directory.path().join("control-plane.db")).await.unwrap();
        Self { directory, store }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join(ADMIN_TOKEN_FILE)
    }

    async fn start(&self) -> Result<FirstToken, FirstTokenError> {
        first_admin_token(&self.store, self.directory.path()).await
    }

    /// The role of the token in the file.
    async fn role(&self) -> Option<Role> {
        let token: AdminToken = fs::read_to_string(self.file()).unwrap().trim().parse().unwrap();
        self.store.admin_token(&token.hash()).await.unwrap().map(|token| token.role)
    }
}

#[tokio::test]
async fn the_first_start_writes_a_token_that_only_its_owner_reads() {
    let place = Place::new().await;
    assert_eq!(place.start().await.unwrap(), FirstToken::Made(place.file()));
    assert_eq!(fs::metadata(place.file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(place.role().await, Some(Role::Admin));
    let written = fs::read_to_string(place.file()).unwrap();
    assert_eq!(place.start().await.unwrap(), FirstToken::Kept(place.file()));
    assert_eq!(fs::read_to_string(place.file()).unwrap(), written);
    let record = &place.store.audit("", 0, 10).await.unwrap()[0];
    assert_eq!((record.actor.verb.as_str(), record.actor.resource.as_str()), ("tokens.create", "token admin (admin)"));
}

#[tokio::test]
async fn a_token_that_is_gone_is_not_made_again() {
    let place = Place::new().await;
    place.start().await.unwrap();
    fs::remove_file(place.file()).unwrap();
    let gone = place.start().await.unwrap();
    assert_eq!(gone, FirstToken::Gone(place.file()));
    assert!(!place.file().exists());
    let told = gone.to_string();
    assert!(told.ends_with("make another with `shadowcat-control-plane token`"), "{told}");
}

#[tokio::test]
async fn a_start_that_died_after_the_file_is_taken_up_again() {
    let place = Place::new().await;
    let chosen = AdminToken::generate().unwrap();
    fs::write(place.file(), chosen.reveal()).unwrap();
    assert_eq!(place.start().await.unwrap(), FirstToken::Made(place.file()));
    assert_eq!(place.role().await, Some(Role::Admin));
    assert_eq!(fs::read_to_string(place.file()).unwrap(), chosen.reveal());
}

#[tokio::test]
async fn a_file_with_something_else_is_neither_used_nor_overwritten() {
    let place = Place::new().await;
    fs::write(place.file(), "hunter2").unwrap();
    let refusal = place.start().await.unwrap_err().to_string();
    assert!(refusal.contains("admin-token: this is no admin token") && !refusal.contains("hunter2"), "{refusal}");
    assert_eq!(fs::read_to_string(place.file()).unwrap(), "hunter2");
    assert!(!place.store.has_admin_token().await.unwrap());
}

#[tokio::test]
async fn an_empty_file_is_no_token_and_what_a_start_left_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::store::open(&directory.path().join("test.db").display().to_string()).await.unwrap();
    let path = directory.path().join(ADMIN_TOKEN_FILE);
    std::fs::write(&path, "\n").unwrap();
    std::fs::write(path.with_extension("new"), "shadowcat_half").unwrap();
    let made = first_admin_token(store.as_ref(), directory.path()).await.unwrap();
    assert_eq!(made, FirstToken::Made(path.clone()));
    let token: AdminToken = std::fs::read_to_string(&path).unwrap().trim().parse().unwrap();
    assert!(store.admin_token(&token.hash()).await.unwrap().is_some());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, ADMIN_TOKEN_MODE);
    assert!(!path.with_extension("new").exists());
}

#[tokio::test]
async fn a_first_token_that_an_operator_chose_is_closed_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::store::open(&directory.path().join("test.db").display().to_string()).await.unwrap();
    let path = directory.path().join(ADMIN_TOKEN_FILE);
    std::fs::write(&path, AdminToken::generate().unwrap().reveal()).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    first_admin_token(store.as_ref(), directory.path()).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, ADMIN_TOKEN_MODE);
}
