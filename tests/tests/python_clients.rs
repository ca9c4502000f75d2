//! TensorFlow Serving's own Python client, and gRPC's own, against the real server.
//!
//! What each case claims is in `tests/python`; here is what the server is started with.

use std::os::unix::fs::symlink;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tensorgate_tests::models::{BasePath, path};
use tensorgate_tests::python::run;
use tensorgate_tests::server::Server;

const BOTH_VERSIONS: &str = "model_version_policy { all {} } \
    version_labels { key: 'stable' value: 2 } version_labels { key: 'canary' value: 3 }";

/// A server of these models, each with both of its versions where it has two.
fn server(models: &[&str], flags: &[&str]) -> Server {
    let paths: Vec<_> = models.iter().map(|name| path(name)).collect();
    let models: Vec<(&str, &Path, &str)> = models
        .iter()
        .zip(&paths)
        .map(|(name, path)| {
            let more = match *name {
                "half_plus_version" => BOTH_VERSIONS,
                _ => "",
            };
            (*name, path.as_path(), more)
        })
        .collect();
    Server::with_models(&models, flags)
}

/// Where the exported models are, for cases that read or serve them.
fn models() -> String {
    let directory = path("half_plus_two");
    let directory = directory.parent().expect("it has a parent");
    directory.display().to_string()
}

#[test]
fn predict() {
    let server = server(
        &[
            "counter",
            "defaults",
            "half_plus_two",
            "half_plus_version",
            "identity",
            "mixed",
            "no_inputs",
            "signatures",
        ],
        &[],
    );
    let cases = [
        "predict.Encodings",
        "predict.Inputs",
        "predict.Outputs",
        "predict.Lookup",
    ];
    run(&server, &cases, &[]);
}

#[test]
fn predict_with_answers_as_tensor_content() {
    let server = server(&["identity"], &["--enable_serialization_as_tensor_content"]);
    run(&server, &["predict.Content"], &[]);
}

#[test]
fn classify_regress_and_multi_inference() {
    let server = server(&["half_plus_two", "estimator", "odd_examples"], &[]);
    let cases = [
        "examples.Classify",
        "examples.Regress",
        "examples.MultiInference",
        "examples.NoMethodNames",
    ];
    run(&server, &cases, &[]);
}

#[test]
fn signatures_with_their_method_names_checked() {
    let server = server(&["odd_examples"], &["--enable_signature_method_name_check"]);
    run(&server, &["examples.MethodNames"], &[]);
}

#[test]
fn metadata_and_status() {
    let server = server(&["half_plus_two", "half_plus_version", "not_tensors"], &[]);
    let cases = ["models.Metadata", "models.Status"];
    run(&server, &cases, &[("TENSORGATE_MODELS", &models())]);
}

#[test]
fn reload() {
    let server = server(
        &["half_plus_two"],
        &["--max_num_load_retries=0", "--load_retry_interval_micros=0"],
    );
    // What the cases name, and a model that cannot be loaded.
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["half_plus_two", "half_plus_version"] {
        symlink(path(name), directory.path().join(name)).expect("a link can be made");
    }
    let broken = BasePath::new();
    broken.publish_corrupt("1");
    symlink(broken.path(), directory.path().join("broken")).expect("a link can be made");
    let models = directory.path().display().to_string();
    run(
        &server,
        &["models.Reload"],
        &[("TENSORGATE_MODELS", &models)],
    );
}

#[test]
fn sizes_compression_and_time() {
    let server = server(&["half_plus_two", "identity", "slow"], &[]);
    let cases = [
        "transport.Sizes",
        "transport.Compression",
        "transport.Time",
        "transport.Unknown",
    ];
    run(&server, &cases, &[]);
}

#[test]
fn a_unix_socket() {
    let directory = tempfile::tempdir().expect("a directory");
    // No character of it is legal in the name of a server, nor left alone by every client.
    let socket = directory.path().join("at [the]: socket@home");
    let flag = format!("--grpc_socket_path={}", socket.display());
    let server = server(&["half_plus_two", "identity"], &[&flag]);
    let target = format!("unix:{}", socket.display());
    run(
        &server,
        &["transport.Address"],
        &[("TENSORGATE_GRPC", &target)],
    );
}

/// Certificates in files, as a client takes them, and the server's SSL config.
struct Certificates {
    directory: TempDir,
}

impl Certificates {
    fn new(client_verify: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = authority();
        let (server, server_key) = issue(&authority, "localhost");
        let (client, client_key) = issue(&authority, "client");
        let (stranger, stranger_key) = issue(&self::authority(), "stranger");
        let config = format!(
            "server_key: {server_key:?} server_cert: {server:?} custom_ca: {:?} \
             client_verify: {client_verify}",
            authority.pem()
        );
        for (name, content) in [
            ("ca.pem", authority.pem()),
            ("client.pem", client),
            ("client.key", client_key),
            ("stranger.pem", stranger),
            ("stranger.key", stranger_key),
            ("ssl.config", config),
        ] {
            std::fs::write(directory.path().join(name), content).expect("it can be written");
        }
        Self { directory }
    }

    fn flag(&self) -> String {
        let config = self.directory.path().join("ssl.config");
        format!("--ssl_config_file={}", config.display())
    }

    fn run(&self, server: &Server, case: &str) {
        let target = format!("localhost:{}", server.grpc_port().expect("a port"));
        let pem = self.directory.path().display().to_string();
        let variables = [
            ("TENSORGATE_GRPC", target.as_str()),
            ("TENSORGATE_PEM", &pem),
        ];
        run(server, &[case], &variables);
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    // Of another name than those that it signs: they would be taken for their own issuers.
    params
        .distinguished_name
        .push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("a certificate")
}

/// A certificate for this name and its key.
fn issue(authority: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn tls() {
    let certificates = Certificates::new(false);
    let server = server(&["half_plus_two"], &[&certificates.flag()]);
    certificates.run(&server, "transport.Encrypted");
}

#[test]
fn tls_with_client_certificates() {
    let certificates = Certificates::new(true);
    let server = server(&["half_plus_two"], &[&certificates.flag()]);
    certificates.run(&server, "transport.Mutual");
}

#[test]
fn health() {
    let server = server(&["half_plus_two"], &["--enable_grpc_healthcheck_service"]);
    run(&server, &["services.Health"], &[]);
}

#[test]
fn reflection_and_no_health() {
    let server = server(&["half_plus_two"], &[]);
    run(&server, &["services.Reflection", "services.NoHealth"], &[]);
}
