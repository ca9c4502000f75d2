//! The edge as one file, run by a host that has WASI and `wasi:http` 0.2 and nothing else: what
//! `wasmtime serve -Scli` is. wasmtime's own implementation of both, an instance for each request;
//! and that program itself, where there is one.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tensorgate_tests::app::App;
use tensorgate_tests::http::Answer;
use tensorgate_tests::models::path;
use tensorgate_tests::program;
use tensorgate_tests::server::{Server, output, tensorgate};
use tokio::net::TcpStream;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

#[path = "../conformance/table.rs"]
mod table;

/// A built component of the edge.
fn component(name: &str) -> PathBuf {
    let example = program("words");
    let directory = example.ancestors().nth(2).expect("the profile's directory");
    directory.join(format!("tensorgate_{name}.wasm"))
}

/// Composes the edge into one file, as docs/edge.md says.
fn compose(folder: &TempDir, models: &str) -> PathBuf {
    let file = folder.path().join("edge.wasm");
    let mut command = tensorgate();
    command
        .args(["component", "compose"])
        .arg(component("spin_shell"))
        .arg(format!(
            "{models}={}",
            component("remote_inference").display()
        ))
        .arg(format!(
            "--with_denied={}",
            component("identity_processor").display()
        ))
        .arg("-o")
        .arg(&file);
    let composed = output(&mut command);
    let said = String::from_utf8_lossy(&composed.stderr);
    assert!(composed.status.success(), "{said}");
    file
}

struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
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

/// Sends requests wherever they are to go.
struct Outbound;

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
        Box::new(async move {
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

/// The composed edge, ready to be run.
struct Edge {
    engine: Engine,
    pre: ProxyPre<State>,
    url: String,
}

impl Edge {
    /// Linking is the first half of the claim: it imports nothing but WASI.
    fn load(file: &Path, url: String) -> Result<Self, wasmtime::Error> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, file)?;
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        let pre = ProxyPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, pre, url })
    }

    /// Runs one request through a fresh instance.
    async fn serve(&self, request: http::Request<Full<Bytes>>) -> http::Response<Bytes> {
        let state = State {
            table: ResourceTable::new(),
            wasi: WasiCtx::builder().env("TENSORGATE_URL", &self.url).build(),
            http: WasiHttpCtx::new(),
            outbound: Outbound,
        };
        let mut store = Store::new(&self.engine, state);
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
        let request = store
            .data_mut()
            .http()
            .new_incoming_request(Scheme::Http, request);
        let out = store.data_mut().http().new_response_outparam(sender);
        let (request, out) = (request.expect("a request"), out.expect("an outparam"));
        let pre = self.pre.clone();
        let task = tokio::spawn(async move {
            let proxy = pre.instantiate_async(&mut store).await?;
            let handler = proxy.wasi_http_incoming_handler();
            handler.call_handle(store, request, out).await
        });
        let response = receiver.await.expect("the component answers");
        let (parts, body) = response.expect("with a response").into_parts();
        let body = body.collect().await.expect("the body arrives").to_bytes();
        task.await
            .expect("the task ends")
            .expect("the component returns");
        http::Response::from_parts(parts, body)
    }
}

/// What is wrong with an answer of the edge to a case of the table, beside the host's.
fn check(case: &table::Case, at_edge: (u16, &str), at_host: &Answer) -> Vec<String> {
    let (status, body) = at_edge;
    let mut wrong: Vec<String> = case.check(status, body).err().into_iter().collect();
    if (status, body) != (at_host.status, &*at_host.body) {
        wrong.push(format!("{}:\n {at_host:?}\n {at_edge:?}", case.what));
    }
    wrong
}

#[tokio::test]
async fn one_file_answers_the_table_as_the_host_does() {
    let server = Server::with_model("conformance", &path("conformance"), &[]);
    let folder = tempfile::tempdir().expect("a directory");
    let file = compose(&folder, "--with_wasi");
    let url = format!("http://127.0.0.1:{}", server.port());
    let edge = Edge::load(&file, url).expect("it needs WASI alone");
    let mut wrong = Vec::new();
    for case in table::cases() {
        let path = format!("/v1/models/conformance:{}", case.api);
        let request = http::Request::post(format!("http://edge{path}"))
            .body(Full::new(Bytes::from(case.body.clone())))
            .expect("a request");
        let at_edge = edge.serve(request).await;
        let at_host = server.post(&path, &case.body);
        let text = String::from_utf8_lossy(at_edge.body());
        wrong.extend(check(&case, (at_edge.status().as_u16(), &text), &at_host));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs the program wasmtime: `cargo xtask test` runs it where that is on the PATH"]
fn wasmtime_serves_the_file_and_answers_the_table_as_the_host_does() {
    let program = std::env::var_os("TENSORGATE_TEST_WASMTIME");
    let program = program.expect("TENSORGATE_TEST_WASMTIME names the program");
    let server = Server::with_model("conformance", &path("conformance"), &[]);
    let folder = tempfile::tempdir().expect("a directory");
    let file = compose(&folder, "--with_wasi");
    // It says on standard error where it serves.
    let script = "exec \"$0\" serve -Scli --addr 127.0.0.1:0 --env \"$1\" \"$2\" 2>&1";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(program);
    command.arg(format!("TENSORGATE_URL=http://127.0.0.1:{}", server.port()));
    let edge = App::start(command.arg(&file));
    let mut wrong = Vec::new();
    for case in table::cases() {
        let path = format!("/v1/models/conformance:{}", case.api);
        let at_edge = edge.post(&path, &[], &case.body);
        let at_host = server.post(&path, &case.body);
        wrong.extend(check(&case, (at_edge.status, &at_edge.body), &at_host));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_file_for_spin_needs_what_spin_has() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = compose(&folder, "--with");
    let refused = Edge::load(&file, String::new())
        .err()
        .expect("WASI is not enough");
    let refused = format!("{refused:#}");
    assert!(refused.contains("fermyon:spin/"), "{refused}");
}
