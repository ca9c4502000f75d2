//! The types of composite tensors in a signature, in protobuf's JSON.
//!
//! **Invariant:** a specification nests no deeper than protobuf's decoder lets it, which bounds
//! the recursion here.

use prost::Message as _;
use tensorgate_proto::tensorflow::structured_value::Kind;
use tensorgate_proto::tensorflow::type_spec_proto::TypeSpecClass;
use tensorgate_proto::tensorflow::{
    BoundedTensorSpecProto, StructuredValue, TensorShapeProto, TensorSpecProto, TypeSpecProto,
};

use super::metadata::{print_dtype, print_shape, print_tensor};
use super::printer::Printer;
use crate::json::decimal;

/// Prints a serialized `TypeSpecProto`; one that is none as an object without members, since a
/// signature that nobody can call should not hide the others.
pub(super) fn print_type_spec(p: &mut Printer, serialized: &[u8]) {
    match TypeSpecProto::decode(serialized) {
        Ok(spec) => print_spec(p, &spec),
        Err(_) => p.object(|_| {}),
    }
}

fn print_spec(p: &mut Printer, spec: &TypeSpecProto) {
    p.object(|p| {
        p.name("type_spec_class");
        match TypeSpecClass::try_from(spec.type_spec_class) {
            Ok(class) => p.quoted(class.as_str_name()),
            Err(_) => p.bare(spec.type_spec_class),
        }
        if let Some(state) = &spec.type_state {
            print_value(p.name("type_state"), state);
        }
        p.name("type_spec_class_name")
            .string(&spec.type_spec_class_name);
        p.name("num_flat_components").bare(spec.num_flat_components);
    });
}

fn print_value(p: &mut Printer, value: &StructuredValue) {
    p.object(|p| {
        if let Some(kind) = &value.kind {
            print_kind(p, kind);
        }
    });
}

fn print_kind(p: &mut Printer, kind: &Kind) {
    match kind {
        Kind::NoneValue(_) => p.name("none_value").object(|_| {}),
        Kind::Float64Value(value) => p
            .name("float64_value")
            .raw(|out| decimal::push_proto_f64(*value, out)),
        Kind::Int64Value(value) => p.name("int64_value").quoted(value),
        Kind::StringValue(value) => p.name("string_value").string(value),
        Kind::BoolValue(value) => p.name("bool_value").bare(value),
        Kind::TensorShapeValue(shape) => print_shape(p, "tensor_shape_value", Some(shape)),
        Kind::TensorDtypeValue(number) => print_dtype(p, "tensor_dtype_value", *number),
        Kind::TensorSpecValue(spec) => {
            let TensorSpecProto { name, shape, dtype } = spec;
            p.name("tensor_spec_value")
                .object(|p| print_tensor_spec(p, name, shape.as_ref(), *dtype));
        }
        Kind::TypeSpecValue(spec) => print_spec(p.name("type_spec_value"), spec),
        Kind::BoundedTensorSpecValue(spec) => p
            .name("bounded_tensor_spec_value")
            .object(|p| print_bounded(p, spec)),
        Kind::ListValue(list) => print_values(p, "list_value", &list.values),
        Kind::TupleValue(tuple) => print_values(p, "tuple_value", &tuple.values),
        Kind::DictValue(dict) => p.name("dict_value").object(|p| {
            p.name("fields").object(|p| {
                for (name, value) in &dict.fields {
                    print_value(p.name(name), value);
                }
            });
        }),
        Kind::NamedTupleValue(tuple) => p.name("named_tuple_value").object(|p| {
            p.name("name").string(&tuple.name);
            p.name("values").array(&tuple.values, |p, pair| {
                p.object(|p| {
                    p.name("key").string(&pair.key);
                    if let Some(value) = &pair.value {
                        print_value(p.name("value"), value);
                    }
                });
            });
        }),
        Kind::TensorValue(tensor) => p.name("tensor_value").object(|p| print_tensor(p, tensor)),
        Kind::NumpyValue(tensor) => p.name("numpy_value").object(|p| print_tensor(p, tensor)),
    }
}

fn print_values(p: &mut Printer, field: &str, values: &[StructuredValue]) {
    p.name(field)
        .object(|p| p.name("values").array(values, print_value));
}

fn print_tensor_spec(p: &mut Printer, name: &str, shape: Option<&TensorShapeProto>, dtype: i32) {
    p.name("name").string(name);
    print_shape(p, "shape", shape);
    print_dtype(p, "dtype", dtype);
}

fn print_bounded(p: &mut Printer, spec: &BoundedTensorSpecProto) {
    print_tensor_spec(p, &spec.name, spec.shape.as_ref(), spec.dtype);
    for (field, tensor) in [("minimum", &spec.minimum), ("maximum", &spec.maximum)] {
        if let Some(tensor) = tensor {
            p.name(field).object(|p| print_tensor(p, tensor));
        }
    }
}
