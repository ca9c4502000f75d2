//! A locked app, made ready: its components compiled, its routes known; and how its requests are
//! answered.
//!
//! **Invariant:** what goes wrong in a request is the answer to that request: 404 and 500 with
//! empty bodies, as Spin has them, 503 where there is too much to do, 400 for what is no request
//! that a guest could be given.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use wasmtime_wasi_http::{Error, WasiBody};

use super::RunError;
use super::component::{Around, Component, Failed};
use super::request::{Matched, complete_uri, prepare_headers};
use super::stdio::Logs;
use crate::lock::{LockedApp, LockedTrigger};
use crate::manifest::http::{HttpTrigger, RouteSetting, StaticResponse};
use crate::routes::{self, Reserved, Routes};

/// Where requests go that match a route.
enum Target {
    Component(Arc<Component>),
    Response(Response<Bytes>),
}

/// A route for a list of routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRoute {
    /// The component that answers; the trigger, where the manifest has the answer.
    pub id: String,
    /// The path, without what stands for the rest.
    pub path: String,
    /// Whether everything below it is taken too.
    pub wildcard: bool,
    /// What the component is for.
    pub description: Option<String>,
}

/// An app that answers requests.
pub(super) struct Inner {
    around: Arc<Around>,
    info: Bytes,
    routes: Routes<Target>,
    listed: Vec<ListedRoute>,
    /// Those that are triggered, private ones among them.
    components: BTreeMap<String, Arc<Component>>,
    logs: Logs,
}

/// An app that answers requests. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("routes", &self.0.listed)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Puts together what was loaded.
    pub(super) fn new(
        app: &LockedApp,
        trigger_types: &[&str],
        components: BTreeMap<String, Arc<Component>>,
        around: Arc<Around>,
        logs: Logs,
    ) -> Result<Self, RunError> {
        let mut ids = Vec::new();
        let mut patterns = Vec::new();
        for trigger in triggers(app, trigger_types) {
            let settings = HttpTrigger::from_locked(trigger).map_err(RunError::new)?;
            let RouteSetting::Pattern(pattern) = settings.route else {
                continue;
            };
            let target = target(
                trigger,
                settings.component.as_deref(),
                settings.static_response,
                &components,
            )?;
            if routes::is_reserved(&pattern) {
                around.console.error(&format!(
                    "Routes under {} are handled by the runtime and will never be reached",
                    routes::WELL_KNOWN
                ));
            }
            ids.push(settings.component.unwrap_or_else(|| trigger.id.clone()));
            patterns.push((pattern, target));
        }
        let borrowed = patterns.into_iter();
        let (names, targets): (Vec<String>, Vec<Target>) = borrowed.unzip();
        let all = names.iter().map(String::as_str).zip(targets);
        let (routes, duplicates) = Routes::new(all).map_err(RunError::new)?;
        if !duplicates.is_empty() {
            around
                .console
                .error("The following component routes are duplicates and will never be used:");
        }
        for duplicate in &duplicates {
            around.console.say(&format!(
                "  {}: {} (duplicate of {})\n",
                ids[duplicate.replaced], duplicate.route, ids[duplicate.effective]
            ));
        }
        let listed = listed(app, &routes, &names, &ids);
        Ok(Self(Arc::new(Inner {
            around,
            info: info(app)?,
            routes,
            listed,
            components,
            logs,
        })))
    }

    /// Its public routes, in the manifest's order.
    #[must_use]
    pub fn routes(&self) -> &[ListedRoute] {
        &self.0.listed
    }

    /// Waits until everything is written that its components printed so far.
    pub async fn flush_logs(&self) {
        self.0.logs.flush().await;
    }

    pub(super) fn around(&self) -> &Arc<Around> {
        &self.0.around
    }

    /// Answers a request.
    pub(super) async fn handle(
        &self,
        mut request: Request<WasiBody>,
        scheme: Scheme,
        client: SocketAddr,
    ) -> Response<WasiBody> {
        let path = request.uri().path();
        if let Some(reserved) = routes::reserved(path) {
            return self.reserved(reserved);
        }
        let Some(found) = self.0.routes.find(path) else {
            return empty(StatusCode::NOT_FOUND);
        };
        let component = match found.target {
            Target::Response(response) => return response.clone().map(full),
            Target::Component(component) => Arc::clone(component),
        };
        let matched = Matched::of(&found);
        let ready = complete_uri(&mut request, scheme)
            .and_then(|()| prepare_headers(&mut request, &matched, client));
        match ready {
            Ok(()) => self.call(&component, request).await,
            Err(problem) => text(StatusCode::BAD_REQUEST, problem),
        }
    }

    async fn call(
        &self,
        component: &Arc<Component>,
        request: Request<WasiBody>,
    ) -> Response<WasiBody> {
        let chain = Chain(Arc::downgrade(&self.0));
        match component.handle(&self.0.around, chain, request).await {
            Ok(response) => response,
            Err(Failed::Guest) => empty(StatusCode::INTERNAL_SERVER_ERROR),
            Err(Failed::Busy(problem)) => {
                let mut response = text(StatusCode::SERVICE_UNAVAILABLE, problem);
                let soon = HeaderValue::from_static("1");
                response.headers_mut().insert(RETRY_AFTER, soon);
                response
            }
        }
    }

    fn reserved(&self, reserved: Reserved) -> Response<WasiBody> {
        match reserved {
            Reserved::Health => Response::new(full(Bytes::from_static(b"OK"))),
            Reserved::Other => empty(StatusCode::NOT_FOUND),
            Reserved::Info => {
                let mut response = Response::new(full(self.0.info.clone()));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
        }
    }
}

/// The way from a guest to its own app. A guest does not keep the app alive.
#[derive(Clone)]
pub(super) struct Chain(Weak<Inner>);

type Chained = Pin<Box<dyn Future<Output = Result<Response<WasiBody>, Error>> + Send>>;

/// The address that a request has which comes from the app itself.
const INSIDE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Chain {
    /// Asks another component of the app.
    pub(super) fn call(&self, component: &str, mut request: Request<WasiBody>) -> Chained {
        let found = self.0.upgrade().map(App);
        let component = found
            .as_ref()
            .and_then(|app| app.0.components.get(component).cloned());
        Box::pin(async move {
            let (Some(app), Some(component)) = (found, component) else {
                return Err(Error::DestinationNotFound);
            };
            let matched = Matched::chained(request.uri().path());
            prepare_headers(&mut request, &matched, INSIDE)
                .map_err(|problem| Error::InternalError(Some(problem)))?;
            Ok(app.call(&component, request).await)
        })
    }

    /// Asks the app as a client would.
    pub(super) fn own(&self, mut request: Request<WasiBody>) -> Chained {
        let app = self.0.upgrade().map(App);
        Box::pin(async move {
            let app = app.ok_or(Error::DestinationNotFound)?;
            request.headers_mut().remove(HOST);
            Ok(app.handle(request, Scheme::HTTP, INSIDE).await)
        })
    }
}

/// The triggers of these types, in the manifest's order.
pub(super) fn triggers<'a>(
    app: &'a LockedApp,
    types: &'a [&str],
) -> impl Iterator<Item = &'a LockedTrigger> {
    let all = app.triggers.iter();
    all.filter(|trigger| types.contains(&trigger.trigger_type.as_str()))
}

fn target(
    trigger: &LockedTrigger,
    component: Option<&str>,
    response: Option<StaticResponse>,
    components: &BTreeMap<String, Arc<Component>>,
) -> Result<Target, RunError> {
    if let Some(response) = response {
        return Ok(Target::Response(static_response(&trigger.id, response)?));
    }
    let id = component.unwrap_or_default();
    let component = components
        .get(id)
        .ok_or_else(|| RunError::new(format!("no such component {id:?}")))?;
    Ok(Target::Component(Arc::clone(component)))
}

fn static_response(trigger: &str, from: StaticResponse) -> Result<Response<Bytes>, RunError> {
    let problem = |what: String| RunError::new(format!("trigger {trigger:?}: {what}"));
    let body = Bytes::from(from.body.unwrap_or_default());
    let mut response = Response::new(body);
    let code = from.status_code.unwrap_or(200);
    *response.status_mut() =
        StatusCode::from_u16(code).map_err(|_| problem(format!("{code} is no status code")))?;
    for (name, value) in from.headers {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| problem(format!("{name:?} is no name of a header")))?;
        let value = HeaderValue::from_str(&value)
            .map_err(|_| problem(format!("{value:?} is no value of the header {name}")))?;
        response.headers_mut().insert(header, value);
    }
    Ok(response)
}

/// What `/.well-known/spin/info` says.
fn info(app: &LockedApp) -> Result<Bytes, RunError> {
    let text = |key: &str| app.metadata.get(key).and_then(serde_json::Value::as_str);
    let mut info = serde_json::Map::new();
    info.insert(
        "name".to_owned(),
        text("name").unwrap_or("<unnamed>").into(),
    );
    for key in ["version", "oci_image_digest"] {
        if let Some(value) = text(key) {
            info.insert(key.to_owned(), value.into());
        }
    }
    serde_json::to_vec_pretty(&info)
        .map(Bytes::from)
        .map_err(|error| RunError::because("cannot write what the app is", error))
}

fn listed<T>(
    app: &LockedApp,
    routes: &Routes<T>,
    patterns: &[String],
    ids: &[String],
) -> Vec<ListedRoute> {
    // Of equal patterns the last one is the one that is used, in the place of the first.
    let mut seen = BTreeSet::new();
    let first = patterns.iter().filter(|pattern| seen.insert(*pattern));
    let shown = first.zip(routes.listed());
    let shown = shown.filter_map(|(pattern, route)| {
        let last = patterns.iter().rposition(|other| other == pattern)?;
        let id = ids.get(last)?;
        let description = app
            .component(id)
            .map_or("", |component| component.description());
        Some(ListedRoute {
            id: id.clone(),
            path: route.path.clone(),
            wildcard: route.wildcard,
            description: Some(description.to_owned()).filter(|text| !text.is_empty()),
        })
    });
    shown.collect()
}

fn full(bytes: Bytes) -> WasiBody {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn empty(status: StatusCode) -> Response<WasiBody> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn text(status: StatusCode, text: String) -> Response<WasiBody> {
    let mut response = Response::new(full(Bytes::from(text + "\n")));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
