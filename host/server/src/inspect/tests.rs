//! What `inspect` makes of files, good ones and others.

use std::collections::BTreeMap;
use std::fs;

use super::*;

fn info(name: &str, dtype: i32, shape: Option<&[i64]>) -> proto::TensorInfo {
    proto::TensorInfo {
        encoding: Some(proto::tensor_info::Encoding::Name(name.to_owned())),
        dtype,
        tensor_shape: Some(proto::TensorShapeProto {
            dim: shape
                .unwrap_or_default()
                .iter()
                .map(|size| proto::tensor_shape_proto::Dim {
                    size: *size,
                    name: String::new(),
                })
                .collect(),
            unknown_rank: shape.is_none(),
        }),
    }
}

fn model() -> Vec<u8> {
    let signature = proto::SignatureDef {
        inputs: BTreeMap::from([
            ("image".to_owned(), info("x:0", 1, Some(&[-1, 28]))),
            ("any".to_owned(), info("any:0", 7, None)),
        ]),
        outputs: BTreeMap::from([("label".to_owned(), info("y:0", 9, Some(&[])))]),
        method_name: "tensorflow/serving/predict".to_owned(),
        ..Default::default()
    };
    let graph = proto::MetaGraphDef {
        meta_info_def: Some(proto::meta_graph_def::MetaInfoDef {
            tags: vec!["serve".to_owned()],
            tensorflow_version: "2.21.0".to_owned(),
            ..Default::default()
        }),
        signature_def: BTreeMap::from([("serving_default".to_owned(), signature)]),
        ..Default::default()
    };
    proto::SavedModel {
        saved_model_schema_version: 1,
        meta_graphs: vec![graph],
    }
    .encode_to_vec()
}

fn base_path(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = base.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    base
}

#[test]
fn prints_a_table_for_people() {
    let model = model();
    let base = base_path(&[("2/saved_model.pb", &model), ("10/saved_model.pb", &model)]);
    let text = table(&inspect(base.path()).unwrap());
    let expected = format!(
        "\
SavedModel {}/10
Versions: 2, 10 (the highest is shown)

Tags: serve, written by TensorFlow 2.21.0

Signature serving_default
Method: tensorflow/serving/predict
┌────────┬───────┬───────────┬──────────┬────────┐
│        ┆ name  ┆ type      ┆ shape    ┆ tensor │
╞════════╪═══════╪═══════════╪══════════╪════════╡
│ input  ┆ any   ┆ DT_STRING ┆ any rank ┆ any:0  │
│ input  ┆ image ┆ DT_FLOAT  ┆ [?, 28]  ┆ x:0    │
│ output ┆ label ┆ DT_INT64  ┆ []       ┆ y:0    │
└────────┴───────┴───────────┴──────────┴────────┘
",
        base.path().display()
    );
    assert_eq!(text, expected);
}

#[test]
fn prints_json_for_programs() {
    let base = base_path(&[("saved_model.pb", &model())]);
    let value: serde_json::Value =
        serde_json::from_str(&json(&inspect(base.path()).unwrap())).unwrap();
    let signature = &value["meta_graphs"][0]["signatures"][0];
    assert_eq!(value.get("versions"), None);
    assert_eq!(signature["inputs"][0]["shape"], serde_json::Value::Null);
    assert_eq!(signature["inputs"][1]["shape"], serde_json::json!([-1, 28]));
    assert_eq!(signature["outputs"][0]["dtype"], "DT_INT64");
}

#[test]
fn takes_the_file_itself_too() {
    let base = base_path(&[("7/saved_model.pb", &model())]);
    let found = inspect(&base.path().join("7/saved_model.pb")).unwrap();
    assert_eq!(found.path, base.path().join("7"));
}

#[test]
fn says_what_it_cannot_read() {
    for (file, bytes, expected) in [
        ("1/saved_model.pbtxt", &b""[..], "text format"),
        ("1/saved_model.cpb", b"", "several pieces"),
        ("1/saved_model.pb", b"\xff\xff\xff", "is no SavedModel"),
        ("1/saved_model.pb", b"", "describes no graph (0 bytes long)"),
        (
            "1/saved_model.pb",
            b"\x08\x01",
            "describes no graph (2 bytes long)",
        ),
        ("1/saved_model.pb/file", b"", "is no regular file"),
        ("1/other", b"", "holds neither"),
        ("one/saved_model.pb", b"", "holds neither"),
    ] {
        let base = base_path(&[(file, bytes)]);
        let error = inspect(base.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{file}: {error}");
    }
    let error = inspect(Path::new("not/there")).unwrap_err().to_string();
    assert_eq!(error, "not/there does not exist");
}
