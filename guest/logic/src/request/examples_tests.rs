//! Examples from JSON, read back.

use super::examples::*;

/// A message's fields: number, and what is in it (varints as their value).
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = prost::encoding::decode_varint(&mut message).unwrap();
        assert_eq!(tag & 7, 2, "everything here has a length");
        let length = prost::encoding::decode_varint(&mut message).unwrap() as usize;
        let (content, rest) = message.split_at(length);
        found.push((tag >> 3, content.to_vec()));
        message = rest;
    }
    found
}

/// A feature of an example.
pub(crate) struct Feature {
    pub(crate) name: String,
    /// `b`, `f` or `i`; nothing where no list is.
    kind: &'static str,
    /// Its values as text.
    pub(crate) values: Vec<String>,
}

/// The features of an example, in the order of the message.
pub(crate) fn features(example: &[u8]) -> Vec<Feature> {
    let mut found = Vec::new();
    for (number, features) in fields(example) {
        assert_eq!(number, 1, "an example is its features");
        for (number, entry) in fields(&features) {
            let [(1, name), (2, feature)] = &fields(&entry)[..] else {
                panic!("an entry has a key and a value");
            };
            assert_eq!(number, 1, "features are entries of a map");
            let (kind, values) = values(&fields(feature));
            found.push(Feature {
                name: String::from_utf8_lossy(name).into_owned(),
                kind,
                values,
            });
        }
    }
    found
}

fn values(list: &[(u64, Vec<u8>)]) -> (&'static str, Vec<String>) {
    let packed = |bytes: &[u8]| match &fields(bytes)[..] {
        [(1, packed)] => packed.clone(),
        other => panic!("numbers are packed: {other:?}"),
    };
    match list {
        [] => ("", vec![]),
        [(1, bytes)] => {
            let text = |(_, value): &(u64, Vec<u8>)| String::from_utf8_lossy(value).into_owned();
            ("b", fields(bytes).iter().map(text).collect())
        }
        [(2, bytes)] => {
            let packed = packed(bytes);
            let (chunks, rest) = packed.as_chunks();
            assert!(rest.is_empty());
            let text = |chunk: &[u8; 4]| f32::from_le_bytes(*chunk).to_string();
            let texts = chunks.iter().map(text);
            ("f", texts.map(|text| text.to_lowercase()).collect())
        }
        [(3, bytes)] => {
            let packed = packed(bytes);
            let mut packed = &packed[..];
            let mut values = Vec::new();
            while !packed.is_empty() {
                let value = prost::encoding::decode_varint(&mut packed).unwrap();
                values.push((value as i64).to_string());
            }
            ("i", values)
        }
        other => panic!("a feature has one kind: {other:?}"),
    }
}

/// An example as text: `name=k[values] ...`, in the order of the message.
fn example_text(example: &[u8]) -> String {
    let texts = features(example).into_iter().map(|feature| {
        let Feature { name, kind, values } = feature;
        format!("{name}={kind}[{}]", values.join(","))
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// All examples of a body, the context first.
fn parsed(body: &str) -> Vec<String> {
    let request = parse_examples(body.as_bytes()).unwrap();
    let context = request.context.iter().map(Vec::as_slice);
    context
        .chain(request.examples())
        .map(example_text)
        .collect()
}

fn error(body: &str) -> String {
    parse_examples(body.as_bytes())
        .unwrap_err()
        .message()
        .to_owned()
}

#[test]
fn features_have_the_kind_of_their_first_element() {
    assert_eq!(
        parsed(
            r#"{"examples": [
                {"names": ["foo", "bar"], "ratings": [8.0, 9.0], "age": 20},
                {"names": ["baz"], "ratings": 6.0}
            ]}"#
        ),
        [
            "names=b[foo,bar] ratings=f[8,9] age=i[20]",
            "names=b[baz] ratings=f[6]"
        ]
    );
    assert_eq!(
        parsed(
            r#"{"examples": [{"a": [1, true, false], "b": {"b64": "aGVsbG8="},
                "c": ["x", {"b64": "AA=="}], "d": [NaN, -Infinity, 1e40, 1e2], "e": [],
                "f": true, "g": -9223372036854775808, "h": 18446744073709551616}, {}]}"#
        ),
        [
            "a=i[1,1,0] b=b[hello] c=b[x,\0] d=f[nan,-inf,inf,100] e=[] f=i[1] \
             g=i[-9223372036854775808] h=f[18446744000000000000]",
            ""
        ]
    );
}

#[test]
fn a_context_is_kept_apart() {
    let body = r#"{"context": {"query": "pizza", "location": ["sfo"]}, "signature_name": "s",
        "examples": [{"x": 1}]}"#;
    assert_eq!(parsed(body), ["query=b[pizza] location=b[sfo]", "x=i[1]"]);
    let request = parse_examples(body.as_bytes()).unwrap();
    assert_eq!(request.signature_name, "s");
    assert_eq!(request.examples().len(), 1);
    // An empty context is one all the same.
    let empty = parse_examples(br#"{"context": {}, "examples": [{}]}"#).unwrap();
    assert_eq!((empty.context, empty.offsets), (Some(vec![]), vec![0, 0]));
}

#[test]
fn of_equal_names_the_last_counts() {
    assert_eq!(
        parsed(r#"{"examples": [{"a": 1, "b": 2, "a": "x", "c": 3, "\u0061": [4.5]}]}"#),
        ["b=i[2] c=i[3] a=f[4.5]"]
    );
    // But all are checked.
    assert_eq!(
        error(r#"{"examples": [{"a": null, "a": 1}]}"#),
        "Feature: a has element with unexpected JSON type: Null"
    );
}

#[test]
fn errors_have_the_words_of_the_original() {
    for (body, message) in [
        ("", "JSON Parse error: The document is empty"),
        ("[]", "JSON Value: [] Is not object"),
        (
            r#"{"signature_name": []}"#,
            "JSON Value: {\n    \"signature_name\": []\n} not formatted correctly. \
             'signature_name' key must be a string value.",
        ),
        (
            "{}",
            "JSON Value: {} When method is classify, key 'examples' is expected and was not found",
        ),
        (
            r#"{"examples": {}}"#,
            "JSON Value: {\n    \"examples\": {}\n} Expecting 'examples' value to be an \
             list/array",
        ),
        (
            r#"{"examples": []}"#,
            "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array",
        ),
        // The context comes before the examples.
        (
            r#"{"context": [], "examples": 1}"#,
            "Example must be JSON object but got JSON Array",
        ),
        (
            r#"{"examples": [{}, [1]]}"#,
            "Example must be JSON object but got JSON Array",
        ),
        (
            r#"{"examples": [7]}"#,
            "Example must be JSON object but got JSON Number",
        ),
    ] {
        assert_eq!(error(body), message, "{body}");
    }
    for (feature, message) in [
        (
            "[10, null]",
            "Feature: f has element with unexpected JSON type: Null",
        ),
        (
            r#"[10, {"test": 10}]"#,
            "Feature: f has element with unexpected JSON type: Object",
        ),
        (
            "[[10], 20]",
            "Feature: f has element with unexpected JSON type: Array",
        ),
        (
            "[10, 10.0]",
            "Unexpected element type in feature: f expecting type: int64",
        ),
        (
            "[1.5, 10]",
            "Unexpected element type in feature: f expecting type: float",
        ),
        (
            "[\"a\", true]",
            "Unexpected element type in feature: f expecting type: bytes",
        ),
        (
            r#"[1, {"b64": "!"}]"#,
            "Unexpected element type in feature: f expecting type: int64",
        ),
        (r#"{"b64": "!"}"#, "Unable to base64 decode"),
        (
            "[20, 18446744073709551603]",
            "Feature: f has uint64_t element. Only int64_t is supported.",
        ),
        // Of another kind first, too large second.
        (
            "[\"a\", 18446744073709551603]",
            "Unexpected element type in feature: f expecting type: bytes",
        ),
    ] {
        let body = format!(r#"{{"examples": [{{"f": {feature}}}]}}"#);
        assert_eq!(error(&body), message, "{body}");
        let body = format!(r#"{{"context": {{"f": {feature}}}, "examples": 1}}"#);
        assert_eq!(error(&body), message, "{body}");
    }
}

#[test]
fn large_bodies_take_no_more_than_their_size() {
    let million = 1_000_000;
    let deep = format!(
        r#"{{"examples": [{{"f": {}1{}}}]}}"#,
        r#"{"a":"#.repeat(million),
        "}".repeat(million)
    );
    assert_eq!(
        error(&deep),
        "Feature: f has element with unexpected JSON type: Object"
    );
    let features: Vec<String> = (0..million).map(|i| format!(r#""{i}":1"#)).collect();
    let wide = format!(r#"{{"examples": [{{{}}}]}}"#, features.join(","));
    let request = parse_examples(wide.as_bytes()).unwrap();
    assert!(request.bytes.len() < 2 * wide.len());
    let same = format!(
        r#"{{"examples": [{{{}}}]}}"#,
        vec![r#""a":1"#; million].join(",")
    );
    assert_eq!(parsed(&same), ["a=i[1]"]);
    let many = format!(r#"{{"examples": [{}]}}"#, vec!["{}"; million].join(","));
    let request = parse_examples(many.as_bytes()).unwrap();
    assert_eq!(
        (request.examples().len(), request.bytes.len()),
        (million, 0)
    );
}
