//! A signature as protobuf's text format shows it, for the messages of errors that end with one.

use std::fmt::{self, Write as _};

use prost::Message as _;
use tensorgate_proto::tensorflow::tensor_info::Encoding;
use tensorgate_proto::tensorflow::{SignatureDef, TensorInfo};
use tensorgate_types::DType;

use crate::inference::Model;

/// The signature `name` of the model; nothing when it cannot be read. Values of defaults are left
/// out: a message has no room for them.
pub(super) fn signature_def(model: &impl Model, name: &str) -> String {
    let def = model
        .signature_defs()
        .into_iter()
        .find(|(known, _)| known == name)
        .and_then(|(_, bytes)| SignatureDef::decode(&*bytes).ok())
        .unwrap_or_default();
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = print(&mut out, &def);
    out
}

fn print(out: &mut String, def: &SignatureDef) -> fmt::Result {
    for (field, infos) in [("inputs", &def.inputs), ("outputs", &def.outputs)] {
        for (name, info) in infos {
            writeln!(out, "{field} {{\n  key: \"{}\"\n  value {{", Escaped(name))?;
            print_info(out, info)?;
            out.push_str("  }\n}\n");
        }
    }
    if !def.method_name.is_empty() {
        writeln!(out, "method_name: \"{}\"", Escaped(&def.method_name))?;
    }
    Ok(())
}

fn print_info(out: &mut String, info: &TensorInfo) -> fmt::Result {
    if let Some(Encoding::Name(name)) = &info.encoding {
        writeln!(out, "    name: \"{}\"", Escaped(name))?;
    }
    let dtype = u32::try_from(info.dtype).ok().map(DType::from_number);
    match dtype.and_then(DType::proto_name) {
        Some(_) if info.dtype == 0 => {}
        Some(name) if info.dtype > 100 => writeln!(out, "    dtype: {name}_REF")?,
        Some(name) => writeln!(out, "    dtype: {name}")?,
        None => writeln!(out, "    dtype: {}", info.dtype)?,
    }
    let Some(shape) = &info.tensor_shape else {
        return Ok(());
    };
    out.push_str("    tensor_shape {\n");
    for dim in &shape.dim {
        out.push_str("      dim {\n");
        if dim.size != 0 {
            writeln!(out, "        size: {}", dim.size)?;
        }
        if !dim.name.is_empty() {
            writeln!(out, "        name: \"{}\"", Escaped(&dim.name))?;
        }
        out.push_str("      }\n");
    }
    if shape.unknown_rank {
        out.push_str("      unknown_rank: true\n");
    }
    out.push_str("    }\n");
    Ok(())
}

/// A string as it stands between quotes in the text format.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                b'"' | b'\'' | b'\\' => write!(f, "\\{}", byte as char)?,
                0x20..=0x7E => f.write_char(byte as char)?,
                _ => write!(f, "\\{byte:03o}")?,
            }
        }
        Ok(())
    }
}
