//! What a model's exporter says of its signatures, or a processor that covers them, in protobuf's
//! JSON.
//!
//! Fields have the names of the .proto files and stand in their order, members of a oneof behind
//! the others; fields with default values are printed, absent messages are not.

use prost::Message as _;
use tensorgate_proto::tensorflow::tensor_info::{CompositeTensor, CooSparse, Encoding};
use tensorgate_proto::tensorflow::{SignatureDef, TensorInfo, TensorProto, TensorShapeProto};
use tensorgate_types::{DType, Error, ModelSpec, Result};

use super::Outcome;
use super::printer::Printer;
use super::type_spec::print_type_spec;
use crate::described::signature_defs;
use crate::inference::{Inference, Model};
use crate::json::{base64, decimal};

pub(super) fn metadata(
    spec: &ModelSpec,
    inference: &impl Inference,
    outcome: &mut Outcome,
) -> Result<Vec<u8>> {
    let model = inference.open(spec)?;
    let version = model.version();
    outcome.version = Some(version);
    let signatures = signature_defs(&model)
        .into_iter()
        .map(|(name, bytes)| {
            let def = SignatureDef::decode(&*bytes).map_err(|error| {
                Error::internal(format!("signature {name} cannot be decoded")).with_source(error)
            })?;
            Ok((name, def))
        })
        .collect::<Result<Vec<_>>>()?;

    let model_spec = Printer::message(|p| {
        p.name("name").string(&spec.name);
        p.name("signature_name").string("");
        p.name("version").quoted(version);
    });
    let signature_def = Printer::message(|p| {
        p.name("signature_def").object(|p| {
            for (name, def) in &signatures {
                p.name(name).object(|p| print_signature(p, def));
            }
        });
    });
    Ok([
        b"{\n\"model_spec\":",
        &*model_spec,
        b",\n\"metadata\": {\"signature_def\": ",
        &*signature_def,
        b"}\n}\n",
    ]
    .concat())
}

fn print_signature(p: &mut Printer, def: &SignatureDef) {
    for (field, infos) in [("inputs", &def.inputs), ("outputs", &def.outputs)] {
        p.name(field).object(|p| {
            for (name, info) in infos {
                p.name(name).object(|p| print_info(p, info));
            }
        });
    }
    p.name("method_name").string(&def.method_name);
    p.name("defaults").object(|p| {
        for (name, tensor) in &def.defaults {
            p.name(name).object(|p| print_tensor(p, tensor));
        }
    });
}

fn print_info(p: &mut Printer, info: &TensorInfo) {
    print_dtype(p, "dtype", info.dtype);
    print_shape(p, "tensor_shape", info.tensor_shape.as_ref());
    match &info.encoding {
        None => {}
        Some(Encoding::Name(name)) => p.name("name").string(name),
        Some(Encoding::CooSparse(sparse)) => {
            p.name("coo_sparse").object(|p| print_sparse(p, sparse));
        }
        Some(Encoding::CompositeTensor(composite)) => {
            p.name("composite_tensor")
                .object(|p| print_composite(p, composite));
        }
    }
}

fn print_sparse(p: &mut Printer, sparse: &CooSparse) {
    p.name("values_tensor_name")
        .string(&sparse.values_tensor_name);
    p.name("indices_tensor_name")
        .string(&sparse.indices_tensor_name);
    p.name("dense_shape_tensor_name")
        .string(&sparse.dense_shape_tensor_name);
}

fn print_composite(p: &mut Printer, composite: &CompositeTensor) {
    if !composite.type_spec.is_empty() {
        print_type_spec(p.name("type_spec"), &composite.type_spec);
    }
    p.name("components")
        .array(&composite.components, |p, info| {
            p.object(|p| print_info(p, info));
        });
}

pub(super) fn print_dtype(p: &mut Printer, field: &str, number: i32) {
    /// Added to a type's number for a reference to one.
    const REFERENCE: i32 = 100;
    let (base, suffix) = if number > REFERENCE {
        (number - REFERENCE, "_REF")
    } else {
        (number, "")
    };
    let name = u32::try_from(base)
        .ok()
        .and_then(|base| DType::from_number(base).proto_name());
    match name {
        Some(name) => p.name(field).quoted(format_args!("{name}{suffix}")),
        None => p.name(field).bare(number),
    }
}

pub(super) fn print_shape(p: &mut Printer, field: &str, shape: Option<&TensorShapeProto>) {
    let Some(shape) = shape else { return };
    p.name(field).object(|p| {
        p.name("dim").array(&shape.dim, |p, dim| {
            p.object(|p| {
                p.name("size").quoted(dim.size);
                p.name("name").string(&dim.name);
            });
        });
        p.name("unknown_rank").bare(shape.unknown_rank);
    });
}

fn print_bytes(p: &mut Printer, bytes: &[u8]) {
    p.raw(|out| {
        out.push(b'"');
        base64::encode(bytes, out);
        out.push(b'"');
    });
}

pub(super) fn print_tensor(p: &mut Printer, tensor: &TensorProto) {
    let float = |p: &mut Printer, value: &f32| p.raw(|out| decimal::push_proto_f32(*value, out));
    let double = |p: &mut Printer, value: &f64| p.raw(|out| decimal::push_proto_f64(*value, out));
    print_dtype(p, "dtype", tensor.dtype);
    print_shape(p, "tensor_shape", tensor.tensor_shape.as_ref());
    p.name("version_number").bare(tensor.version_number);
    print_bytes(p.name("tensor_content"), &tensor.tensor_content);
    p.name("half_val")
        .array(&tensor.half_val, |p, value| p.bare(value));
    p.name("float_val").array(&tensor.float_val, float);
    p.name("double_val").array(&tensor.double_val, double);
    p.name("int_val")
        .array(&tensor.int_val, |p, value| p.bare(value));
    p.name("string_val")
        .array(&tensor.string_val, |p, value| print_bytes(p, value));
    p.name("scomplex_val").array(&tensor.scomplex_val, float);
    p.name("int64_val")
        .array(&tensor.int64_val, |p, value| p.quoted(value));
    p.name("bool_val")
        .array(&tensor.bool_val, |p, value| p.bare(value));
    p.name("dcomplex_val").array(&tensor.dcomplex_val, double);
    // Handles and variants cannot be defaults of a signature that anybody can call.
    p.name("resource_handle_val").array(&[(); 0], |_, ()| {});
    p.name("variant_val").array(&[(); 0], |_, ()| {});
    p.name("uint32_val")
        .array(&tensor.uint32_val, |p, value| p.bare(value));
    p.name("uint64_val")
        .array(&tensor.uint64_val, |p, value| p.quoted(value));
    print_bytes(p.name("float8_val"), &tensor.float8_val);
}

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;
