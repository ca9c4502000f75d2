//! The two ways against each other.

use proptest::prelude::*;
use tensorgate_types::{DType, Error, TensorInfo};

use super::*;
use crate::inference::InputData;

/// Signatures by name: inputs and their types.
pub(super) struct Source(pub(super) &'static [(&'static str, &'static [(&'static str, DType)])]);

impl SignatureSource for Source {
    fn signature(&mut self, name: &str) -> Result<Rc<(Signature, ShapeCheck)>> {
        let (_, inputs) = self
            .0
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| Error::invalid_argument(format!("no signature {name}")))?;
        let info = |(name, dtype): &(&str, DType)| {
            let info = TensorInfo {
                tensor_name: String::new(),
                dtype: *dtype,
                shape: None,
                // Inputs of this kind of name have a default.
                optional: name.starts_with("maybe"),
            };
            ((*name).to_owned(), info)
        };
        let signature = Signature {
            inputs: inputs.iter().map(info).collect(),
            ..Signature::default()
        };
        Ok(Rc::new((signature, ShapeCheck::Lenient)))
    }
}

pub(super) fn one(dtype: DType) -> Source {
    macro_rules! table {
        ($($dtype:ident)+) => {
            match dtype {
                $(DType::$dtype => Source(&[
                    ("serving_default", &[("default", DType::$dtype)]),
                    ("other", &[("a", DType::INT32), ("b", DType::STRING)]),
                    ("choice", &[("a", DType::INT32), ("maybe", DType::STRING)]),
                    ("all", &[("maybe", DType::INT32)]),
                ]),)+
                _ => Source(&[]),
            }
        };
    }
    table!(FLOAT DOUBLE INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 BOOL STRING HALF
        BFLOAT16 COMPLEX64)
}

/// A request as something that can be compared: NaN is equal to itself in bytes.
pub(super) type Plain = (String, Format, Vec<(String, Vec<i64>, Vec<u64>, Vec<u8>)>);

pub(super) fn plain(request: &PredictRequest) -> Plain {
    let tensors = request.inputs.iter().map(|tensor| {
        let (offsets, bytes) = match tensor.as_input().data {
            InputData::Fixed(bytes) => (vec![], bytes.to_vec()),
            InputData::Strings { offsets, bytes } => (offsets.to_vec(), bytes.to_vec()),
            other => panic!("JSON lies in no message: {other:?}"),
        };
        (tensor.name.clone(), tensor.shape.clone(), offsets, bytes)
    });
    (
        request.signature_name.clone(),
        request.format,
        tensors.collect(),
    )
}

/// Checks that the fast way says nothing or what the exact way says; tells whether it spoke.
fn agree(json: &[u8], dtype: DType) -> bool {
    let exact = exact::parse(json, &mut one(dtype)).map(|request| plain(&request));
    match fast::parse(json, &mut one(dtype)) {
        None => false,
        Some(request) => {
            assert_eq!(
                exact.ok(),
                Some(plain(&request)),
                "{}",
                String::from_utf8_lossy(json)
            );
            true
        }
    }
}

#[test]
fn the_fast_way_reads_what_clients_send() {
    for (dtype, json) in [
        (DType::FLOAT, "{\"instances\": [1.0, 2.0, 5.0]}"),
        (DType::FLOAT, "{\"instances\":[[1,2],[3,4]]} trailing"),
        (
            DType::FLOAT,
            "{\"instances\": [[[1.5e3, NaN]], [[-Infinity, 0.25]]]}",
        ),
        (DType::DOUBLE, "{\"inputs\": 0.30000000000000004}"),
        (
            DType::DOUBLE,
            "{\"inputs\": {\"default\": [[], []]}, \"x\": [{}, null]}",
        ),
        (DType::UINT8, "{\"instances\": [[0, 255], [7, -0]]}"),
        (
            DType::INT64,
            "{ \"inputs\" : [ 9223372036854775807 , -9223372036854775808 ] }",
        ),
        (DType::UINT64, "{\"inputs\": [18446744073709551615]}"),
        (DType::BOOL, "{\"instances\": [true, false]}"),
        (
            DType::STRING,
            "{\"instances\": [\"a\\u00e9\", {\"b64\": \"aGk=\"}, \"\"]}",
        ),
        (DType::STRING, "{\"instances\": [{ \"b64\" : \"aGk\" }]}"),
        (DType::STRING, "{\"inputs\": {\"b64\": \"aGk=\"}}"),
        (DType::HALF, "{\"instances\": [0.5, 65504, 1e9]}"),
        (
            DType::FLOAT,
            "{\"instances\": [{\"default\": [1, 2]}, {\"default\": [3, 4]}]}",
        ),
        (
            DType::FLOAT,
            "{\"signature_name\": \"other\", \"instances\": [{\"b\": \"x\", \"a\": 1}]}",
        ),
        (
            DType::FLOAT,
            "{\"instances\": [{\"b\": \"x\", \"a\": 1}], \"signature_name\": \"other\"}",
        ),
        (
            DType::FLOAT,
            "{\"inputs\": {\"b\": \"x\", \"c\": [{}], \"a\": [1]}, \"signature_name\": \"other\"}",
        ),
        (
            DType::FLOAT,
            "{\"instances\": [1], \"signature_name\": \"\"}",
        ),
    ] {
        assert!(agree(json.as_bytes(), dtype), "{json}");
    }
    // A name that is none misleads it, and costs time only.
    let json = b"{\"instances\": [1], \"x\": {\"signature_name\": \"other\"}}";
    assert!(!agree(json, DType::FLOAT));
    assert!(parse_predict(json, &mut one(DType::FLOAT)).is_ok());
}

#[test]
fn what_has_a_default_may_be_left_out() {
    let names = |body: &str| {
        let body = format!("{{\"signature_name\": {body}}}");
        agree(body.as_bytes(), DType::FLOAT);
        parse_predict(body.as_bytes(), &mut one(DType::FLOAT))
            .map(|request| {
                let inputs = request.inputs.iter();
                let inputs = inputs.map(|input| format!("{}{:?}", input.name, input.shape));
                inputs.collect::<Vec<_>>().join(" ")
            })
            .map_err(|error| error.message().to_owned())
    };
    for (body, expected) in [
        ("\"choice\", \"inputs\": {\"a\": [1]}", "a[1]"),
        (
            "\"choice\", \"inputs\": {\"maybe\": \"x\", \"a\": [1]}",
            "a[1] maybe[]",
        ),
        (
            "\"choice\", \"instances\": [{\"a\": 1}, {\"a\": 2}]",
            "a[2]",
        ),
        (
            "\"choice\", \"instances\": [{\"a\": 1, \"maybe\": \"x\"}]",
            "a[1] maybe[1]",
        ),
        ("\"all\", \"inputs\": {}", ""),
        ("\"all\", \"instances\": [{}]", ""),
        ("\"all\", \"instances\": [1, 2]", "maybe[2]"),
    ] {
        assert_eq!(names(body).as_deref(), Ok(expected), "{body}");
    }
    for (body, message) in [
        (
            "\"choice\", \"inputs\": {\"maybe\": [\"x\"]}",
            "Missing named input: a in 'inputs' object.",
        ),
        (
            "\"choice\", \"inputs\": [1]",
            "inputs is a plain value/list, but expecting an object as multiple input tensors \
             required as per tensorinfo_map",
        ),
        (
            "\"choice\", \"instances\": [{\"maybe\": \"x\"}]",
            "Failed to process element: 0 of 'instances' list. JSON object: {\n    \
             \"maybe\": \"x\"\n} keys must be equal to: a,maybe",
        ),
        // All rows, or none.
        (
            "\"choice\", \"instances\": [{\"a\": 1}, {\"a\": 1, \"maybe\": \"x\"}]",
            "Failed to process element: 1 of 'instances' list. JSON object: {\n    \"a\": 1,\n    \
             \"maybe\": \"x\"\n} keys must be equal to: a",
        ),
        (
            "\"choice\", \"instances\": [{\"a\": 1, \"maybe\": \"x\"}, {\"a\": 1}]",
            "Failed to process element: 1 of 'instances' list. JSON object: {\n    \"a\": 1\n} \
             keys must be equal to: a,maybe",
        ),
    ] {
        assert_eq!(names(body), Err(message.to_owned()), "{body}");
    }
}

#[test]
fn a_name_behind_a_long_tensor_is_found() {
    let numbers = vec!["{\"a\": 1, \"b\": \"x\"}"; 1000].join(",");
    let gap = " ".repeat(1000);
    let json = format!("{{\"instances\": [{numbers}], \"signature_name\": \"other\"{gap}}}");
    assert!(fast::parse(json.as_bytes(), &mut one(DType::FLOAT)).is_none());
    assert!(!agree(json.as_bytes(), DType::FLOAT));
    let numbers = vec!["1"; 1000].join(",");
    let json = format!("{{\"instances\": [{numbers}], \"signature_name\": \"other\"{gap}}}");
    assert!(!agree(json.as_bytes(), DType::FLOAT));
}

#[test]
fn depth_and_size_are_no_danger() {
    let nest = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep = format!("{{\"instances\":[1],\"nested\":{}}}", nest(500_000));
    assert!(agree(deep.as_bytes(), DType::FLOAT));
    let deep = format!("{{\"instances\":{}}}", nest(500_000));
    let tensor = parse_predict(deep.as_bytes(), &mut one(DType::FLOAT))
        .unwrap()
        .inputs;
    assert_eq!(tensor[0].shape.len(), 500_000);
    let deep = format!("{{\"signature_name\":{}}}", nest(500_000));
    let error = parse_predict(deep.as_bytes(), &mut one(DType::FLOAT)).unwrap_err();
    assert!(error.message().ends_with("key must be a string value."));
    let ragged = format!("{{\"inputs\":[1,{}]}}", nest(500_000));
    let error = parse_predict(ragged.as_bytes(), &mut one(DType::FLOAT)).unwrap_err();
    assert_eq!(
        error.message(),
        "Encountered list at unexpected level: 1 expected < 1"
    );
}

fn dtypes() -> impl Strategy<Value = DType> {
    prop::sample::select(vec![
        DType::FLOAT,
        DType::DOUBLE,
        DType::INT8,
        DType::INT32,
        DType::INT64,
        DType::UINT8,
        DType::UINT32,
        DType::UINT64,
        DType::BOOL,
        DType::STRING,
        DType::HALF,
    ])
}

/// A scalar that mostly fits the type.
fn scalar(dtype: DType) -> BoxedStrategy<String> {
    let float = prop_oneof![
        "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,20})?",
        "-?[1-9](\\.[0-9]{1,4})?[eE][-+]?[0-9]{1,2}",
        prop::sample::select(vec!["NaN", "-Inf", "Infinity", "-0.0", "0"]).prop_map(str::to_owned),
    ];
    match dtype {
        DType::BOOL => any::<bool>().prop_map(|b| b.to_string()).boxed(),
        DType::STRING => prop_oneof![
            "\"[a-zé ]{0,12}\"",
            "\"(\\\\n|\\\\u00e9|\\\\ud83d\\\\ude00|x){0,4}\"",
            "\\{\"b64\": ?\"[A-Za-z0-9+/]{4}(aGk=)?\"\\}",
        ]
        .boxed(),
        DType::FLOAT | DType::DOUBLE | DType::HALF => float.boxed(),
        _ => prop_oneof![4 => "-?(0|[1-9][0-9]{0,2})", 1 => "-?(0|[1-9][0-9]{0,20})"].boxed(),
    }
}

/// A tensor of random rank and size, mostly rectangular.
fn tensor(dtype: DType) -> impl Strategy<Value = String> {
    let spaces = prop::sample::select(vec![", ", ",", " , ", ",\n"]);
    let shape = prop::collection::vec(0usize..4, 0..4);
    (shape, prop::collection::vec(scalar(dtype), 64), spaces).prop_map(|(shape, pool, comma)| {
        fn build(shape: &[usize], next: &mut impl FnMut() -> String, comma: &str) -> String {
            let Some((size, inner)) = shape.split_first() else {
                return next();
            };
            let items: Vec<String> = (0..*size).map(|_| build(inner, next, comma)).collect();
            format!("[{}]", items.join(comma))
        }
        let mut pool = pool.into_iter().cycle();
        build(&shape, &mut || pool.next().unwrap_or_default(), comma)
    })
}

fn body(dtype: DType) -> impl Strategy<Value = String> {
    let rows = prop::collection::vec(tensor(dtype), 1..4);
    prop_oneof![
        tensor(dtype).prop_map(|tensor| format!("{{\"instances\": [{tensor}, {tensor}]}}")),
        tensor(dtype).prop_map(|tensor| format!("{{\"instances\": {tensor}}}")),
        tensor(dtype).prop_map(|tensor| format!("{{\"x\": [{{}}], \"inputs\": {tensor}}}")),
        tensor(dtype).prop_map(|tensor| format!("{{\"inputs\": {{\"default\": {tensor}}}}}")),
        rows.prop_map(|rows| {
            let rows: Vec<String> = rows
                .iter()
                .map(|row| format!("{{\"default\": {row}}}"))
                .collect();
            format!("{{\"instances\": [{}]}}", rows.join(","))
        }),
    ]
}

/// What is changed in a body: where (as a share of its length), how much is cut, what is put in.
fn mutation() -> impl Strategy<Value = (f64, usize, String)> {
    let insert = prop_oneof![
        "[-\\[\\]{},:\"0-9.eE tfnNI\\\\]{0,3}",
        prop::sample::select(vec![
            "\"default\":",
            "{\"b64\":\"\"}",
            "null",
            "\"signature_name\":\"other\",",
            "1e400",
            "\0",
            "\"inputs\":1,",
        ])
        .prop_map(str::to_owned),
    ];
    (0.0..1.0, 0usize..3, insert)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn both_ways_agree_on_generated_bodies(
        (dtype, json) in dtypes().prop_flat_map(|dtype| (Just(dtype), body(dtype)))
    ) {
        let is_right = exact::parse(json.as_bytes(), &mut one(dtype)).is_ok();
        // And the fast way takes all that is right.
        prop_assert_eq!(agree(json.as_bytes(), dtype), is_right, "{}", json);
    }

    #[test]
    fn both_ways_agree_on_mutated_bodies(
        (dtype, json) in dtypes().prop_flat_map(|dtype| (Just(dtype), body(dtype))),
        mutations in prop::collection::vec(mutation(), 1..3),
    ) {
        let mut json = json.into_bytes();
        for (place, cut, insert) in mutations {
            let at = (place * json.len() as f64) as usize;
            json.splice(at..(at + cut).min(json.len()), insert.into_bytes());
        }
        agree(&json, dtype);
    }

    #[test]
    fn both_ways_agree_on_any_bytes(json: Vec<u8>, dtype in dtypes()) {
        agree(&json, dtype);
    }
}
