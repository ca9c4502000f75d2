//! A world for tests: a clock that only sleeping moves, a store, and a host that a test scripts.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use crate::world::{Failure, Request, Response, World};

/// What was sent.
#[derive(Debug, Clone)]
pub(crate) struct SentRequest {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

type Script = Box<dyn FnMut(&SentRequest) -> Result<Response, Failure>>;

pub(crate) struct Fake {
    pub(crate) variables: HashMap<String, String>,
    pub(crate) environment: HashMap<String, String>,
    pub(crate) now: Cell<Duration>,
    pub(crate) store: RefCell<HashMap<String, Vec<u8>>>,
    pub(crate) sent: RefCell<Vec<SentRequest>>,
    pub(crate) host: RefCell<Script>,
    pub(crate) logged: RefCell<Vec<String>>,
}

impl Fake {
    pub(crate) fn new(
        host: impl FnMut(&SentRequest) -> Result<Response, Failure> + 'static,
    ) -> Self {
        let url = ("tensorgate_url".to_owned(), "http://host:8501/".to_owned());
        Self {
            variables: HashMap::from([url]),
            environment: HashMap::new(),
            now: Cell::new(Duration::from_secs(1)),
            store: RefCell::default(),
            sent: RefCell::default(),
            host: RefCell::new(Box::new(host)),
            logged: RefCell::default(),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }
}

impl World for &Fake {
    type Sent = Result<Response, Failure>;

    fn send(&self, request: &Request<'_>) -> Result<Self::Sent, Failure> {
        let headers = request.headers.iter();
        let sent = SentRequest {
            url: request.url.to_owned(),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            body: request.body.concat(),
        };
        let answer = (self.host.borrow_mut())(&sent);
        self.sent.borrow_mut().push(sent);
        Ok(answer)
    }

    fn receive(&self, sent: Self::Sent, _timeout: Duration) -> Result<Response, Failure> {
        sent
    }

    fn now(&self) -> Duration {
        self.now.get()
    }

    fn unix_ms(&self) -> u64 {
        self.now.get().as_millis() as u64
    }

    fn sleep(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.variables.get(name).cloned())
    }

    fn load(&self, store: &str, key: &str) -> Option<Vec<u8>> {
        self.store.borrow().get(&format!("{store}:{key}")).cloned()
    }

    fn keep(&self, store: &str, key: &str, value: &[u8]) {
        self.store
            .borrow_mut()
            .insert(format!("{store}:{key}"), value.to_vec());
    }

    fn log(&self, text: &str) {
        self.logged.borrow_mut().push(text.to_owned());
    }
}
