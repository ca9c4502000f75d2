//! The connection to one worker process, from its start to its end.
//!
//! Callers write their requests themselves, one at a time, and block until the answer with their
//! number is there; one thread reads all answers and hands them out.
//!
//! **Ordering:** answers come in any order. When the worker ends, every caller who still waits is
//! told, and no call begins any more.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tensorgate_types::Result;

use crate::message::Answer;
use crate::wire::{Pack, Unpack};

/// What is read at once: all of a small answer.
const BUFFER: usize = 64 << 10;

/// The worker ended before it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

type Reply = SyncSender<Result<Answer>>;

/// Bytes that went to one worker and came from it, whichever process it had. Each of them was copied
/// into the socket and out of it.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Link {
    traffic: Arc<Traffic>,
    /// Held while a request is written.
    writer: Mutex<UnixStream>,
    /// Who waits for which answer; none once the worker has ended. Never held while writing.
    waiting: Mutex<Option<BTreeMap<u64, Reply>>>,
    next: AtomicU64,
    /// The same socket, for whoever must not wait for a writer.
    control: UnixStream,
}

impl Link {
    /// # Errors
    /// When the system gives no further descriptor.
    pub(crate) fn new(socket: UnixStream, traffic: Arc<Traffic>) -> io::Result<Self> {
        Ok(Self {
            traffic,
            control: socket.try_clone()?,
            writer: Mutex::new(socket),
            waiting: Mutex::new(Some(BTreeMap::new())),
            next: AtomicU64::new(0),
        })
    }

    /// Asks, and waits for the answer for as long as that takes. `ask` gets the call's number.
    pub(crate) fn call(&self, ask: impl FnOnce(u64) -> Pack) -> Result<Result<Answer>, Lost> {
        match self.ask(ask)? {
            Ok(answer) => answer.recv().map_err(|_closed| Lost),
            Err(error) => Ok(Err(error)),
        }
    }

    /// The same, but waits no longer than `limit`: none when that has passed.
    pub(crate) fn call_within(
        &self,
        limit: Duration,
        ask: impl FnOnce(u64) -> Pack,
    ) -> Result<Option<Result<Answer>>, Lost> {
        match self.ask(ask)? {
            Ok(answer) => match answer.recv_timeout(limit) {
                Ok(answer) => Ok(Some(answer)),
                Err(RecvTimeoutError::Timeout) => Ok(None),
                Err(RecvTimeoutError::Disconnected) => Err(Lost),
            },
            Err(error) => Ok(Some(Err(error))),
        }
    }

    /// Asks. An error is one of what was to be asked.
    fn ask(&self, ask: impl FnOnce(u64) -> Pack) -> Result<Result<Receiver<Result<Answer>>>, Lost> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let pack = ask(number);
        if let Err(error) = pack.check() {
            return Ok(Err(error));
        }
        let answer = self.expect(number).ok_or(Lost)?;
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.traffic
            .sent
            .fetch_add(pack.byte_count(), Ordering::Relaxed);
        let sent = pack.send(&mut *writer);
        drop(writer);
        if sent.is_err() {
            self.close();
        }
        Ok(Ok(answer))
    }

    fn expect(&self, number: u64) -> Option<Receiver<Result<Answer>>> {
        let (reply, answer) = sync_channel(1);
        self.waiting().as_mut()?.insert(number, reply);
        Some(answer)
    }

    /// Hands answers out until there are no more, or one that nobody asked for. The worker is of
    /// no use any more then.
    pub(crate) fn hand_out(&self) {
        let mut reader = BufReader::with_capacity(BUFFER, &self.control);
        while let Ok(Some(frame)) = Unpack::receive(&mut reader) {
            self.traffic
                .received
                .fetch_add(frame.byte_count(), Ordering::Relaxed);
            let Ok((number, answer)) = Answer::read(frame) else {
                break;
            };
            let reply = self.waiting().as_mut().and_then(|all| all.remove(&number));
            let Some(reply) = reply else {
                break;
            };
            // Whoever asked waits for nothing else: it is there.
            let _ = reply.send(answer);
        }
        self.close();
    }

    /// Tells all who wait that there will be no answer.
    pub(crate) fn close(&self) {
        let waiting = self.waiting().take();
        drop(waiting);
        // An error: it is closed already.
        let _ = self.control.shutdown(Shutdown::Both);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.waiting().is_none()
    }

    fn waiting(&self) -> MutexGuard<'_, Option<BTreeMap<u64, Reply>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
