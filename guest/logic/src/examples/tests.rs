//! Every check of both methods, by the words of the original.

use prost::Message as _;
use tensorgate_proto::tensorflow as tf;
use tensorgate_types::Settings;

use super::*;
use crate::fake::{Called, Fake, FakeModel, fixed, signature, strings};
use crate::inference::Output;

fn answering(method: Signature, answer: impl Fn(&Called) -> Result<Vec<Output>> + 'static) -> Fake {
    Fake {
        signatures: [("s".to_owned(), method)].into(),
        answer: Box::new(answer),
        ..Fake::default()
    }
}

fn two() -> Examples {
    Examples::with_context(b"", ["a", "b"]).unwrap()
}

fn classifier(outputs: &[(&str, DType)]) -> Signature {
    signature(CLASSIFY_METHOD, &[("inputs", DType::FLOAT)], outputs)
}

fn regressor() -> Signature {
    signature(
        REGRESS_METHOD,
        &[("inputs", DType::STRING)],
        &[("outputs", DType::FLOAT)],
    )
}

/// (label, score) for every class of every example.
type Classified = Vec<Vec<(String, f32)>>;

fn classify_with(method: Signature, outputs: Vec<Output>) -> Result<Classified, String> {
    let fake = answering(method, move |_| Ok(outputs.clone()));
    let classes = classify(&FakeModel(&fake), "s", &two(), Settings::default())
        .map_err(|error| error.to_string())?;
    assert_eq!(classes.len(), 2);
    let text = |label: &[u8]| String::from_utf8(label.to_vec()).unwrap();
    Ok(classes
        .iter()
        .map(|row| row.map(|(label, score)| (text(label), score)).collect())
        .collect())
}

fn regress_with(output: Output) -> Result<Vec<f32>, String> {
    let fake = answering(regressor(), move |_| Ok(vec![output.clone()]));
    regress(&FakeModel(&fake), "s", &two(), Settings::default()).map_err(|error| error.to_string())
}

#[test]
fn classes_have_labels_and_scores_or_one_of_them() {
    let both = classifier(&[("classes", DType::STRING), ("scores", DType::FLOAT)]);
    let labels = strings("classes", &[2, 2], &["a", "b", "c", "d"]);
    let scores = fixed("scores", DType::FLOAT, &[2, 2], &[1.0f32, 2.0, 3.0, 4.0]);
    let row = |a: &str, x, b: &str, y| vec![(a.to_owned(), x), (b.to_owned(), y)];
    assert_eq!(
        classify_with(both, vec![labels.clone(), scores.clone()]).unwrap(),
        [row("a", 1.0, "b", 2.0), row("c", 3.0, "d", 4.0)]
    );
    assert_eq!(
        classify_with(classifier(&[("classes", DType::STRING)]), vec![labels]).unwrap(),
        [row("a", 0.0, "b", 0.0), row("c", 0.0, "d", 0.0)]
    );
    // The other output of such a signature is not even asked for.
    let scores_and_more = classifier(&[("scores", DType::FLOAT), ("other", DType::INT8)]);
    assert_eq!(
        classify_with(scores_and_more, vec![scores]).unwrap(),
        [row("", 1.0, "", 2.0), row("", 3.0, "", 4.0)]
    );
}

#[test]
fn outputs_that_are_no_classes_are_refused() {
    let both = || classifier(&[("classes", DType::STRING), ("scores", DType::FLOAT)]);
    let labels = |shape: &[i64], n| strings("classes", shape, &["a"; 6][..n]);
    let scores = |shape: &[i64], n| fixed("scores", DType::FLOAT, shape, &[1.0f32; 6][..n]);
    let cases = [
        (
            vec![labels(&[2], 2), scores(&[2, 1], 2)],
            "Expected Tensor shape: [batch_size num_classes] but got [2]",
        ),
        (
            vec![labels(&[2, 1], 2), scores(&[2, 1, 1], 2)],
            "Expected Tensor shape: [batch_size num_classes] but got [2,1,1]",
        ),
        (
            vec![
                fixed("classes", DType::INT64, &[2, 1], &[1i64, 2]),
                scores(&[2, 1], 2),
            ],
            "Expected classes Tensor of DT_STRING. Got: DT_INT64",
        ),
        (
            vec![
                labels(&[2, 1], 2),
                fixed("scores", DType::DOUBLE, &[2, 1], &[1f64, 2.0]),
            ],
            "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
        ),
        (
            vec![labels(&[3, 1], 3), scores(&[2, 1], 2)],
            "Expected classes output batch size of 2. Got: 3",
        ),
        (
            vec![labels(&[2, 1], 2), scores(&[1, 2], 2)],
            "Expected scores output batch size of 2. Got: 1",
        ),
        (
            vec![labels(&[2, 3], 6), scores(&[2, 2], 4)],
            "Tensors class and score should match in dim_size(1). Got 3 vs. 2",
        ),
        (
            vec![labels(&[2, 1], 2)],
            "Expected 2 output tensor(s).  Got: 1",
        ),
    ];
    for (outputs, expected) in cases {
        let error = classify_with(both(), outputs).unwrap_err();
        assert_eq!(error, format!("INVALID_ARGUMENT: {expected}"));
    }
    let lie = classify_with(both(), vec![labels(&[2, 3], 2), scores(&[2, 3], 6)]);
    assert_eq!(
        lie.unwrap_err(),
        "INTERNAL: the data of output classes does not fit its type and shape"
    );
}

#[test]
fn values_are_a_list_or_a_column() {
    let output = |shape: &[i64]| fixed("outputs", DType::FLOAT, shape, &[1.5f32, 2.5]);
    assert_eq!(regress_with(output(&[2])).unwrap(), [1.5, 2.5]);
    assert_eq!(regress_with(output(&[2, 1])).unwrap(), [1.5, 2.5]);
    for (output, expected) in [
        (
            output(&[1, 2]),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got \
             [1,2]",
        ),
        (
            output(&[]),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []",
        ),
        (
            output(&[3]),
            "Input batch size did not match output batch size: 2 vs. 3",
        ),
        (
            fixed("outputs", DType::DOUBLE, &[2], &[1.0f64, 2.0]),
            "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE",
        ),
    ] {
        let error = regress_with(output).unwrap_err();
        assert_eq!(error, format!("INVALID_ARGUMENT: {expected}"));
    }
}

fn plan_error(method: Method, found: Signature, settings: Settings) -> String {
    let dim = |size| tf::tensor_shape_proto::Dim {
        size,
        name: String::new(),
    };
    let info = tf::TensorInfo {
        dtype: 1,
        tensor_shape: Some(tf::TensorShapeProto {
            dim: vec![dim(-1), dim(2)],
            unknown_rank: false,
        }),
        encoding: Some(tf::tensor_info::Encoding::Name("x:0".to_owned())),
    };
    let def = tf::SignatureDef {
        inputs: [("x".to_owned(), info)].into(),
        method_name: "say \"hi\"".to_owned(),
        ..tf::SignatureDef::default()
    };
    let mut fake = answering(found, |_| panic!("must not run"));
    fake.defs = vec![("s".to_owned(), def.encode_to_vec())];
    Plan::find(&FakeModel(&fake), "s", method, settings)
        .unwrap_err()
        .to_string()
}

#[test]
fn signatures_that_do_not_fit_are_refused_in_the_words_of_the_original() {
    use Method::{Classify, Regress};
    let lenient = Settings::default();
    let (i, f, s) = (("inputs", DType::STRING), DType::FLOAT, DType::STRING);
    let shown = "inputs {\n  key: \"x\"\n  value {\n    name: \"x:0\"\n    dtype: DT_FLOAT\n    \
                 tensor_shape {\n      dim {\n        size: -1\n      }\n      dim {\n        \
                 size: 2\n      }\n    }\n  }\n}\nmethod_name: \"say \\\"hi\\\"\"\n";
    let cases = [
        (
            Classify,
            signature("", &[i, ("x", f)], &[("classes", s)]),
            "Expected one input Tensor.".to_owned(),
        ),
        (
            Classify,
            signature("", &[], &[("classes", s)]),
            "Expected one input Tensor.".to_owned(),
        ),
        (
            Classify,
            signature("", &[i], &[("classes", s), ("scores", f), ("x", f)]),
            "Expected one or two output Tensors, found 3".to_owned(),
        ),
        (
            Classify,
            signature("", &[("x", s)], &[("classes", s)]),
            format!("No classification inputs found in SignatureDef: {shown}"),
        ),
        (
            Classify,
            signature("", &[i], &[("x", s)]),
            format!(
                "Expected classification signature outputs to contain at least one of \"classes\" \
                 or \"scores\". Signature was: {shown}"
            ),
        ),
        (
            Regress,
            signature("", &[], &[("outputs", f)]),
            "Expected one input Tensor.".to_owned(),
        ),
        (
            Regress,
            signature("", &[i], &[("outputs", f), ("x", f)]),
            "Expected one output Tensor.".to_owned(),
        ),
        (
            Regress,
            signature("", &[("x", s)], &[("outputs", f)]),
            format!("No regression inputs found in SignatureDef: {shown}"),
        ),
        (
            Regress,
            signature("", &[i], &[("x", f)]),
            format!("No regression outputs found in SignatureDef: {shown}"),
        ),
    ];
    for (method, found, expected) in cases {
        let error = plan_error(method, found, lenient);
        assert_eq!(error, format!("INVALID_ARGUMENT: {expected}"));
    }
}

#[test]
fn method_names_are_checked_where_the_operator_asks() {
    let strict = Settings {
        check_method_names: true,
        ..Settings::default()
    };
    assert_eq!(
        plan_error(Method::Classify, regressor(), strict),
        "INVALID_ARGUMENT: Expected classification signature method_name to be \
         tensorflow/serving/classify. Was: tensorflow/serving/regress"
    );
    assert_eq!(
        plan_error(Method::Regress, classifier(&[]), strict),
        "INVALID_ARGUMENT: Expected regression signature method_name to be \
         tensorflow/serving/regress. Was: tensorflow/serving/classify"
    );
    let fake = answering(regressor(), |_| panic!("must not run"));
    assert!(Plan::find(&FakeModel(&fake), "s", Method::Regress, strict).is_ok());
}

#[test]
fn one_run_answers_several_plans() {
    let fake = Fake {
        signatures: [
            ("c".to_owned(), classifier(&[("scores", DType::FLOAT)])),
            ("r".to_owned(), regressor()),
        ]
        .into(),
        answer: Box::new(|call| {
            Ok(vec![if call.signature == "c" {
                fixed("scores", DType::FLOAT, &[2, 1], &[1.0f32, 2.0])
            } else {
                fixed("outputs", DType::FLOAT, &[2], &[3.0f32, 4.0])
            }])
        }),
        ..Fake::default()
    };
    let model = FakeModel(&fake);
    let plan = |name, method| Plan::find(&model, name, method, Settings::default()).unwrap();
    let plans = [plan("c", Method::Classify), plan("r", Method::Regress)];
    let examples = Examples::with_context(b"<c>", ["a", ""]).unwrap();
    let answers = infer(&model, &plans, &examples).unwrap();
    assert!(matches!(&answers[0], Answer::Classes(classes) if classes.len() == 2));
    assert!(matches!(&answers[1], Answer::Values(values) if values == &[3.0, 4.0]));
    let runs = fake.runs.borrow();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].len(), 2);
    for call in &runs[0] {
        assert_eq!(call.inputs[0].data, [&b"<c>a"[..], b"<c>"]);
        assert_eq!(call.inputs[0].shape, [2]);
        assert_eq!(call.inputs[0].dtype, DType::STRING);
    }
    assert_eq!(runs[0][0].outputs, ["scores"]);
}

#[test]
fn no_examples_are_no_input() {
    let fake = answering(regressor(), |_| panic!("must not run"));
    let model = FakeModel(&fake);
    let error = regress(&model, "s", &Examples::new(), Settings::default()).unwrap_err();
    assert_eq!(error.to_string(), "INVALID_ARGUMENT: Input is empty.");
    let error = regress(&model, "foo", &two(), Settings::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "INVALID_ARGUMENT: No signature was found with the name: foo"
    );
}

#[test]
fn a_context_that_would_be_repeated_too_often_is_refused() {
    let context = vec![0; 1 << 20];
    let error = Examples::with_context(&context, vec![""; 300]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ResourceExhausted);
}
