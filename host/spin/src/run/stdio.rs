//! What guests print: into files beside the app, and to standard error.
//!
//! ```text
//! guest -> a bounded queue -> one thread -> .spin/logs/<id>_stdout.txt, standard error
//! ```
//!
//! **Invariant:** a disk or a terminal that is slow holds up guests that print and nobody else.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::sync::{mpsc, oneshot};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::{Console, RunError};

/// Pieces of output that wait to be written.
const QUEUE: usize = 1024;

/// Bytes that a guest may write in one go.
const PIECE: usize = 64 << 10;

/// Whose output is shown on standard error, beside being written to files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Follow {
    /// Everybody's.
    #[default]
    All,
    /// Nobody's.
    Nobody,
    /// That of these components.
    Only(Vec<String>),
}

impl Follow {
    fn takes_in(&self, component: &str) -> bool {
        match self {
            Self::All => true,
            Self::Nobody => false,
            Self::Only(components) => components.iter().any(|known| known == component),
        }
    }
}

/// Where the output of an app's components goes.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// The directory of the files; none for no files.
    pub directory: Option<PathBuf>,
    /// Whether files begin anew.
    pub truncate: bool,
    /// Whose output is shown, too.
    pub follow: Follow,
}

/// The thread that writes, and the way to it.
#[derive(Debug)]
pub(super) struct Logs {
    queue: mpsc::Sender<Piece>,
    files: BTreeMap<String, [Arc<Place>; 2]>,
}

enum Piece {
    Printed {
        place: Arc<Place>,
        bytes: Bytes,
    },
    /// Somebody waits until all before it is written.
    End(oneshot::Sender<()>),
}

/// Where one stream of one component goes.
#[derive(Debug)]
struct Place {
    file: Option<(File, PathBuf)>,
    shown: bool,
}

impl Logs {
    /// Opens the files of these components.
    pub(super) fn open<'a>(
        options: &LogOptions,
        console: Console,
        components: impl Iterator<Item = &'a str>,
    ) -> Result<Self, RunError> {
        if let Some(directory) = &options.directory {
            fs::create_dir_all(directory).map_err(|error| {
                let directory = directory.display();
                RunError::because(format!("Failed to create log dir \"{directory}\""), error)
            })?;
        }
        let mut files = BTreeMap::new();
        for id in components {
            let shown = options.follow.takes_in(id);
            let open =
                |stream| Ok::<_, RunError>(Arc::new(Place::open(options, id, stream, shown)?));
            files.insert(id.to_owned(), [open("stdout")?, open("stderr")?]);
        }
        let (queue, pieces) = mpsc::channel(QUEUE);
        // It ends when nobody is left who could print.
        std::thread::Builder::new()
            .name("tg-guest-logs".to_owned())
            .spawn(move || write_all(pieces, &console))
            .map_err(|error| RunError::because("cannot start the thread for logs", error))?;
        Ok(Self { queue, files })
    }

    /// Standard output and standard error of a component.
    pub(super) fn of(&self, component: &str) -> Option<[Output; 2]> {
        let places = self.files.get(component)?;
        Some(places.each_ref().map(|place| Output {
            place: Arc::clone(place),
            queue: self.queue.clone(),
            begun: Vec::new(),
        }))
    }

    /// Waits until everything is written that was printed so far.
    pub(super) async fn flush(&self) {
        let (sender, written) = oneshot::channel();
        if self.queue.send(Piece::End(sender)).await.is_ok() {
            let _ = written.await;
        }
    }
}

impl Place {
    fn open(
        options: &LogOptions,
        component: &str,
        stream: &str,
        shown: bool,
    ) -> Result<Self, RunError> {
        let Some(directory) = &options.directory else {
            return Ok(Self { file: None, shown });
        };
        let path = directory.join(format!("{}_{stream}.txt", file_name(component)));
        let file = open_file(&path, options.truncate).map_err(|error| {
            RunError::because(
                format!("Failed to open log file \"{}\"", path.display()),
                error,
            )
        })?;
        Ok(Self {
            file: Some((file, path)),
            shown,
        })
    }

    fn write(&self, bytes: &[u8], console: &Console) {
        if let Some((file, path)) = &self.file {
            let mut file = file;
            if let Err(error) = file.write_all(bytes) {
                let path = path.display();
                tracing::warn!("what a component printed could not be written to {path}: {error}");
            }
        }
        if self.shown {
            console.write(bytes);
        }
    }
}

fn open_file(path: &Path, truncate: bool) -> io::Result<File> {
    if truncate {
        return File::create(path);
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// An id as a part of a file's name.
fn file_name(component: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    component
        .chars()
        .map(|letter| if plain(letter) { letter } else { '_' })
        .collect()
}

fn write_all(mut pieces: mpsc::Receiver<Piece>, console: &Console) {
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Printed { place, bytes } => place.write(&bytes, console),
            // Nobody waits any more where this fails.
            Piece::End(sender) => drop(sender.send(())),
        }
    }
}

/// One stream of one instance of a component.
///
/// Whole lines are written: `eprintln!` makes several pieces of one, and between them another
/// instance may print.
#[derive(Debug)]
pub(super) struct Output {
    place: Arc<Place>,
    queue: mpsc::Sender<Piece>,
    /// A line without its end, shorter than [`PIECE`].
    begun: Vec<u8>,
}

impl Output {
    fn send(&self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let place = Arc::clone(&self.place);
        // `check_write` has seen room. Where others were quicker, this piece is lost, and said so.
        if self
            .queue
            .try_send(Piece::Printed { place, bytes })
            .is_err()
        {
            tracing::warn!("a piece of what a component printed was lost: too much is printed");
        }
    }
}

impl Drop for Output {
    /// What an instance has not ended a line with is the end of it.
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.begun);
        self.send(rest.into());
    }
}

impl Clone for Output {
    /// The same place, at the start of a line.
    fn clone(&self) -> Self {
        Self {
            place: Arc::clone(&self.place),
            queue: self.queue.clone(),
            begun: Vec::new(),
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // For the WASI generation after this one, which is not linked.
        Box::new(tokio::io::sink())
    }
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let lines = end.map_or(0, |end| end + 1);
        if lines > 0 && self.begun.is_empty() {
            self.send(bytes.slice(..lines));
        } else if lines > 0 {
            self.begun.extend_from_slice(&bytes[..lines]);
            let whole = std::mem::take(&mut self.begun);
            self.send(whole.into());
        }
        self.begun.extend_from_slice(&bytes[lines..]);
        if self.begun.len() >= PIECE {
            let long = std::mem::take(&mut self.begun);
            self.send(long.into());
        }
        Ok(())
    }

    /// Guests flush after every piece.
    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(if self.queue.capacity() > 0 { PIECE } else { 0 })
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        // A place is taken and given back: it was there.
        let _ = self.queue.reserve().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_goes_to_a_file_of_its_component_and_is_appended() {
        let place = tempfile::tempdir().unwrap();
        let mut options = LogOptions {
            directory: Some(place.path().join("logs")),
            truncate: false,
            follow: Follow::Nobody,
        };
        let print = async |options: &LogOptions, text: &'static str| {
            let logs = Logs::open(options, Console::default(), ["a/b"].into_iter()).unwrap();
            let [mut stdout, _stderr] = logs.of("a/b").unwrap();
            assert!(logs.of("c").is_none());
            assert_eq!(stdout.check_write().unwrap(), PIECE);
            stdout.write(Bytes::from_static(text.as_bytes())).unwrap();
            logs.flush().await;
            fs::read_to_string(place.path().join("logs/a_b_stdout.txt")).unwrap()
        };
        assert_eq!(print(&options, "one\n").await, "one\n");
        assert_eq!(print(&options, "two\n").await, "one\ntwo\n");
        options.truncate = true;
        assert_eq!(print(&options, "three\n").await, "three\n");
    }

    #[tokio::test]
    async fn lines_of_instances_are_not_mixed_and_none_is_lost() {
        let place = tempfile::tempdir().unwrap();
        let options = LogOptions {
            directory: Some(place.path().to_owned()),
            truncate: false,
            follow: Follow::Nobody,
        };
        let logs = Logs::open(&options, Console::default(), ["a"].into_iter()).unwrap();
        let [one, other] = logs.of("a").unwrap();
        let [mut one, mut other] = [one.p2_stream(), other.p2_stream()];
        let [mut again, _] = logs.of("a").unwrap().map(|output| output.p2_stream());
        let mut print = |which: usize, text: &'static str| {
            let stream = [&mut one, &mut again, &mut other].into_iter().nth(which);
            let bytes = Bytes::from_static(text.as_bytes());
            stream.unwrap().write(bytes).unwrap();
        };
        print(0, "fir");
        print(1, "sec");
        print(0, "st\nthi");
        print(1, "ond");
        print(0, "rd\n");
        print(1, "\n");
        print(2, "no end");
        drop(other);
        let long = "x".repeat(PIECE);
        one.write(Bytes::from(long.clone())).unwrap();
        logs.flush().await;
        let read = |stream| fs::read_to_string(place.path().join(format!("a_{stream}.txt")));
        let expected = format!("first\nthird\nsecond\n{long}");
        assert_eq!(read("stdout").unwrap(), expected);
        assert_eq!(read("stderr").unwrap(), "no end");
    }

    #[test]
    fn only_those_that_are_followed_are_shown() {
        let only = Follow::Only(vec!["a".to_owned()]);
        for (follow, component, expected) in [
            (&Follow::All, "a", true),
            (&Follow::Nobody, "a", false),
            (&only, "a", true),
            (&only, "b", false),
        ] {
            assert_eq!(follow.takes_in(component), expected);
        }
    }
}
