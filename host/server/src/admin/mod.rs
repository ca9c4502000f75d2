//! The admin port: what an operator does to a running server, by HTTP and with a token.
//!
//! ```text
//! POST /v1/components?model=m[&version=3]            a component, as it is
//! POST /v1/components/rollback?model=m[&version=3]
//! GET  /v1/components[?model=m]
//! ```
//!
//! Answers are JSON; an error is `{"error": "..."}` with the status of its code.
//!
//! **Invariant:** without the token nothing is looked at, not even whether a path exists. The port
//! has nothing to do with clients: it is closed unless a flag opens it, and listens on this
//! machine alone unless a flag says otherwise.

mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use tensorgate_types::{Error, Result};

use crate::components::{Change, Scope};
use crate::door::Fault;
use crate::wiring::{Changed, Desk, Listed, MAX_MIB};

pub(crate) use token::Token;

/// How long a component may take to come. A slow network takes minutes for an interpreter.
const UPLOAD: Duration = Duration::from_secs(600);

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeReport {
    /// The model.
    pub(crate) model: String,
    /// The change.
    pub(crate) change: ChangeLine,
    /// The loaded versions before which something else stands now.
    pub(crate) versions: Vec<i64>,
}

/// One line of a model's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeLine {
    /// From 1, for each model.
    pub(crate) number: u64,
    /// Seconds since 1970.
    pub(crate) time: u64,
    /// `push` or `rollback`.
    pub(crate) action: String,
    /// The version that it is for; null for all of the model's.
    pub(crate) version: Option<i64>,
    /// What stands there from then on; null for what the version or the configuration has.
    pub(crate) sha256: Option<String>,
}

/// What stands before a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StandingLine {
    pub(crate) version: i64,
    pub(crate) sha256: String,
    /// `pushed`, `version directory` or `configuration`.
    pub(crate) origin: String,
    /// The signatures that it covers.
    pub(crate) covers: Vec<String>,
}

/// The processors of one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelReport {
    pub(crate) model: String,
    /// What stands before its loaded versions.
    pub(crate) versions: Vec<StandingLine>,
    /// The oldest first.
    pub(crate) history: Vec<ChangeLine>,
}

/// What `GET` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListReport {
    pub(crate) components: Vec<ModelReport>,
}

/// The routes.
pub(crate) fn routes(desk: Desk, token: Token) -> Router {
    let token = Arc::new(token);
    Router::new()
        .route("/v1/components", get(list).post(push))
        .route("/v1/components/rollback", post(roll_back))
        .fallback(|| async {
            Fault::new(
                StatusCode::NOT_FOUND,
                "the admin port has /v1/components and /v1/components/rollback",
            )
            .into_response()
        })
        .layer(middleware::from_fn_with_state(token, guard))
        .with_state(desk)
}

async fn guard(State(token): State<Arc<Token>>, request: Request, next: Next) -> Response {
    if token.is_in(request.headers()) {
        return next.run(request).await;
    }
    let fault = Fault::new(
        StatusCode::UNAUTHORIZED,
        "the admin port wants `authorization: Bearer TOKEN`, with the token of --admin_token_file",
    );
    let mut response = fault.into_response();
    let scheme = HeaderValue::from_static("Bearer");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    response
}

async fn list(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::parse(query.as_deref());
    let wanted = match asked {
        Ok(asked) => asked.model,
        Err(error) => return Fault::from(error).into_response(),
    };
    let components = desk
        .listed()
        .into_iter()
        .filter(|(model, _)| wanted.as_ref().is_none_or(|wanted| wanted == model))
        .map(|(model, listed)| model_report(model, listed))
        .collect();
    json(&ListReport { components })
}

async fn push(State(desk): State<Desk>, RawQuery(query): RawQuery, body: Body) -> Response {
    let pushed = async {
        let (model, scope) = Asked::parse(query.as_deref())?.one()?;
        let limit = usize::try_from(MAX_MIB << 20).unwrap_or(usize::MAX);
        let read = tokio::time::timeout(UPLOAD, axum::body::to_bytes(body, limit));
        let wasm = read
            .await
            .map_err(|_| Error::deadline_exceeded())?
            .map_err(|error| {
                Error::resource_exhausted(format!(
                    "the component cannot be read: {error}; it may have {MAX_MIB} MiB"
                ))
            })?;
        if wasm.is_empty() {
            return Err(Error::invalid_argument(
                "the body is empty; expected a WebAssembly component",
            ));
        }
        let changed = desk.push(&model, scope, wasm).await?;
        Ok(change_report(model, changed))
    };
    answer(pushed.await)
}

async fn roll_back(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Response {
    let rolled_back = async {
        let (model, scope) = Asked::parse(query.as_deref())?.one()?;
        let changed = desk.roll_back(&model, scope).await?;
        Ok(change_report(model, changed))
    };
    answer(rolled_back.await)
}

fn answer(result: Result<ChangeReport>) -> Response {
    match result {
        Ok(report) => {
            let ChangeReport { model, change, .. } = &report;
            let ChangeLine { action, number, .. } = change;
            tracing::info!("{action} of a component for model {model}: change {number}");
            json(&report)
        }
        Err(error) => Fault::from(error).into_response(),
    }
}

/// What a query says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    model: Option<String>,
    version: Option<i64>,
}

impl Asked {
    fn parse(query: Option<&str>) -> Result<Self> {
        let mut asked = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode(value)?;
            match name {
                "model" if !value.is_empty() => asked.model = Some(value),
                "version" => {
                    let version = value.parse().ok().filter(|version| *version >= 0);
                    asked.version = Some(version.ok_or_else(|| {
                        Error::invalid_argument(format!(
                            "version is {value:?}; expected a number, 0 or above"
                        ))
                    })?);
                }
                _ => {
                    return Err(Error::invalid_argument(format!(
                        "the query has {pair:?}; expected model=NAME and version=NUMBER"
                    )));
                }
            }
        }
        Ok(asked)
    }

    /// The versions of one model that a change is for.
    fn one(self) -> Result<(String, Scope)> {
        let model = self.model.ok_or_else(|| {
            Error::invalid_argument("which model? expected model=NAME in the query")
        })?;
        Ok((model, self.version.map_or(Scope::All, Scope::Version)))
    }
}

fn percent_decode(text: &str) -> Result<String> {
    let bad = || Error::invalid_argument(format!("{text:?} is not percent-encoded UTF-8"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = tail.get(..2).ok_or_else(bad)?;
            let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

fn change_line(change: Change) -> ChangeLine {
    ChangeLine {
        number: change.number,
        time: change.seconds,
        action: change.action.name().to_owned(),
        version: match change.scope {
            Scope::All => None,
            Scope::Version(version) => Some(version),
        },
        sha256: change.digest,
    }
}

fn change_report(model: String, changed: Changed) -> ChangeReport {
    ChangeReport {
        model,
        change: change_line(changed.change),
        versions: changed.versions,
    }
}

fn model_report(model: String, listed: Listed) -> ModelReport {
    let versions = listed.versions.into_iter();
    ModelReport {
        model,
        versions: versions
            .map(|(version, standing)| StandingLine {
                version,
                sha256: standing.digest,
                origin: standing.origin.name().to_owned(),
                covers: standing.processor.signatures().into_keys().collect(),
            })
            .collect(),
        history: listed.changes.into_iter().map(change_line).collect(),
    }
}

fn json(report: &impl Serialize) -> Response {
    match serde_json::to_string(report) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => Fault::from(Error::internal(error.to_string())).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_name_a_model_and_perhaps_a_version() {
        let parse = |query: &str| {
            let asked = Asked::parse(Some(query));
            asked
                .and_then(Asked::one)
                .map_err(|error| error.message().to_owned())
        };
        assert_eq!(parse("model=m"), Ok(("m".to_owned(), Scope::All)));
        let both = parse("version=3&model=a%2Fb");
        assert_eq!(both, Ok(("a/b".to_owned(), Scope::Version(3))));
        for (query, words) in [
            ("", "which model?"),
            ("model=", "the query has \"model=\""),
            ("model=m&version=-1", "version is \"-1\"; expected a number"),
            ("model=m&version=x", "version is \"x\""),
            ("model=m&more=1", "the query has \"more=1\""),
            ("model=%f", "is not percent-encoded UTF-8"),
            ("model=%ff", "is not percent-encoded UTF-8"),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
