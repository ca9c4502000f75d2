//! The component's settings: application variables, or environment variables where the host that
//! it runs in has no application (`wasmtime serve --env TENSORGATE_URL=...`).
//!
//! With `TENSORGATE_URL` in the environment everything is read from there, and nothing of Spin is
//! ever called: neither variables nor stores.

use std::time::Duration;

use tensorgate_types::{Error, Result};

use crate::World;

/// How long a request may take, unless the operator says otherwise: as long as a host gives it.
const TIMEOUT_MS: u64 = 30_000;
/// Attempts after the first.
const RETRIES: u64 = 8;
/// How long signatures are believed without asking.
const SIGNATURE_TTL_S: u64 = 60;
/// How old what is kept may be where a request fails by it.
const RECHECK_MS: u64 = 1000;
/// The store.
const STORE: &str = "default";

/// What the operator has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The host's address, without a path or a stroke at the end.
    pub(crate) url: String,
    /// How long one request of a client may wait for the host, all attempts together.
    pub(crate) timeout: Duration,
    /// Attempts after the first.
    pub(crate) retries: u64,
    /// Where signatures and answers are kept; none for nowhere.
    pub(crate) store: Option<String>,
    /// How long signatures are believed without asking.
    pub(crate) signature_ttl: Duration,
    /// How long they are believed where a request fails by them.
    pub(crate) recheck: Duration,
    /// How long answers are given again; zero for never.
    pub(crate) answer_ttl: Duration,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// `INTERNAL` that names the setting and what was expected.
    pub(crate) fn read(world: &impl World) -> Result<Self> {
        let alone = world.environment("TENSORGATE_URL").is_some();
        let get = |name: &str| -> Result<Option<String>> {
            if alone {
                return Ok(world.environment(&name.to_ascii_uppercase()));
            }
            world.variable(name).map_err(|problem| {
                Error::internal(format!("the variable {name} cannot be read: {problem}"))
            })
        };
        let number = |name: &str, default: u64| -> Result<u64> {
            match get(name)?.as_deref().map(str::trim) {
                None | Some("") => Ok(default),
                Some(text) => text.parse().map_err(|_| {
                    Error::internal(format!(
                        "the variable {name} is a whole number, not {text:?}"
                    ))
                }),
            }
        };
        let url = get("tensorgate_url")?.unwrap_or_default();
        let store = match get("tensorgate_store")? {
            _ if alone => None,
            None => Some(STORE.to_owned()),
            Some(name) if name.trim().is_empty() => None,
            Some(name) => Some(name.trim().to_owned()),
        };
        Ok(Self {
            url: check_url(url.trim())?.to_owned(),
            timeout: Duration::from_millis(number("tensorgate_timeout_ms", TIMEOUT_MS)?.max(1)),
            retries: number("tensorgate_retries", RETRIES)?,
            store,
            signature_ttl: Duration::from_secs(number(
                "tensorgate_signature_ttl_s",
                SIGNATURE_TTL_S,
            )?),
            recheck: Duration::from_millis(number("tensorgate_recheck_ms", RECHECK_MS)?),
            answer_ttl: Duration::from_secs(number("tensorgate_answer_ttl_s", 0)?),
        })
    }
}

fn check_url(url: &str) -> Result<&str> {
    let url = url.trim_end_matches('/');
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', ' ', '@']) => Ok(url),
        // Without the value: whoever wrote a password into it does not want it told to clients.
        _ => Err(Error::internal(
            "the variable tensorgate_url is the address of a Tensorgate host, \
             http://gpu-box:8501, without a path or a password",
        )),
    }
}
