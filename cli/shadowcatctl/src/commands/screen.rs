//! A terminal that a command has for itself until it ends.

use std::io::{IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::oneshot;

use crate::Failure;

/// Another screen, without a cursor, where what is too long for a line ends with it; and back.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// To the first line; to the end of a line, and of the screen, with nothing. What is drawn over what was there does not flicker.
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// Lines of a terminal that does not say how many it has.
const DEFAULT_HEIGHT: usize = 24;

/// The screen; what was there before is there again when it is dropped.
pub(super) struct Screen {
    /// How the keyboard was, if there is one.
    before: Option<Termios>,
}

impl Screen {
    /// Lines of standard output; `None` if it is no terminal.
    pub(super) fn lines() -> Option<usize> {
        if !std::io::stdout().is_terminal() {
            return None;
        }
        let lines = tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_row));
        Some(if lines == 0 { DEFAULT_HEIGHT } else { lines })
    }

    /// Takes the terminal: keys come as they are pressed, and are not shown. An interrupt stays one.
    pub(super) fn open() -> Result<Self, Failure> {
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(before) = &before {
            let mut keys = before.clone();
            keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            // Without it `q` needs a return after it, and is seen.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &keys);
        }
        let screen = Self { before };
        put(ENTER)?;
        Ok(screen)
    }

    /// Resolves when somebody presses `q`; never without a keyboard.
    pub(super) fn quit(&self) -> impl Future<Output = ()> + use<> {
        let (pressed, quit) = oneshot::channel();
        if self.before.is_some() {
            // A thread that nobody waits for: it ends with the process, and reading cannot be called off.
            std::thread::spawn(move || {
                let mut keys = std::io::stdin().lock().bytes();
                if keys.any(|key| key.is_ok_and(|key| key == b'q')) {
                    let _ = pressed.send(());
                }
            });
        }
        async {
            if quit.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Shows `text` in place of what it showed before.
    pub(super) fn draw(&mut self, text: &str) -> Result<(), Failure> {
        let mut drawn = String::from(HOME);
        for line in text.lines() {
            drawn.push_str(line);
            drawn.push_str(CLEAR_LINE);
            drawn.push('\n');
        }
        drawn.push_str(CLEAR_BELOW);
        put(&drawn)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = put(LEAVE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn put(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|why| Failure::failed(format!("cannot write to the terminal: {why}")))
}
