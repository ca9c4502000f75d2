//! TLS for the gRPC port, from a file with an `SSLConfig`.
//!
//! The original ends with a crash at most of the mistakes that can be made here; each has an error
//! of its own, at the start.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tensorgate_proto::config::{SslConfig, parse_ssl_config};
use tensorgate_types::Error;
use tokio_rustls::TlsAcceptor;

use crate::files;

/// What is offered to clients: gRPC is HTTP/2 and nothing else.
const PROTOCOL: &[u8] = b"h2";

/// Reads the file.
///
/// # Errors
/// When something in it cannot be used, by its name.
pub(crate) fn acceptor(file: &Path) -> Result<TlsAcceptor, Error> {
    let name = file.display();
    let text = files::text(file).map_err(|error| {
        Error::invalid_argument(format!("cannot read --ssl_config_file {name}: {error}"))
    })?;
    let config = parse_ssl_config(&text).map_err(|error| {
        Error::invalid_argument(format!("Invalid protobuf file: '{name}': {error}"))
    })?;
    server_config(&config)
        .map(|config| TlsAcceptor::from(Arc::new(config)))
        .map_err(|why| Error::invalid_argument(format!("--ssl_config_file {name}: {why}")))
}

fn server_config(config: &SslConfig) -> Result<ServerConfig, String> {
    let chain = certificates("server_cert", &config.server_cert)?;
    let key = PrivateKeyDer::from_pem_slice(config.server_key.as_bytes())
        .map_err(|error| format!("server_key holds no private key in PEM: {error}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if config.client_verify {
        let roots = client_roots(&config.custom_ca)?;
        let verifier: Arc<dyn ClientCertVerifier> =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| format!("custom_ca: {error}"))?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("server_cert and server_key do not fit: {error}"))?;
    server.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(server)
}

fn client_roots(pem: &str) -> Result<RootCertStore, String> {
    if pem.is_empty() {
        return Err(
            "client_verify needs custom_ca: the certificates that sign clients'".to_owned(),
        );
    }
    let mut roots = RootCertStore::empty();
    for certificate in certificates("custom_ca", pem)? {
        roots
            .add(certificate)
            .map_err(|error| format!("custom_ca holds a bad certificate: {error}"))?;
    }
    Ok(roots)
}

fn certificates(field: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{field} is no PEM: {error}"))?;
    if all.is_empty() {
        return Err(format!(
            "{field} holds no certificate in PEM (the contents, not the name of a file)"
        ));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;

    use super::*;

    fn pair() -> (String, String) {
        let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn config(cert: &str, key: &str, ca: &str, verify: bool) -> SslConfig {
        SslConfig {
            server_cert: cert.to_owned(),
            server_key: key.to_owned(),
            custom_ca: ca.to_owned(),
            client_verify: verify,
        }
    }

    #[test]
    fn takes_chains_and_keys_that_fit() {
        let (cert, key) = pair();
        let (other, _) = pair();
        let chain = format!("{cert}{other}");
        for config in [
            config(&cert, &key, "", false),
            config(&chain, &key, "", false),
            config(&cert, &key, &chain, true),
            config(&cert, &key, "not looked at", false),
        ] {
            let server = server_config(&config).unwrap();
            assert_eq!(server.alpn_protocols, [b"h2".to_vec()]);
        }
    }

    #[test]
    fn every_mistake_has_a_name() {
        let (cert, key) = pair();
        let (_, other_key) = pair();
        let broken = cert.replacen("MI", "!!", 1);
        for (config, words) in [
            (
                config("", &key, "", false),
                "server_cert holds no certificate",
            ),
            (
                config("/etc/cert.pem", &key, "", false),
                "the contents, not the name of a file",
            ),
            (config(&broken, &key, "", false), "server_cert"),
            (
                config(&cert, "", "", false),
                "server_key holds no private key",
            ),
            (
                config(&cert, &cert, "", false),
                "server_key holds no private key",
            ),
            (config(&cert, &other_key, "", false), "do not fit"),
            (
                config(&cert, &key, "", true),
                "client_verify needs custom_ca",
            ),
            (
                config(&cert, &key, "x", true),
                "custom_ca holds no certificate",
            ),
        ] {
            let error = server_config(&config).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn files_are_named_in_errors() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().display().to_string();
        std::fs::write(file.path(), "server_kee: 'x'").unwrap();
        let error = acceptor(file.path()).err().unwrap();
        assert!(
            error
                .message()
                .starts_with(&format!("Invalid protobuf file: '{name}'")),
            "{error}"
        );
        let error = acceptor(Path::new("/nowhere/ssl")).err().unwrap();
        assert!(error.message().contains("/nowhere/ssl"), "{error}");
    }
}
