//! How a test loads a program and calls it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tensorgate_edge::{
    EdgeEngine, EdgeError, EdgeLimits, Gateway, GrpcRequest, GrpcResponse, LoadError, RestRequest,
    RestResponse,
};
use tensorgate_types::{Deadline, Error};

use crate::fake::Fake;

const MIB: usize = 1 << 20;

/// Small enough to be met by a test, large enough for an ordinary request on a busy machine.
pub(crate) fn limits() -> EdgeLimits {
    EdgeLimits {
        slots: 8,
        waiting: 100,
        guest_time: Duration::from_secs(2),
        memory: 64 * MIB,
        request_bytes: 16 * MIB,
        response_bytes: 4 * MIB,
        grpc_request_bytes: 48 * MIB,
        grpc_response_bytes: 48 * MIB,
        ..EdgeLimits::default()
    }
}

/// An engine that keeps what it compiles for the next test.
pub(crate) fn engine(limits: EdgeLimits) -> EdgeEngine {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("components");
    EdgeEngine::new(limits, Some(&cache)).expect("an engine")
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("two rooms deep").to_owned()
}

/// The component of a test program.
pub(crate) fn program(name: &str) -> Bytes {
    let built = root().join("target/guests/wasm32-wasip2/guest/examples");
    let path = built.join(format!("{name}.wasm"));
    match std::fs::read(&path) {
        Ok(wasm) => wasm.into(),
        Err(error) => panic!("{}: {error}; run `cargo xtask guests`", path.display()),
    }
}

/// The gateway of this house, as the server has it built in.
pub(crate) fn gateway_component() -> Bytes {
    let path = root().join("target/guests/wasm32-wasip2/guest/tensorgate_gateway.wasm");
    match std::fs::read(&path) {
        Ok(wasm) => wasm.into(),
        Err(error) => panic!("{}: {error}; run `cargo xtask guests`", path.display()),
    }
}

pub(crate) async fn load(
    engine: &EdgeEngine,
    wasm: Bytes,
    fake: &Fake,
) -> Result<Gateway, LoadError> {
    engine.load(wasm, fake.services()).await
}

/// A program on an engine of its own.
pub(crate) struct Sandbox {
    pub(crate) engine: EdgeEngine,
    pub(crate) gateway: Gateway,
    pub(crate) fake: Fake,
}

impl Sandbox {
    pub(crate) async fn with(name: &str, limits: EdgeLimits, fake: Fake) -> Self {
        let engine = engine(limits);
        let gateway = load(&engine, program(name), &fake)
            .await
            .expect("a program");
        Self {
            engine,
            gateway,
            fake,
        }
    }

    pub(crate) async fn new(name: &str) -> Self {
        Self::with(name, limits(), Fake::ready()).await
    }

    /// Calls the program, with no deadline.
    pub(crate) async fn call(&self, path: &str) -> Result<RestResponse, EdgeError> {
        self.gateway
            .handle(request(path, b""), Deadline::NEVER)
            .await
    }

    /// Calls the program, which must answer; status and text of the answer.
    pub(crate) async fn answer(&self, path: &str, body: &'static [u8]) -> (u16, String) {
        let response = self
            .gateway
            .handle(request(path, body), Deadline::NEVER)
            .await
            .expect("an answer");
        (response.status, text(&response))
    }

    /// Calls the program while an ordinary one answers on the same engine.
    pub(crate) async fn call_beside_ordinary(
        &self,
        path: &str,
        deadline: Deadline,
    ) -> Result<RestResponse, EdgeError> {
        self.beside_ordinary(self.gateway.handle(request(path, b""), deadline))
            .await
    }

    /// Lets an ordinary program answer on the same engine meanwhile.
    pub(crate) async fn beside_ordinary<T>(&self, hostile: impl Future<Output = T>) -> T {
        let ordinary = load(&self.engine, program("echo"), &Fake::ready())
            .await
            .expect("a program");
        let others = async {
            for _ in 0..20 {
                let body = [1f32, 2.5].map(f32::to_le_bytes).concat();
                let request = RestRequest {
                    path: "/predict".to_owned(),
                    body: body.into(),
                    ..RestRequest::default()
                };
                let response = ordinary.handle(request, Deadline::NEVER).await;
                let doubled = [2f32, 5.0].map(f32::to_le_bytes).concat();
                assert_eq!(response.expect("an ordinary answer").body, doubled);
            }
        };
        tokio::join!(hostile, others).0
    }

    /// Makes a gRPC call, with no deadline.
    pub(crate) async fn call_grpc(
        &self,
        method: &str,
        message: impl Into<Bytes>,
    ) -> Result<Result<GrpcResponse, Error>, EdgeError> {
        let request = GrpcRequest {
            method: method.to_owned(),
            message: message.into(),
        };
        self.gateway.handle_grpc(request, Deadline::NEVER).await
    }

    /// Makes a gRPC call, which the program must answer or refuse by itself; the message in one
    /// piece.
    pub(crate) async fn grpc(
        &self,
        method: &str,
        message: impl Into<Bytes>,
    ) -> Result<Vec<u8>, Error> {
        let answer = self.call_grpc(method, message).await.expect(method);
        answer.map(|answer| answer.chunks.concat())
    }

    /// After whatever happened: the house is clean, and the next request is answered.
    pub(crate) async fn assert_unharmed(&self) {
        assert_eq!(self.fake.held(), 0, "models are held by nobody");
        assert_eq!(self.engine.occupancy(), (0, 0));
        let echo = load(&self.engine, program("echo"), &self.fake)
            .await
            .expect("a program");
        let response = echo.handle(request("/x", b""), Deadline::NEVER).await;
        assert_eq!(response.expect("an answer").status, 200);
    }
}

pub(crate) fn request(path: &str, body: &'static [u8]) -> RestRequest {
    RestRequest {
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: Bytes::from_static(body),
    }
}

pub(crate) fn text(response: &RestResponse) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}
