//! What the operator's settings and the request log do to requests.

use super::*;
use crate::services::Chunk;

#[test]
fn sampled_requests_are_logged_as_messages() {
    let fake = Fake {
        sampled: true,
        ..Fake::default()
    };
    let body = r#"{"instances": [[1.0, 2.0]]}"#;
    assert_eq!(ask(&fake, "POST", "/v1/models/m:predict", body).0, 200);
    assert_eq!(
        ask(&fake, "POST", "/v1/models/m/versions/3:predict", body).0,
        200
    );
    // What failed is not logged.
    assert_eq!(
        ask(&fake, "POST", "/v1/models/m:predict", r#"{"inputs": "x"}"#).0,
        400
    );
    let logged = fake.logged.borrow();
    assert_eq!(logged.len(), 2);
    assert_eq!((&*logged[0].model, logged[0].version), ("m", 3));
    assert_eq!(logged[0].signature_name, "serving_default");
    let bytes = |chunks: &[Chunk]| match chunks {
        [Chunk::Bytes(bytes)] => bytes.clone(),
        other => panic!("small messages are in one piece: {other:?}"),
    };
    let has = |message: &[u8], part: &[u8]| message.windows(part.len()).any(|it| it == part);
    // Name and signature; version 3 only where it was asked for.
    let latest = b"\x0a\x14\x0a\x01m\x1a\x0fserving_default";
    let third = b"\x0a\x18\x0a\x01m\x12\x02\x08\x03\x1a\x0fserving_default";
    assert!(bytes(&logged[0].request).starts_with(latest));
    assert!(bytes(&logged[1].request).starts_with(third));
    // The floats, packed in float_val.
    let floats = b"\x2a\x08\x00\x00\x80\x3f\x00\x00\x00\x40";
    assert!(has(&bytes(&logged[0].request), floats));
    assert!(has(&bytes(&logged[0].response), floats));
    drop(logged);
    let quiet = Fake::default();
    ask(&quiet, "POST", "/v1/models/m:predict", body);
    assert!(quiet.logged.borrow().is_empty());
}

#[test]
fn method_names_are_checked_if_the_operator_asks() {
    let fake = Fake {
        settings: Settings {
            check_method_names: true,
            ..Settings::default()
        },
        ..Fake::default()
    };
    let (_, body, _) = ask(
        &fake,
        "POST",
        "/v1/models/m:predict",
        r#"{"instances": [[1.0, 2.0]]}"#,
    );
    assert!(
        body.contains("Expected prediction signature method_name to be one of"),
        "{body}"
    );
}
