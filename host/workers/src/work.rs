//! The worker's side: answers what the server asks, until it asks no more.
//!
//! Threads take turns at the socket: whoever has read a request leaves the socket to the next one
//! and answers it. So nothing is handed from thread to thread, and there is no queue: what cannot
//! be begun stays with the server, who bounds how much it asks at a time.
//!
//! **Cancellation:** when the server's end of the socket is closed, or the server has gone, the
//! thread at the socket says so, and nobody waits for the others.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use tensorgate_engine::{Predictor, RunRequest, run_guarded};
use tensorgate_types::{Error, Result};

use crate::message::{self, Answer, Device, Loaded, Request};
use crate::wire::{Pack, Unpack};

/// Things that may be asked at a time: more than the server ever has threads.
const MAX_THREADS: u32 = 16 << 10;

/// What is read at once: all of a small request.
const BUFFER: usize = 64 << 10;

/// What a worker is made of.
pub trait Runtime: Send + Sync + 'static {
    /// Loads the model at `path`; `how` is what the server said of it.
    ///
    /// # Errors
    /// Whatever went wrong; the server is told.
    fn load(&self, path: &Path, how: &[u8]) -> Result<Hosted>;
}

/// A loaded model.
pub struct Hosted {
    /// What runs it.
    pub model: Box<dyn Predictor>,
    /// The devices that it can use.
    pub devices: Vec<Device>,
}

impl std::fmt::Debug for Hosted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hosted")
            .field("devices", &self.devices)
            .finish_non_exhaustive()
    }
}

/// The socket to the server, which a worker gets in the place of its standard input.
///
/// # Errors
/// When standard input is no socket: whoever started this is no server.
pub fn inherited_socket() -> io::Result<UnixStream> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    let socket = UnixStream::from(stdin);
    // Fails for what is no socket.
    socket.peer_addr()?;
    // What reads standard input by mistake must not eat requests.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}

/// Ends this process now: what for [`work`]'s `ended` in a worker. Nothing in it is worth saving,
/// and an orderly end would pull TensorFlow down under the threads that still compute.
pub fn end_this_process() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

/// From now on the system ends this process when the thread that started it ends, and so when the
/// server does: also while this process is stopped, and would not see that its socket is closed.
///
/// # Errors
/// When the system cannot do that.
pub fn end_with_the_server() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

/// Works for the server at the other end of `socket`. `open` makes the runtime from what the
/// server says first; `ended` is called when it says no more, on whichever thread hears it.
///
/// # Errors
/// When the server says something that is not understood, or there are no threads.
pub fn work<R: Runtime>(
    socket: UnixStream,
    open: impl FnOnce(&[u8]) -> Result<R>,
    ended: impl Fn() + Send + Sync,
) -> io::Result<()> {
    let writer = Mutex::new(socket.try_clone()?);
    let mut reader = BufReader::with_capacity(BUFFER, socket);
    let Some(frame) = Unpack::receive(&mut reader)? else {
        return Ok(());
    };
    let not_understood = |error: Error| io::Error::other(error.to_string());
    let (number, request) = Request::read(frame).map_err(not_understood)?;
    let Request::Hello { threads, settings } = request else {
        return Err(io::Error::other("the server did not say hello first"));
    };
    // Before there are threads: libraries are opened here, and loading one may wait for threads.
    let opened = open(&settings);
    let done = opened.as_ref().map(|_| Answer::Done).map_err(Error::clone);
    send(&writer, message::answer(number, &done))?;
    let Ok(runtime) = opened else {
        return Ok(());
    };
    let worker = Worker {
        runtime,
        reader: Mutex::new(Some(reader)),
        writer,
        models: RwLock::default(),
    };
    thread::scope(|scope| {
        for number in 1..threads.min(MAX_THREADS) {
            thread::Builder::new()
                .name(format!("tg-worker-{number}"))
                .spawn_scoped(scope, || worker.take_turns(&ended))?;
        }
        worker.take_turns(&ended);
        Ok(())
    })
}

fn send(writer: &Mutex<UnixStream>, pack: Pack) -> io::Result<()> {
    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
    pack.send(&mut *writer)
}

struct Worker<R> {
    runtime: R,
    /// Held by the thread whose turn it is; none once the server has gone.
    reader: Mutex<Option<BufReader<UnixStream>>>,
    /// Held while an answer is written.
    writer: Mutex<UnixStream>,
    /// Written by loads and unloads, read by runs.
    models: RwLock<BTreeMap<u64, Arc<dyn Predictor>>>,
}

impl<R: Runtime> Worker<R> {
    fn take_turns(&self, ended: &(impl Fn() + Send + Sync)) {
        while let Some(frame) = self.next(ended) {
            let Ok((number, request)) = Request::read(frame) else {
                // Not to be answered: there is no number. The server sees that the worker ends.
                ended();
                return;
            };
            let answer = self.answer(request);
            let mut pack = message::answer(number, &answer);
            if let Err(error) = pack.check() {
                pack = message::answer(number, &Err(error));
            }
            if send(&self.writer, pack).is_err() {
                ended();
                return;
            }
        }
    }

    fn next(&self, ended: &(impl Fn() + Send + Sync)) -> Option<Unpack> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = Unpack::receive(reader.as_mut()?).ok().flatten();
        if frame.is_none() {
            *reader = None;
            drop(reader);
            ended();
        }
        frame
    }

    fn answer(&self, request: Request) -> Result<Answer> {
        match request {
            Request::Hello { .. } => Err(Error::internal("the server says hello twice")),
            Request::Load { model, path, how } => self.load(model, &path, &how),
            Request::Unload { model } => {
                let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
                let unloaded = models.remove(&model);
                drop(models);
                // Takes as long as it takes, and nobody else waits for it.
                drop(unloaded);
                Ok(Answer::Done)
            }
            Request::Run { model, request } => self.run(model, &request),
        }
    }

    fn load(&self, number: u64, path: &Path, how: &[u8]) -> Result<Answer> {
        // Unwind safe: what a panic leaves half done is a model that nobody has.
        let loaded = catch_unwind(AssertUnwindSafe(|| self.runtime.load(path, how)));
        let Hosted { model, devices } =
            loaded.unwrap_or_else(|_| Err(Error::internal("loading failed unexpectedly")))?;
        let loaded = Loaded {
            signatures: model.signatures().clone(),
            signature_defs: model.signature_defs().to_vec(),
            devices,
        };
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        models.insert(number, Arc::from(model));
        Ok(Answer::Loaded(loaded))
    }

    fn run(&self, number: u64, request: &RunRequest) -> Result<Answer> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        let model = models.get(&number).map(Arc::clone);
        drop(models);
        let Some(model) = model else {
            return Err(Error::internal("the worker does not have this model"));
        };
        let (outputs, _has_panicked) = run_guarded(&*model, request);
        outputs.map(Answer::Outputs)
    }
}
