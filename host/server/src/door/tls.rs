//! TLS for the gRPC port, from a file with an `SSLConfig`.
//!
//! The original ends with a crash at most of the mistakes that can be made here; each has an error
//! of its own, at the start.
//!
//! **Invariant:** what the original's library takes and rustls alone would not is taken only where
//! nothing is left unchecked: [`Clients`] says what.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use tensorgate_proto::config::{SslConfig, parse_ssl_config};
use tensorgate_types::Error;

use super::tls_clients::Clients;
use super::tls_failures::Tls;

use crate::files;

/// What is offered to clients: gRPC is HTTP/2 and nothing else.
const PROTOCOL: &[u8] = b"h2";

/// Reads the file.
///
/// # Errors
/// When something in it cannot be used, by its name.
pub(crate) fn acceptor(file: &Path) -> Result<Tls, Error> {
    let name = file.display();
    let text = files::text(file).map_err(|error| {
        Error::invalid_argument(format!("cannot read --ssl_config_file {name}: {error}"))
    })?;
    let config = parse_ssl_config(&text).map_err(|error| {
        Error::invalid_argument(format!("Invalid protobuf file: '{name}': {error}"))
    })?;
    server_config(&config)
        .map(Tls::new)
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
        let trusted = client_roots(&config.custom_ca)?;
        let clients = Clients::new(trusted, Arc::clone(&provider))?;
        builder.with_client_cert_verifier(Arc::new(clients))
    } else {
        builder.with_no_client_auth()
    };
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| format!("server_key is of no kind that can be used: {error}"))?;
    let pair = CertifiedKey::new(chain, key);
    fit(&pair)?;
    let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    server.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(server)
}

/// Whether the key is the certificate's.
fn fit(pair: &CertifiedKey) -> Result<(), String> {
    let fits = match pair.keys_match() {
        // A key that does not tell its public half shows at the first handshake.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => true,
        Err(rustls::Error::InconsistentKeys(_)) => false,
        // Certificates of version 1, which many a script makes, are read as trust anchors alone.
        // Whether to take one is the client's affair.
        Err(_) => is_of_version_1_and_fits(pair)?,
    };
    if fits {
        return Ok(());
    }
    Err(
        "server_cert and server_key do not fit: the key is not that of the first certificate"
            .to_owned(),
    )
}

fn is_of_version_1_and_fits(pair: &CertifiedKey) -> Result<bool, String> {
    let bad = |error| format!("server_cert holds a bad certificate: {error}");
    let certificate = pair.end_entity_cert().map_err(bad)?;
    let mut store = RootCertStore::empty();
    store.add(certificate.clone().into_owned()).map_err(bad)?;
    let certified = store.roots.first().map(|it| &it.subject_public_key_info);
    let key = pair.key.public_key();
    Ok(key.zip(certified).is_none_or(|(key, certified)| {
        // The key is a whole SEQUENCE, the anchor's what is in it: tag and length go before.
        let before = key.len().wrapping_sub(certified.len());
        (2..=4).contains(&before) && key.ends_with(certified)
    }))
}

fn client_roots(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    if pem.is_empty() {
        return Err(
            "client_verify needs custom_ca: the certificates that sign clients'".to_owned(),
        );
    }
    certificates("custom_ca", pem)
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
