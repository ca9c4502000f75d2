//! Certificates that rustls alone would not take, or refuse without saying why.

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, KeyPair, PublicKeyData as _, SigningKey as _,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::*;

/// A certificate and its key.
struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Identity {
    /// Signed by itself.
    fn new(is_ca: IsCa) -> Self {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, key }
    }

    /// What `openssl x509 -req` makes when it is told nothing more: no version, no extensions.
    fn of_version_1(self) -> Self {
        let (_, certificate, _) = element(&self.certificate);
        let (_, mut signed, rest) = element(certificate);
        let (algorithm, ..) = element(rest);
        let mut fields = Vec::new();
        while !signed.is_empty() {
            let (field, _, rest) = element(signed);
            if !matches!(field[0], 0xa0 | 0xa3) {
                fields.push(field);
            }
            signed = rest;
        }
        let signed = sequence(&fields);
        let signature = self.key.sign(&signed).unwrap();
        let length = u8::try_from(signature.len() + 1).unwrap();
        let signature = [&[3, length, 0], &*signature].concat();
        Self {
            certificate: sequence(&[&signed, algorithm, &signature]).into(),
            ..self
        }
    }

    fn pem(&self) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    fn certified_key(&self) -> CertifiedKey {
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der()).into();
        let key = ring::sign::any_supported_type(&key).unwrap();
        CertifiedKey::new(vec![self.certificate.clone()], key)
    }
}

/// The first element of `der`, what is in it, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (header, length) = match der[1] {
        short @ 0..0x80 => (2, usize::from(short)),
        long => {
            let header = 2 + usize::from(long & 0x7f);
            let bytes = der[2..header].iter();
            (
                header,
                bytes.fold(0, |all, byte| (all << 8) | usize::from(*byte)),
            )
        }
    };
    let (whole, rest) = der.split_at(header + length);
    (whole, &whole[header..], rest)
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match (high, low) {
        (0, 0..0x80) => vec![0x30, low],
        (0, _) => vec![0x30, 0x81, low],
        _ => vec![0x30, 0x82, high, low],
    };
    [header, content].concat()
}

/// Trusts one server, whatever its certificate looks like, as BoringSSL would.
#[derive(Debug)]
struct Exactly {
    certificate: CertificateDer<'static>,
    key: SubjectPublicKeyInfoDer<'static>,
}

impl ServerCertVerifier for Exactly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        assert_eq!(end_entity, &self.certificate);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 was asked for".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &self.key, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn server(server: &Identity, ca: &Identity, verify: bool) -> Result<Tls, Error> {
    server_with_key(server, &server.key, ca, verify)
}

fn server_with_key(
    server: &Identity,
    key: &KeyPair,
    ca: &Identity,
    verify: bool,
) -> Result<Tls, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (cert, key, ca) = (server.pem(), key.serialize_pem(), ca.pem());
    let text = format!(
        "server_cert: {cert:?} server_key: {key:?} custom_ca: {ca:?} client_verify: {verify}"
    );
    std::fs::write(file.path(), text).unwrap();
    tls_acceptor(file.path())
}

/// What the server makes of a client with a certificate.
async fn handshake(tls: &Tls, server: &Identity, client: &Identity) -> Result<(), String> {
    let trust = Exactly {
        certificate: server.certificate.clone(),
        key: server.key.subject_public_key_info().into(),
    };
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(client.certified_key())));
    let connector = TlsConnector::from(Arc::new(config));
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = "localhost".try_into().unwrap();
    let (accepted, connected) = tokio::join!(
        tls.accept(Box::new(near), None),
        connector.connect(name, far)
    );
    connected.expect("the client trusts the server");
    accepted.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_server_may_have_a_certificate_of_version_1() {
    let own = Identity::new(IsCa::NoCa).of_version_1();
    let other = Identity::new(IsCa::NoCa);
    let tls = server(&own, &own, false).unwrap();
    assert_eq!(handshake(&tls, &own, &other).await, Ok(()));
    for identity in [&own, &other] {
        let foreign = KeyPair::generate().unwrap();
        let error = server_with_key(identity, &foreign, &own, false);
        let error = error.err().unwrap();
        assert!(
            error.message().ends_with(
                "server_cert and server_key do not fit: the key is not that of the first \
                 certificate"
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_client_s_certificate_may_be_the_custom_ca_itself() {
    let authority = || Identity::new(IsCa::Ca(BasicConstraints::Unconstrained));
    let (ours, theirs) = (authority(), authority());
    let tls = server(&ours, &ours, true).unwrap();
    assert_eq!(handshake(&tls, &ours, &ours).await, Ok(()));
    let refused = handshake(&tls, &ours, &theirs).await.unwrap_err();
    assert!(refused.contains("is none of custom_ca itself"), "{refused}");
    // The certificate is no secret: it is the key that counts.
    let thief = Identity {
        certificate: ours.certificate.clone(),
        key: theirs.key,
    };
    let refused = handshake(&tls, &ours, &thief).await.unwrap_err();
    assert!(refused.contains("BadSignature"), "{refused}");
}

#[tokio::test]
async fn a_client_s_certificate_of_version_1_is_refused_with_the_reason() {
    let old = Identity::new(IsCa::NoCa).of_version_1();
    let tls = server(&old, &old, true).unwrap();
    let refused = handshake(&tls, &old, &old).await.unwrap_err();
    assert!(refused.contains("is X.509 version 1"), "{refused}");
    assert!(refused.contains("-extfile"), "{refused}");
}
