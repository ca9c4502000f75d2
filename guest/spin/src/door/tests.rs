//! What clients see of the door.

use super::*;

fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Head {
    let headers = headers.iter();
    Head {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
    }
}

fn post(headers: &[(&str, &str)]) -> Head {
    head("POST", "/v1/models/m:predict", headers)
}

fn said(response: &Response) -> (u16, String) {
    let body = String::from_utf8_lossy(&response.body).into_owned();
    (response.status, body)
}

fn error(status: u16, message: &str) -> (u16, String) {
    (status, format!("{{\n    \"error\": \"{message}\"\n}}"))
}

#[test]
fn some_requests_are_answered_whatever_their_bodies_are() {
    let answer = |method, path, headers: &[(&str, &str)]| {
        without_body(&head(method, path, headers)).map(|response| said(&response))
    };
    for path in ["/health/live", "/v1/health/live?x=1"] {
        assert_eq!(answer("GET", path, &[]), Some((200, "live\n".to_owned())));
        assert_eq!(answer("POST", path, &[]), Some((405, String::new())));
    }
    let nothing = "nothing is at /v3: the REST API is under /v1/";
    assert_eq!(answer("GET", "/v3?x", &[]), Some(error(404, nothing)));
    assert_eq!(answer("GET", "/V1/models/m", &[]), None);
    assert_eq!(answer("POST", "/v1/models/m:predict", &[]), None);
    let path = "/v1/models/m:predict";
    let options = |headers| answer("OPTIONS", path, headers);
    assert_eq!(options(&[]), Some((400, String::new())));
    assert_eq!(
        options(&[("origin", "ftp://a")]),
        Some((400, String::new()))
    );
    assert_eq!(
        options(&[("origin", "https://a")]),
        Some((200, String::new()))
    );
    assert_eq!(answer("POST", path, &[(PRIORITY, "High")]), None);
    let words = "x-tensorgate-priority is low, normal or high, not \\\"9\\\"";
    assert_eq!(
        answer("POST", path, &[(PRIORITY, "9")]),
        Some(error(400, words))
    );
}

#[test]
fn two_headers_are_passed_on_where_they_are_text() {
    let passed = |headers: &[(&str, &str)]| post(headers).passed_on();
    let both = [
        ("accept", "a/b"),
        ("cookie", "c"),
        ("content-type", "d/e; f=g"),
    ];
    let expected = [header("content-type", "d/e; f=g"), header("accept", "a/b")];
    assert_eq!(passed(&both), expected);
    assert!(passed(&[("accept", "é")]).is_empty());
}

fn read(headers: &[(&str, &str)], max: usize, pieces: &[&str]) -> Result<String, (u16, String)> {
    let head = post(headers);
    let mut body = Incoming::new(&head, max);
    for piece in pieces {
        if body.wants_more(&head) {
            body.push(piece.as_bytes().to_vec());
        }
    }
    let read = body.finish(&head);
    read.map(|body| String::from_utf8(body).unwrap())
        .map_err(|refusal| said(&refusal))
}

#[test]
fn bodies_are_joined_within_their_limit() {
    for pieces in [&[][..], &["whole"], &["one ", "two ", "three"]] {
        assert_eq!(read(&[], 13, pieces), Ok(pieces.concat()));
        let announced = [("content-length", "13")];
        assert_eq!(read(&announced, 13, pieces), Ok(pieces.concat()));
    }
    let words = "the request body is longer than 5 bytes (TENSORGATE_MAX_BODY_BYTES)";
    let too_long = Err(error(413, words));
    assert_eq!(read(&[], 5, &["abc", "def", "g"]), too_long);
    assert_eq!(read(&[("content-length", "6")], 5, &["abc"]), too_long);
    assert_eq!(read(&[], 5, &["abc", "de"]), Ok("abcde".to_owned()));
    let packed = read(&[("content-encoding", "br")], 5, &["abc"]);
    assert_eq!(packed.map_err(|(status, _)| status), Err(415));
    // What is not packed as it says is no document.
    assert_eq!(
        read(&[("content-encoding", "gzip")], 5, &["abc"]),
        Ok(String::new())
    );
}

#[test]
fn what_is_refused_is_read_for_a_while() {
    let announced = ("content-length", "100");
    let head = post(&[announced]);
    let mut body = Incoming::new(&head, 10);
    let mut pieces = 0;
    while body.wants_more(&head) {
        body.push(vec![0; 1 << 20]);
        pieces += 1;
    }
    assert_eq!(pieces, DISCARD >> 20);
    let asking = post(&[announced, ("expect", "100-continue")]);
    assert!(!Incoming::new(&asking, 10).wants_more(&asking));
}

#[test]
fn an_announced_length_costs_little_until_it_comes() {
    let head = post(&[("content-length", "1000000")]);
    let mut body = Incoming::new(&head, 2_000_000);
    body.push(vec![0; 10]);
    body.push(vec![0; 10]);
    assert!(body.bytes.capacity() < 100, "{}", body.bytes.capacity());
}

#[test]
fn the_limit_is_a_number_of_bytes() {
    assert_eq!(max_body_bytes(None).unwrap(), MAX_BODY_BYTES);
    assert_eq!(max_body_bytes(Some(" 12 ")).unwrap(), 12);
    let refusal = max_body_bytes(Some("12k")).unwrap_err();
    let words = "TENSORGATE_MAX_BODY_BYTES is \\\"12k\\\"; expected a number of bytes";
    assert_eq!(said(&refusal), error(500, words));
}

#[test]
fn answers_have_a_length_and_the_id_of_their_request() {
    let completed = |path: &str, id: Option<&str>| {
        let headers: Vec<(&str, &str)> = id.map(|id| (REQUEST_ID, id)).into_iter().collect();
        let mut response = rest::refusal(404, "m");
        complete(&mut response, &head("GET", path, &headers), || 10);
        let found = |wanted: &str| {
            let mut headers = response.headers.iter();
            let found = headers.find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone())
        };
        assert_eq!(found("content-length").as_deref(), Some("20"));
        found(REQUEST_ID)
    };
    let fresh = Some("000000000000000a-0".to_owned());
    assert_eq!(
        completed("/v1/models/m", Some("abc-1")).as_deref(),
        Some("abc-1")
    );
    for id in [None, Some("two words"), Some(""), Some(&*"x".repeat(129))] {
        assert_eq!(completed("/v1/models/m", id), fresh);
    }
    assert_eq!(completed("/health/live", None), None);
}
