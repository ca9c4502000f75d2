//! Messages and frames that are wrong, by the thousand, the same ones every time: each call ends
//! with a status, no instance of the gateway traps, memory stays bounded, and the server answers
//! rightly afterwards.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use tensorgate_tests::PATIENCE;
use tensorgate_tests::grpc::{Client, Reply, frame, wire};
use tensorgate_tests::models::path;
use tensorgate_tests::mutate::{Dice, mutate};
use tensorgate_tests::server::Server;

const PREDICT: &str = "/tensorflow.serving.PredictionService/Predict";
const RELOAD: &str = "/tensorflow.serving.ModelService/HandleReloadConfigRequest";

/// More than the server ever needs for what is sent here, and far less than what the messages
/// claim to hold.
const MEMORY: u64 = 3 << 30;

const OK: u32 = 0;
const INVALID_ARGUMENT: u32 = 3;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;

fn server(flags: &[&str]) -> Server {
    let paths = ["estimator", "half_plus_two", "identity", "mixed"].map(|name| (name, path(name)));
    let models: Vec<(&str, &Path, &str)> = paths
        .iter()
        .map(|(name, path)| (*name, path.as_path(), ""))
        .collect();
    Server::with_models(&models, flags)
}

fn client(server: &Server) -> Client {
    Client::connect(server.grpc_port().expect("a port"))
}

/// Half plus two of 1, 2 and 5, over a connection of its own.
fn assert_answers(server: &Server) {
    let request = wire::predict(
        "half_plus_two",
        "",
        &[("x", wire::floats(&[1.0, 2.0, 5.0]))],
    );
    let answer = client(server).call(PREDICT, &request).into_message();
    // Packed float_val, whatever stands around it.
    let values: Vec<u8> = [2.5f32, 3.0, 4.5]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let field = wire::bytes(5, &values);
    assert!(
        answer.windows(field.len()).any(|window| window == field),
        "{answer:?}"
    );
    assert!(server.peak_memory() < MEMORY, "{}", server.peak_memory());
    let log = server.log();
    for word in ["panicked", "trapped", "wasm trap", "unreachable"] {
        assert!(!log.contains(word), "{log}");
    }
}

/// A tf.Example with one float.
fn example(name: &str, value: f32) -> Vec<u8> {
    let list = wire::bytes(1, &value.to_le_bytes());
    let feature = wire::bytes(2, &list);
    let entry = [wire::bytes(1, name.as_bytes()), wire::bytes(2, &feature)].concat();
    wire::bytes(1, &wire::bytes(1, &entry))
}

/// Valid calls: a method and its message.
fn calls() -> Vec<(&'static str, Vec<u8>)> {
    const CLASSIFY: &str = "/tensorflow.serving.PredictionService/Classify";
    const REGRESS: &str = "/tensorflow.serving.PredictionService/Regress";
    const MULTI: &str = "/tensorflow.serving.PredictionService/MultiInference";
    const METADATA: &str = "/tensorflow.serving.PredictionService/GetModelMetadata";
    const STATUS: &str = "/tensorflow.serving.ModelService/GetModelStatus";

    let typed = [1.0f32, 2.0].map(f32::to_le_bytes).concat();
    let typed = wire::tensor(1, &[2], &wire::bytes(5, &typed));
    let longs = wire::tensor(9, &[2], &wire::bytes(10, &[1, 2]));
    let strings = [wire::bytes(8, b"a"), wire::bytes(8, b"\xff")].concat();
    let strings = wire::tensor(7, &[2], &strings);
    // Larger than what the gateway is given of a message at first.
    let large = wire::floats(&vec![0.5; 50_000]);
    let packed = wire::tensor(7, &[2], &wire::bytes(4, b"\x01\x02abc"));
    let mixed = [("a", typed.clone()), ("b", longs), ("c", strings)];
    let list = [example("x", 1.0), example("x", 2.0)].map(|one| wire::bytes(1, &one));
    let input = wire::bytes(2, &wire::bytes(1, &list.concat()));
    let context = [
        wire::bytes(1, &example("x", 1.0)),
        wire::bytes(2, &example("x", 3.0)),
    ];
    let with_context = wire::bytes(2, &wire::bytes(2, &context.concat()));
    let of = |signature: &str| wire::bytes(1, &wire::spec("half_plus_two", signature));
    let task = |signature: &str, method: &[u8]| {
        wire::bytes(1, &[of(signature), wire::bytes(2, method)].concat())
    };
    let tasks = [
        task("regress_x_to_y", b"tensorflow/serving/regress"),
        task("classify_x_to_y", b"tensorflow/serving/classify"),
        input.clone(),
    ];
    let filtered = [
        wire::predict("mixed", "", &mixed),
        wire::bytes(3, b"total"),
        wire::bytes(3, b"joined"),
    ];
    vec![
        (PREDICT, wire::predict("half_plus_two", "", &[("x", typed)])),
        (PREDICT, filtered.concat()),
        (PREDICT, wire::predict("identity", "float", &[("x", large)])),
        (
            PREDICT,
            wire::predict("identity", "string", &[("x", packed)]),
        ),
        (CLASSIFY, [of("classify_x_to_y"), input].concat()),
        (REGRESS, [of("regress_x_to_y"), with_context].concat()),
        (MULTI, tasks.concat()),
        (
            METADATA,
            [of(""), wire::bytes(2, b"signature_def")].concat(),
        ),
        (STATUS, of("")),
    ]
}

/// A status that gRPC knows, in an answer that is HTTP's 200.
fn assert_ended(reply: &Reply, what: &dyn std::fmt::Debug) -> u32 {
    assert_eq!(reply.http, 200, "{what:?}: {reply:?}");
    let status = reply
        .status
        .unwrap_or_else(|| panic!("{what:?}: {reply:?}"));
    assert!(status <= 16, "{what:?}: {reply:?}");
    status
}

/// What is no message at all is `INTERNAL`, as gRPC's own servers have it. Nothing else is: that
/// would be a fault of the gateway.
fn assert_blames_the_message(reply: &Reply, what: &dyn std::fmt::Debug) {
    let is_blamed = reply.message.starts_with("cannot parse tensorflow.");
    assert!(
        reply.status != Some(INTERNAL) || is_blamed,
        "{what:?}: {}",
        reply.message
    );
}

#[test]
fn spoiled_messages_get_a_status_each() {
    const ROUNDS: usize = 700;
    let server = server(&[]);
    let calls = calls();
    let mut client = client(&server);
    for (method, message) in &calls {
        let reply = client.call(method, message);
        assert_eq!(reply.status, Some(OK), "{method}: {}", reply.message);
    }
    let others: Vec<Vec<u8>> = calls.iter().map(|(_, message)| message.clone()).collect();
    let mut dice = Dice::new(0x7e45_0467);
    let mut statuses = BTreeMap::new();
    for round in 0..ROUNDS {
        for (method, message) in &calls {
            let spoiled = mutate(message, &others, &mut dice);
            let reply = client.call(method, &spoiled);
            let status = assert_ended(&reply, &(round, method));
            assert_blames_the_message(&reply, &(round, method));
            *statuses.entry(status).or_insert(0) += 1;
        }
    }
    assert_answers(&server);
    // Spoiled in many ways: some were still messages, most were not.
    assert!(statuses.len() >= 4, "{statuses:?}");
    let refused: usize = [INVALID_ARGUMENT, INTERNAL]
        .iter()
        .filter_map(|status| statuses.get(status))
        .sum();
    assert!(refused > 2 * ROUNDS, "{statuses:?}");
}

#[test]
fn spoiled_configurations_get_a_status_each() {
    let server = server(&["--max_num_load_retries=0"]);
    let mut client = client(&server);
    let base = path("half_plus_two");
    let config = [
        wire::bytes(1, b"half_plus_two"),
        wire::bytes(2, base.as_os_str().as_encoded_bytes()),
        wire::bytes(4, b"tensorflow"),
        wire::bytes(7, &wire::bytes(100, &wire::number(1, 1))),
        wire::bytes(
            8,
            &[wire::bytes(1, b"stable"), wire::number(2, 123)].concat(),
        ),
    ];
    let list = wire::bytes(1, &wire::bytes(1, &config.concat()));
    let valid = wire::bytes(1, &list);
    assert_eq!(client.call(RELOAD, &valid).status, Some(OK));
    let mut dice = Dice::new(0x004e_10ad);
    for round in 0..200 {
        let spoiled = mutate(&valid, std::slice::from_ref(&valid), &mut dice);
        // A model that is not there is waited for: not here.
        let soon = [("grpc-timeout", "100m")];
        let body = [&frame(0, spoiled.len())[..], &spoiled].concat();
        let reply = client.send(RELOAD, &soon, Bytes::from(body));
        let reply = reply.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_ended(&reply, &round);
        assert_blames_the_message(&reply, &round);
    }
    // Some of them were configurations, without the model.
    assert_eq!(client.call(RELOAD, &valid).status, Some(OK));
    assert_answers(&server);
}

#[test]
fn messages_that_claim_too_much_are_refused() {
    let server = server(&[]);
    let mut client = client(&server);
    let predict = |tensor: Vec<u8>| wire::predict("identity", "float", &[("x", tensor)]);
    let value = wire::bytes(5, &1.0f32.to_le_bytes());
    let nested = (0..5000).fold(wire::number(1, 21), |inner, _| {
        // VariantTensorDataProto.tensors inside TensorProto.variant_val.
        wire::bytes(15, &wire::bytes(3, &inner))
    });
    let many_inputs: Vec<u8> = (0..100_000)
        .flat_map(|index| wire::bytes(2, &wire::bytes(1, format!("{index}").as_bytes())))
        .collect();
    for (what, message) in [
        (
            "a shape of 2^62 elements",
            predict(wire::tensor(1, &[1 << 62], &value)),
        ),
        (
            "a shape that overflows",
            predict(wire::tensor(1, &[1 << 40, 1 << 40], &value)),
        ),
        (
            "a product that is 0 modulo 2^64",
            predict(wire::tensor(1, &[1 << 32, 1 << 32], &value)),
        ),
        (
            "a negative dimension",
            predict(wire::tensor(1, &[u64::MAX], &value)),
        ),
        (
            "300 dimensions",
            predict(wire::tensor(1, &[1; 300], &value)),
        ),
        (
            "a billion copies of one value",
            predict(wire::tensor(1, &[1 << 30], &value)),
        ),
        ("a billion strings", {
            let tensor = wire::tensor(7, &[1 << 30], &wire::bytes(8, b"word"));
            wire::predict("identity", "string", &[("x", tensor)])
        }),
        (
            "zero times 2^62",
            predict(wire::tensor(1, &[0, 1 << 62, 1 << 62], &value)),
        ),
        ("tensors within tensors", predict(nested)),
        (
            "100,000 inputs",
            [wire::predict("identity", "", &[]), many_inputs].concat(),
        ),
        (
            "a name of a megabyte",
            wire::predict(&"n".repeat(1 << 20), "", &[]),
        ),
    ] {
        let reply = client.call(PREDICT, &message);
        let status = assert_ended(&reply, &what);
        assert_ne!(status, OK, "{what}");
        assert_blames_the_message(&reply, &what);
        assert!(reply.message.len() < 16 << 10, "{what}: a long message");
    }
    assert_answers(&server);
}

#[test]
fn wrong_frames_get_a_status_each() {
    let server = server(&[]);
    let mut client = client(&server);
    let message = wire::predict("half_plus_two", "", &[("x", wire::floats(&[1.0]))]);
    let framed = |flag, length| [&frame(flag, length)[..], &message].concat();
    let whole = message.len();
    let twice = [framed(0, whole), framed(0, whole)].concat();
    for (what, headers, body) in [
        ("nothing", &[][..], Vec::new()),
        ("half a prefix", &[], vec![0, 0]),
        ("a prefix alone", &[], frame(0, whole).to_vec()),
        (
            "a message that is cut",
            &[],
            framed(0, whole)[..whole].to_vec(),
        ),
        ("a length beyond the message", &[], framed(0, whole + 1)),
        (
            "the greatest length",
            &[],
            [&[0, 255, 255, 255, 255], &message[..]].concat(),
        ),
        ("a length within the message", &[], framed(0, whole - 1)),
        ("two messages", &[], twice),
        ("a flag that there is not", &[], framed(2, whole)),
        ("compressed, and does not say how", &[], framed(1, whole)),
        (
            "compressed, it says, as nothing",
            &[("grpc-encoding", "identity")],
            framed(1, whole),
        ),
        (
            "an encoding that there is not",
            &[("grpc-encoding", "br")],
            framed(1, whole),
        ),
        ("no gzip", &[("grpc-encoding", "gzip")], framed(1, whole)),
        (
            "no deflate",
            &[("grpc-encoding", "deflate")],
            framed(1, whole),
        ),
        (
            "a timeout that is none",
            &[("grpc-timeout", "soon")],
            framed(0, whole),
        ),
    ] {
        let reply = client.send(PREDICT, headers, Bytes::from(body));
        let reply = reply.unwrap_or_else(|error| panic!("{what}: {error}"));
        let status = assert_ended(&reply, &what);
        // The original, too, takes the first of several messages and leaves it at that.
        if what != "two messages" {
            assert_ne!(status, OK, "{what}");
        }
        if what == "an encoding that there is not" {
            assert_eq!(status, UNIMPLEMENTED, "{}", reply.message);
        }
    }
    assert_answers(&server);
}

#[test]
fn compressed_bombs_are_refused() {
    let server = server(&["--grpc_max_message_bytes=16777216"]);
    let mut client = client(&server);
    let zeros = vec![0; 1 << 20];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::best());
    for _ in 0..1024 {
        gzip.write_all(&zeros).expect("memory takes it");
        deflate.write_all(&zeros).expect("memory takes it");
    }
    let gzip = gzip.finish().expect("memory takes it");
    let deflate = deflate.finish().expect("memory takes it");
    let before = server.peak_memory();
    for (encoding, bomb) in [("gzip", gzip), ("deflate", deflate)] {
        let body = [&frame(1, bomb.len())[..], &bomb].concat();
        let reply = client
            .send(PREDICT, &[("grpc-encoding", encoding)], Bytes::from(body))
            .expect("an answer");
        assert_eq!(
            assert_ended(&reply, &encoding),
            RESOURCE_EXHAUSTED,
            "{}",
            reply.message
        );
    }
    // A gigabyte each, of which a few megabytes were unpacked at most.
    assert!(server.peak_memory() - before < 256 << 20);
    assert_answers(&server);
}

#[test]
fn what_is_no_http2_ends_and_harms_nobody() {
    let server = server(&[]);
    let port = server.grpc_port().expect("a port");
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let headers_of = |length: [u8; 3], kind: u8, flags: u8, stream: u32, rest: &[u8]| {
        [&length[..], &[kind, flags], &stream.to_be_bytes(), rest].concat()
    };
    let settings = headers_of([0, 0, 0], 4, 0, 0, &[]);
    let after = |frame: Vec<u8>| [&preface[..], &settings, &frame].concat();
    let continuation = headers_of([0, 0, 1], 9, 0, 1, b"x");
    for (what, bytes) in [
        ("nonsense", b"\xff\x00\xaa nonsense\r\n\r\n".to_vec()),
        (
            "a TLS hello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        ),
        ("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n".to_vec()),
        ("half a preface", preface[..10].to_vec()),
        (
            "a preface with a typing error",
            b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n".to_vec(),
        ),
        (
            "a frame of 16 MB",
            after(headers_of([255, 255, 255], 0, 0, 1, b"x")),
        ),
        (
            "data of no stream",
            after(headers_of([0, 0, 1], 0, 0, 1, b"x")),
        ),
        (
            "headers that are no HPACK",
            after(headers_of([0, 0, 4], 1, 4, 1, &[0xff; 4])),
        ),
        (
            "settings of five bytes",
            after(headers_of([0, 0, 5], 4, 0, 0, b"12345")),
        ),
        ("continuations of nothing", after(continuation.repeat(1000))),
        (
            "a window that overflows",
            after(headers_of([0, 0, 4], 8, 0, 0, &[0x7f, 255, 255, 255])),
        ),
        (
            "an even stream",
            after(headers_of([0, 0, 1], 1, 5, 2, &[0x82])),
        ),
        (
            "pings without end",
            after(headers_of([0, 0, 8], 6, 0, 0, &[7; 8]).repeat(20_000)),
        ),
    ] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it is open");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("it takes it");
        // The server may have hung up meanwhile: that is an answer too.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let hung_up = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(
            ended.as_ref().is_ok() || ended.as_ref().is_err_and(hung_up),
            "{what}: {ended:?}"
        );
        assert!(answer.len() < 1 << 20, "{what}: {} bytes", answer.len());
    }
    assert_answers(&server);
}
