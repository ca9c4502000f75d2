//! Rare kinds of signatures, as protobuf prints them.

use tensorgate_proto::tensorflow as tf;
use tensorgate_proto::tensorflow::structured_value::Kind;

use super::*;

/// Without the white space, of which there is none inside of strings here.
fn compact(print: impl FnOnce(&mut Printer)) -> String {
    let text = String::from_utf8(Printer::message(print)).unwrap();
    text.split_whitespace().collect()
}

fn value(kind: Kind) -> tf::StructuredValue {
    tf::StructuredValue { kind: Some(kind) }
}

fn scalar() -> tf::TensorShapeProto {
    tf::TensorShapeProto::default()
}

#[test]
fn sparse_tensors_name_three_tensors() {
    let info = tf::TensorInfo {
        dtype: 101,
        tensor_shape: None,
        encoding: Some(Encoding::CooSparse(CooSparse {
            values_tensor_name: "v:0".to_owned(),
            indices_tensor_name: "i:0".to_owned(),
            dense_shape_tensor_name: "s:0".to_owned(),
        })),
    };
    assert_eq!(
        compact(|p| print_info(p, &info)),
        r#"{"dtype":"DT_FLOAT_REF","coo_sparse":{"values_tensor_name":"v:0","indices_tensor_name":"i:0","dense_shape_tensor_name":"s:0"}}"#
    );
}

/// A ragged tensor of floats, as TensorFlow writes it.
fn ragged() -> CompositeTensor {
    let unknown = tf::TensorShapeProto {
        unknown_rank: true,
        ..scalar()
    };
    let state = tf::TupleValue {
        values: vec![
            value(Kind::TensorShapeValue(unknown)),
            value(Kind::TensorDtypeValue(1)),
            value(Kind::Int64Value(1)),
        ],
    };
    let spec = tf::TypeSpecProto {
        type_spec_class: 3,
        type_state: Some(Box::new(value(Kind::TupleValue(state)))),
        type_spec_class_name: "RaggedTensorSpec".to_owned(),
        num_flat_components: 2,
    };
    CompositeTensor {
        type_spec: spec.encode_to_vec(),
        components: vec![tf::TensorInfo {
            dtype: 9,
            tensor_shape: Some(scalar()),
            encoding: Some(Encoding::Name("r:0".to_owned())),
        }],
    }
}

#[test]
fn composite_tensors_tell_their_type() {
    let info = tf::TensorInfo {
        encoding: Some(Encoding::CompositeTensor(ragged())),
        ..tf::TensorInfo::default()
    };
    assert_eq!(
        compact(|p| print_info(p, &info)),
        concat!(
            r#"{"dtype":"DT_INVALID","composite_tensor":{"type_spec":{"#,
            r#""type_spec_class":"RAGGED_TENSOR_SPEC","type_state":{"tuple_value":{"values":["#,
            r#"{"tensor_shape_value":{"dim":[],"unknown_rank":true}},"#,
            r#"{"tensor_dtype_value":"DT_FLOAT"},{"int64_value":"1"}]}},"#,
            r#""type_spec_class_name":"RaggedTensorSpec","num_flat_components":2},"components":["#,
            r#"{"dtype":"DT_INT64","tensor_shape":{"dim":[],"unknown_rank":false},"name":"r:0"}]}}"#
        )
    );
    // What is no specification is shown as an empty one.
    let mut broken = ragged();
    broken.type_spec = vec![0xFF];
    broken.components.clear();
    assert_eq!(
        compact(|p| print_composite(p, &broken)),
        r#"{"type_spec":{},"components":[]}"#
    );
}

#[test]
fn every_value_of_a_type_is_printed() {
    let spec = |kind| {
        let spec = tf::TypeSpecProto {
            type_spec_class: 99,
            type_state: Some(Box::new(value(kind))),
            ..tf::TypeSpecProto::default()
        };
        let printed = compact(|p| print_type_spec(p.name("s"), &spec.encode_to_vec()));
        let state = printed
            .strip_prefix(r#"{"s":{"type_spec_class":99,"type_state":{"#)
            .and_then(|rest| {
                rest.strip_suffix(r#"},"type_spec_class_name":"","num_flat_components":0}}"#)
            });
        state.unwrap_or(&printed).to_owned()
    };
    let bounds = tf::BoundedTensorSpecProto {
        name: "b".to_owned(),
        shape: Some(scalar()),
        dtype: 3,
        ..tf::BoundedTensorSpecProto::default()
    };
    let fields = [("k".to_owned(), value(Kind::BoolValue(true)))].into();
    let pair = tf::PairValue {
        key: "k".to_owned(),
        value: Some(value(Kind::StringValue("v".to_owned()))),
    };
    let named = tf::NamedTupleValue {
        name: "n".to_owned(),
        values: vec![pair],
    };
    let inner = tf::TensorSpecProto {
        name: "t".to_owned(),
        shape: None,
        dtype: 7,
    };
    for (kind, text) in [
        (Kind::NoneValue(tf::NoneValue {}), r#""none_value":{}"#),
        (Kind::Float64Value(0.1), r#""float64_value":0.1"#),
        (Kind::Int64Value(-2), r#""int64_value":"-2""#),
        (
            Kind::ListValue(tf::ListValue { values: vec![] }),
            r#""list_value":{"values":[]}"#,
        ),
        (
            Kind::DictValue(tf::DictValue { fields }),
            r#""dict_value":{"fields":{"k":{"bool_value":true}}}"#,
        ),
        (
            Kind::NamedTupleValue(named),
            r#""named_tuple_value":{"name":"n","values":[{"key":"k","value":{"string_value":"v"}}]}"#,
        ),
        (
            Kind::TensorSpecValue(inner),
            r#""tensor_spec_value":{"name":"t","dtype":"DT_STRING"}"#,
        ),
        (
            Kind::BoundedTensorSpecValue(bounds),
            r#""bounded_tensor_spec_value":{"name":"b","shape":{"dim":[],"unknown_rank":false},"dtype":"DT_INT32"}"#,
        ),
        (
            Kind::TypeSpecValue(Box::default()),
            r#""type_spec_value":{"type_spec_class":"UNKNOWN","type_spec_class_name":"","num_flat_components":0}"#,
        ),
    ] {
        assert_eq!(spec(kind), text);
    }
}

#[test]
fn defaults_are_printed_whole() {
    let tensor = tf::TensorProto {
        dtype: 1,
        tensor_shape: Some(scalar()),
        float_val: vec![0.5, f32::NAN],
        int64_val: vec![-3],
        string_val: vec![b"hi".to_vec()],
        bool_val: vec![true],
        ..tf::TensorProto::default()
    };
    let def = SignatureDef {
        defaults: [("x".to_owned(), tensor)].into(),
        ..SignatureDef::default()
    };
    assert_eq!(
        compact(|p| print_signature(p, &def)),
        concat!(
            r#"{"inputs":{},"outputs":{},"method_name":"","defaults":{"x":{"dtype":"DT_FLOAT","#,
            r#""tensor_shape":{"dim":[],"unknown_rank":false},"version_number":0,"#,
            r#""tensor_content":"","half_val":[],"float_val":[0.5,"NaN"],"double_val":[],"#,
            r#""int_val":[],"string_val":["aGk="],"scomplex_val":[],"int64_val":["-3"],"#,
            r#""bool_val":[true],"dcomplex_val":[],"resource_handle_val":[],"variant_val":[],"#,
            r#""uint32_val":[],"uint64_val":[],"float8_val":""}}}"#
        )
    );
}
