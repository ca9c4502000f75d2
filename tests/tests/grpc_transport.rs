//! The gRPC port of the real server, below the level of messages: flags, TLS, UNIX sockets, the
//! standard services and the end.
//!
//! Calls are made with an HTTP/2 library and frames of our own, so that no gRPC library's kindness
//! hides what the server does.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::{NamedTempFile, TempDir};
use tensorgate_tests::models::path;
use tensorgate_tests::server::{Server, output, tensorgate};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// The answers of the health service, framed.
const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";
const NOT_SERVING: &[u8] = b"\0\0\0\0\x02\x08\x02";

type Client = http2::SendRequest<Full<Bytes>>;

async fn client(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> hyper::Result<Client> {
    let io = TokioIo::new(stream);
    let (client, connection) = http2::handshake(TokioExecutor::new(), io).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn connect(server: &Server) -> TcpStream {
    let port = server.grpc_port().expect("it is open");
    TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("somebody listens")
}

fn call(method: &str, message: &[u8]) -> Request<Full<Bytes>> {
    let length = u32::try_from(message.len()).expect("it is short");
    let frame = [&[0][..], &length.to_be_bytes(), message].concat();
    Request::post(format!("http://x{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::from(frame))
        .expect("it is a request")
}

/// The frame, the status and the message of an answer.
async fn ask(client: &mut Client, request: Request<Full<Bytes>>) -> (Bytes, String, String) {
    let response = client.send_request(request).await.expect("it is answered");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("it comes whole");
    let none = HeaderMap::new();
    let trailers = body.trailers().unwrap_or(&none);
    let text = |name: &str| {
        let value = trailers.get(name).or(parts.headers.get(name));
        value.map_or("", |value| value.to_str().expect("it is text"))
    };
    let (status, message) = (
        text("grpc-status").to_owned(),
        text("grpc-message").to_owned(),
    );
    (body.to_bytes(), status, message)
}

fn with_flags(flags: &[&str]) -> Server {
    Server::with_model("m", &path("half_plus_two"), flags)
}

fn refused(flags: &[&str]) -> String {
    let Output { status, stdout, .. } = output(
        tensorgate()
            .args(["serve", "--model_base_path=/m", "--rest_api_port=auto"])
            .args(flags),
    );
    assert_eq!(status.code(), Some(255), "{flags:?}");
    String::from_utf8_lossy(&stdout).into_owned()
}

/// Waits for the server's end, while the clients go on speaking HTTP/2: one that does not say that
/// it heard of the end is waited for as long as `--drain_seconds` says.
async fn ended(mut server: Server) -> Option<i32> {
    let waiting = tokio::task::spawn_blocking(move || server.wait().code());
    waiting.await.expect("it ends")
}

#[tokio::test]
async fn health_is_served_on_the_port_and_on_the_socket() {
    let directory = TempDir::new().expect("a directory");
    let socket = directory.path().join("grpc");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    let flag = format!("--grpc_socket_path={}", socket.display());
    let server = with_flags(&["--enable_grpc_healthcheck_service", &flag]);
    server.wait_for_line("Running gRPC ModelServer at UNIX socket");
    let mut over_tcp = client(connect(&server).await).await.expect("HTTP/2");
    let stream = UnixStream::connect(&socket).await.expect("it was replaced");
    let mut over_unix = client(stream).await.expect("HTTP/2");
    for client in [&mut over_tcp, &mut over_unix] {
        for name in ["", "ModelService", "PredictionService"] {
            let length = u8::try_from(name.len()).expect("it is short");
            let mut message = vec![0x0a, length];
            message.extend(name.as_bytes());
            let (frame, status, _) = ask(client, call(CHECK, &message)).await;
            assert_eq!((&frame[..], status.as_str()), (SERVING, "0"), "{name}");
        }
    }
    // A second server finds that this one answers.
    let said = refused(&["--port=0", &flag]);
    assert!(said.contains("another server answers there"), "{said}");
    server.terminate();
    assert_eq!(ended(server).await, Some(0));
    assert!(!socket.try_exists().expect("it can be looked for"));
}

#[tokio::test]
async fn the_standard_services_are_there_when_asked_for() {
    let server = with_flags(&[]);
    let mut client = client(connect(&server).await).await.expect("HTTP/2");
    let (_, status, _) = ask(&mut client, call(CHECK, b"")).await;
    assert_eq!(status, "12");
    // ServerReflectionRequest { list_services: "*" }
    for version in ["v1", "v1alpha"] {
        let method = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let (frame, status, _) = ask(&mut client, call(&method, b"\x3a\x01*")).await;
        assert_eq!(status, "0");
        let text = String::from_utf8_lossy(&frame);
        for service in [
            "tensorflow.serving.PredictionService",
            "tensorflow.serving.ModelService",
            "grpc.reflection.v1.ServerReflection",
        ] {
            assert!(text.contains(service), "{version}: {text}");
        }
        assert!(!text.contains("grpc.health"), "{text}");
    }
}

#[tokio::test]
async fn a_watcher_hears_of_the_end_and_holds_nobody_up() {
    let server = with_flags(&["--enable_grpc_healthcheck_service", "--drain_seconds=600"]);
    let mut client = client(connect(&server).await).await.expect("HTTP/2");
    let response = client
        .send_request(call(WATCH, b""))
        .await
        .expect("it begins");
    let mut body = response.into_body();
    let first = body.frame().await.expect("a frame").expect("no error");
    assert_eq!(first.into_data().expect("data"), SERVING);
    server.terminate();
    let second = body.frame().await.expect("a frame").expect("no error");
    assert_eq!(second.into_data().expect("data"), NOT_SERVING);
    let end = body.frame().await.expect("a frame").expect("no error");
    let trailers = end.into_trailers().expect("trailers");
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(ended(server).await, Some(0));
}

#[tokio::test]
async fn channel_arguments_act_and_unknown_ones_are_named() {
    let server = with_flags(&[
        "--grpc_channel_arguments=grpc.max_receive_message_length=10,grpc.mystery=1",
        "--grpc_max_message_bytes=1000",
    ]);
    server.wait_for_line("--grpc_channel_arguments: grpc.mystery has no effect");
    let mut client = client(connect(&server).await).await.expect("HTTP/2");
    let method = "/tensorflow.serving.ModelService/GetModelStatus";
    let (_, status, message) = ask(&mut client, call(method, &[0; 11])).await;
    let expected = "Received message larger than max (11 vs. 10)";
    assert_eq!((status.as_str(), message.as_str()), ("8", expected));
}

#[test]
fn contradictions_and_mistakes_end_the_start() {
    let ssl = NamedTempFile::new().expect("a file");
    let ssl_flag = format!("--ssl_config_file={}", ssl.path().display());
    std::fs::write(ssl.path(), "server_key: 'x' server_cert: 'y'").expect("it can be written");
    let letter = NamedTempFile::new().expect("a file");
    let socket = format!("--grpc_socket_path={}", letter.path().display());
    for (flags, words) in [
        (
            &["--port=0", "--rest_api_port=0"][..],
            "INVALID_ARGUMENT: At least one of server_options.grpc_port or \
             server_options.grpc_socket_path must be set.",
        ),
        (
            &["--use_alts_credentials", &ssl_flag],
            "INVALID_ARGUMENT: Either use_alts_credentials must be false or ssl_config_file must \
             be empty.",
        ),
        (
            &["--use_alts_credentials"],
            "ALTS exists inside Google Cloud alone",
        ),
        (&[&ssl_flag], "server_cert holds no certificate in PEM"),
        (
            &["--ssl_config_file=/not/there"],
            "cannot read --ssl_config_file /not/there",
        ),
        (
            &["--grpc_channel_arguments=a=1,b"],
            "\"b\" is not of the form name=value",
        ),
        (
            &["--port=auto", &socket],
            "something is there that is no socket",
        ),
    ] {
        let said = refused(flags);
        assert!(said.contains(words), "{flags:?}: {said}");
        assert!(!said.contains("Running"), "{flags:?}: {said}");
    }
    assert!(letter.path().is_file());
}

/// A certificate for `localhost` that is its own root, and an `SSLConfig` with it.
struct Identity {
    der: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    config: NamedTempFile,
}

impl Identity {
    fn new(more: impl FnOnce(&str) -> String) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.expect("a certificate");
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let config = NamedTempFile::new().expect("a file");
        let text = format!("server_cert: {cert:?} server_key: {key:?} {}", more(&cert));
        std::fs::write(config.path(), text).expect("it can be written");
        Self {
            der: made.cert.der().clone(),
            key: PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()),
            config,
        }
    }

    fn server(&self) -> Server {
        let file: &Path = self.config.path();
        let flag = format!("--ssl_config_file={}", file.display());
        let server = with_flags(&["--enable_grpc_healthcheck_service", &flag]);
        server.wait_for_line("Using SSL credentials");
        server
    }

    /// A client that trusts this, and shows a certificate where it has one.
    fn connector(&self, shown: Option<&Self>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("it is a root");
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("it has versions")
            .with_root_certificates(roots);
        let mut config = match shown {
            None => config.with_no_client_auth(),
            Some(identity) => config
                .with_client_auth_cert(vec![identity.der.clone()], identity.key.clone_key().into())
                .expect("they fit"),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

/// Whether the server answers this client.
async fn is_answered(server: &Server, tls: &TlsConnector) -> bool {
    let name = "localhost".try_into().expect("it is a name");
    let Ok(stream) = tls.connect(name, connect(server).await).await else {
        return false;
    };
    let Ok(mut client) = client(stream).await else {
        return false;
    };
    client.send_request(call(CHECK, b"")).await.is_ok()
}

#[tokio::test]
async fn tls_is_what_the_file_says() {
    let open = Identity::new(|_| String::new());
    let server = open.server();
    assert!(is_answered(&server, &open.connector(None)).await);
    let strict = Identity::new(|cert| format!("custom_ca: {cert:?} client_verify: true"));
    assert!(!is_answered(&server, &strict.connector(None)).await);
    drop(server);
    let server = strict.server();
    assert!(is_answered(&server, &strict.connector(Some(&strict))).await);
    assert!(!is_answered(&server, &strict.connector(None)).await);
    server.wait_for_line("failed: peer sent no certificates");
    assert!(!is_answered(&server, &strict.connector(Some(&open))).await);
    server.wait_for_line("failed: invalid peer certificate: ");
    // Who speaks no TLS is not answered, and harms nobody.
    let plain = async { client(connect(&server).await).await };
    if let Ok(Ok(mut plain)) = tokio::time::timeout(Duration::from_secs(60), plain).await {
        assert!(plain.send_request(call(CHECK, b"")).await.is_err());
    }
    assert!(is_answered(&server, &strict.connector(Some(&strict))).await);
}
