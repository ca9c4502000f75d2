//! Which clients' certificates are taken.
//!
//! Those that chain to one of `custom_ca`, as webpki has it, and one more kind: a certificate that
//! is itself one of `custom_ca`, byte for byte, although it says that it is an authority's. The
//! plainest of all set-ups, one self-signed certificate for everything, is of that kind, and the
//! original's library takes it.
//!
//! **Invariant:** the client has shown that it holds the certificate's key, and its dates were
//! looked at, in every case. webpki reads certificates of version 3 only, so others are refused,
//! and the reason says so.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

/// The verifier of clients' certificates.
#[derive(Debug)]
pub(super) struct Clients {
    chains: Arc<dyn ClientCertVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

/// Why a certificate is refused, in words for the log.
#[derive(Debug)]
struct Refused(&'static str);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}

const VERSION: &str = "the certificate is X.509 version 1 and only \
     version 3 is taken from clients; `openssl x509 -req -extfile FILE` makes it of version 3 \
     when FILE has a line like `basicConstraints=CA:FALSE`";

const AUTHORITY: &str = "the certificate says that it is an authority's (CA:TRUE) and is none of \
     custom_ca itself; `basicConstraints=CA:FALSE` makes it a client's";

impl Clients {
    /// # Errors
    /// When one of `trusted` is no certificate.
    pub(super) fn new(
        trusted: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in &trusted {
            roots
                .add(certificate.clone())
                .map_err(|error| format!("custom_ca holds a bad certificate: {error}"))?;
        }
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| format!("custom_ca: {error}"))?;
        Ok(Self { chains, trusted })
    }
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refused = match self
            .chains
            .verify_client_cert(end_entity, intermediates, now)
        {
            Err(Error::InvalidCertificate(CertificateError::Other(why))) => why,
            verified => return verified,
        };
        // webpki's own names, which rustls hands on without a type. One that changes is a refusal
        // in webpki's words.
        let why = match refused.to_string().as_str() {
            // It comes after the dates were looked at.
            "CaUsedAsEndEntity" if self.trusted.contains(end_entity) => {
                return Ok(ClientCertVerified::assertion());
            }
            "CaUsedAsEndEntity" => AUTHORITY,
            "UnsupportedCertVersion" => VERSION,
            _ => return Err(CertificateError::Other(refused).into()),
        };
        Err(CertificateError::Other(OtherError(Arc::new(Refused(why)))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
