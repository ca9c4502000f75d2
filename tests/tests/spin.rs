//! The Spin shell, run as Spin runs it: the component that spin.toml names, under wasmtime's own
//! `wasi:http` host, with the variables and the outbound hosts that spin.toml gives it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

mod variables {
    wasmtime::component::bindgen!({
        inline: "
            package fermyon:spin@2.0.0;
            interface variables {
                get: func(name: string) -> result<string, error>;
                variant error {
                    invalid-name(string),
                    undefined(string),
                    provider(string),
                    other(string),
                }
            }
            world host { import variables; }
        ",
    });
}
use variables::fermyon::spin::variables as spin_variables;

/// What spin.toml says, as far as a request depends on it.
struct Manifest {
    route: String,
    source: PathBuf,
    outbound: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Reads spin.toml, with `tensorgate_url` set as `SPIN_VARIABLE_TENSORGATE_URL` would set it.
fn manifest(tensorgate_url: &str) -> Manifest {
    let text = std::fs::read_to_string(root().join("spin.toml")).expect("spin.toml is there");
    let table: toml::Table = text.parse().expect("spin.toml is TOML");
    assert_eq!(table["spin_manifest_version"].as_integer(), Some(2));
    let trigger = &table["trigger"]["http"][0];
    let component = &table["component"][trigger["component"].as_str().expect("a component id")];
    // The component gets the variable only when its own table maps it.
    assert_eq!(
        component["variables"]["tensorgate_url"].as_str(),
        Some("{{ tensorgate_url }}")
    );
    Manifest {
        route: trigger["route"].as_str().expect("a route").to_owned(),
        source: root().join(component["source"].as_str().expect("a source path")),
        outbound: component["allowed_outbound_hosts"]
            .as_array()
            .expect("a list of hosts")
            .iter()
            .map(|host| {
                let host = host.as_str().expect("a host");
                host.replace("{{ tensorgate_url }}", tensorgate_url)
            })
            .collect(),
    }
}

struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    tensorgate_url: String,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.outbound,
        }
    }
}

impl spin_variables::Host for State {
    fn get(&mut self, name: String) -> Result<String, spin_variables::Error> {
        match name.as_str() {
            "tensorgate_url" => Ok(self.tensorgate_url.clone()),
            _ => Err(spin_variables::Error::Undefined(name)),
        }
    }
}

/// Sends requests to the allowed hosts and to no others.
struct Outbound(Vec<String>);

type Sent = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _fut: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let uri = request.uri();
        let origin = format!(
            "{}://{}",
            uri.scheme_str().unwrap_or("http"),
            uri.authority().map_or("", |authority| authority.as_str())
        );
        let allowed = self.0.contains(&origin);
        Box::new(async move {
            if !allowed {
                return Err(Error::HttpRequestDenied);
            }
            let address = request.uri().authority().map(ToString::to_string);
            let stream = TcpStream::connect(address.unwrap_or_default())
                .await
                .map_err(|_| Error::ConnectionRefused)?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(|_| Error::HttpProtocolError)?;
            tokio::spawn(connection);
            let (mut parts, body) = request.into_parts();
            parts.uri = parts
                .uri
                .path_and_query()
                .map(|path| path.as_str().parse().expect("a path is a URI"))
                .unwrap_or_default();
            let response = sender
                .send_request(http::Request::from_parts(parts, body))
                .await
                .map_err(|_| Error::HttpProtocolError)?;
            let response =
                response.map(|body| body.map_err(|_| Error::HttpProtocolError).boxed_unsync());
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> =
                Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

/// A host that answers with what it was asked, so that nothing can get lost unseen.
async fn upstream() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(|request: http::Request<_>| async move {
                let (parts, body): (_, hyper::body::Incoming) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let content_type = parts.headers.get("content-type").cloned();
                let told = format!(
                    "{} {} {:?} {}",
                    parts.method,
                    parts.uri,
                    content_type,
                    String::from_utf8_lossy(&body)
                );
                let response = http::Response::builder()
                    .status(418)
                    .header("content-type", "text/x-told")
                    .body(Full::new(Bytes::from(told)));
                Ok::<_, hyper::Error>(response.expect("a valid response"))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

/// Runs one request through a fresh instance of the component, as Spin does.
async fn serve(
    manifest: &Manifest,
    tensorgate_url: &str,
    request: http::Request<Full<Bytes>>,
) -> http::Response<Bytes> {
    let path = manifest.source.canonicalize();
    let path = path.expect("the component is built: run `cargo xtask guests`");
    let engine = Engine::default();
    let component = Component::from_file(&engine, path).expect("a component");
    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI links");
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).expect("wasi:http links");
    spin_variables::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)
        .expect("variables link");
    // Linking is the first half of the claim: the shell imports nothing that Spin lacks.
    let pre = linker
        .instantiate_pre(&component)
        .expect("every import is one that Spin has");
    let pre = Arc::new(ProxyPre::new(pre).expect("it exports wasi:http/incoming-handler@0.2"));
    let mut store = Store::new(
        &engine,
        State {
            table: ResourceTable::new(),
            wasi: WasiCtx::builder().build(),
            http: WasiHttpCtx::new(),
            outbound: Outbound(manifest.outbound.clone()),
            tensorgate_url: tensorgate_url.to_owned(),
        },
    );
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
    let request = store
        .data_mut()
        .http()
        .new_incoming_request(Scheme::Http, request);
    let out = store.data_mut().http().new_response_outparam(sender);
    let (request, out) = (request.expect("a request"), out.expect("an outparam"));
    let task = tokio::spawn(async move {
        let proxy = pre.instantiate_async(&mut store).await?;
        let handler = proxy.wasi_http_incoming_handler();
        handler.call_handle(store, request, out).await
    });
    let response = receiver
        .await
        .expect("the component answers")
        .expect("with a response");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("the body arrives").to_bytes();
    task.await
        .expect("the task ends")
        .expect("the component returns");
    http::Response::from_parts(parts, body)
}

fn post(path: &str, body: &'static str) -> http::Request<Full<Bytes>> {
    http::Request::post(format!("http://edge{path}"))
        .header("content-type", "application/json")
        .header("connection", "keep-alive")
        .body(Full::new(Bytes::from(body)))
        .expect("a valid request")
}

#[tokio::test]
async fn passes_requests_and_answers_on_unchanged() {
    let url = format!("http://{}", upstream().await);
    let manifest = manifest(&url);
    assert_eq!(manifest.route, "/v1/...");
    let path = "/v1/models/m%2Fn:predict?x=1";
    let response = serve(&manifest, &url, post(path, r#"{"instances": [1.0]}"#)).await;
    assert_eq!(response.status(), 418);
    assert_eq!(response.headers()["content-type"], "text/x-told");
    assert_eq!(
        response.body(),
        r#"POST /v1/models/m%2Fn:predict?x=1 Some("application/json") {"instances": [1.0]}"#
    );
}

#[tokio::test]
async fn says_so_when_the_host_cannot_be_reached() {
    // Bound and dropped: nobody listens there.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let response = serve(&manifest(&url), &url, post("/v1/models/m:predict", "{}")).await;
    assert_eq!(response.status(), 503);
    let body = String::from_utf8_lossy(response.body()).into_owned();
    assert!(
        body.starts_with("{\n    \"error\": \"the Tensorgate host cannot be reached"),
        "{body}"
    );
}

#[tokio::test]
async fn may_call_its_host_and_nobody_else() {
    let allowed = upstream().await;
    let other = format!("http://{}", upstream().await);
    // The manifest allows one host, the variable points at another.
    let manifest = manifest(&format!("http://{allowed}"));
    let response = serve(&manifest, &other, post("/v1/models/m:predict", "{}")).await;
    assert_eq!(response.status(), 503);
}
