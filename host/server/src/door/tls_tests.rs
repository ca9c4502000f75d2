//! The door behind TLS, and clients with and without certificates.

use tokio_rustls::TlsConnector;

use super::wire_tests::{
    ECHO, call, connect, connections, grpc, http2, serve, stage, status_and_frame, within,
};
use super::*;

/// TLS for a server and its clients.
pub(super) struct Secured {
    pub(super) acceptor: Tls,
    /// Trusts the server, and has a certificate that it trusts.
    known: TlsConnector,
    /// Trusts the server, and has none.
    anonymous: TlsConnector,
}

pub(super) fn secured(verify: bool) -> Secured {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "server_cert: {cert:?} server_key: {key:?} custom_ca: {cert:?} client_verify: {verify}"
    );
    std::fs::write(file.path(), text).unwrap();
    let client = || {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    };
    let connector = |mut config: rustls::ClientConfig| {
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsConnector::from(Arc::new(config))
    };
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let chain = vec![made.cert.der().clone()];
    let known = client().with_client_auth_cert(chain, key.into()).unwrap();
    Secured {
        acceptor: tls_acceptor(file.path()).unwrap(),
        known: connector(known),
        anonymous: connector(client().with_no_client_auth()),
    }
}

/// Whether a call is answered over TLS.
async fn calls(port: u16, tls: &TlsConnector) -> bool {
    let name = "localhost".try_into().unwrap();
    let Ok(stream) = tls.connect(name, connect(port).await).await else {
        return false;
    };
    let Ok(mut client) = http2(stream).await else {
        return false;
    };
    match within(client.send_request(call(ECHO, b"m"))).await {
        Ok(response) => status_and_frame(response).await.0 == "0",
        Err(_) => false,
    }
}

#[tokio::test]
async fn tls_is_for_those_who_are_trusted() {
    let stage = stage();
    let routes = grpc(&stage, GrpcOptions::default());
    let serve_secured = |tls: &Secured| {
        let how = Connections {
            tls: Some(tls.acceptor.clone()),
            ..connections()
        };
        serve(routes.clone(), how)
    };
    let (open, closed) = (secured(false), secured(true));
    let (port, _open) = serve_secured(&open);
    // It holds up nobody that these never end their handshakes.
    let _silent = (connect(port).await, connect(port).await);
    assert!(calls(port, &open.known).await);
    assert!(calls(port, &open.anonymous).await);
    assert!(
        !calls(port, &closed.known).await,
        "it trusts another server"
    );

    let (port, _closed) = serve_secured(&closed);
    assert!(calls(port, &closed.known).await);
    assert!(
        !calls(port, &closed.anonymous).await,
        "it has no certificate"
    );
    assert!(!calls(port, &open.known).await, "it has another's");
}
