//! What is said to whoever runs an app, in Spin's words and colours, on standard error or what
//! stands for it.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Where it is said. Clones share it.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

struct Inner {
    /// Held for one write.
    out: Mutex<Box<dyn Write + Send>>,
    colours: bool,
}

impl Default for Console {
    /// Standard error.
    fn default() -> Self {
        Self::new(io::stderr(), io::stderr().is_terminal())
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}

impl Console {
    /// What stands for standard error, with colours or without.
    pub fn new(out: impl Write + Send + 'static, colours: bool) -> Self {
        Self(Arc::new(Inner {
            out: Mutex::new(Box::new(out)),
            colours,
        }))
    }

    /// Nobody is told when it is closed.
    pub(super) fn write(&self, bytes: &[u8]) {
        let mut out = self.0.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = out.write_all(bytes);
    }

    pub(super) fn say(&self, text: &str) {
        self.write(text.as_bytes());
    }

    /// Something doubtful.
    fn warning(&self, text: &str) {
        self.say(&format!("{} {text}\n", self.coloured("Warning:", "33")));
    }

    /// What keeps something from working as it was meant.
    pub(super) fn error(&self, text: &str) {
        self.say(&format!("{} {text}\n", self.coloured("Error:", "31")));
    }

    /// A component has asked for a server that its manifest does not name.
    pub(super) fn disallowed(&self, scheme: &str, authority: &str) {
        let host = format!("{scheme}://{authority}");
        self.warning(&format!(
            "A component tried to make an outbound network connection to disallowed destination \
             '{host}'."
        ));
        self.say(&format!(
            "To allow this request, add 'allowed_outbound_hosts = [\"{host}\"]' to the manifest \
             component section.\n"
        ));
    }

    fn coloured(&self, word: &str, colour: &str) -> String {
        if self.0.colours {
            format!("\x1b[1;{colour}m{word}\x1b[0m")
        } else {
            word.to_owned()
        }
    }
}
