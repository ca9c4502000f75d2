//! A SavedModel's description for people.

use std::fmt::Write as _;

use comfy_table::{Table, presets};

use super::{Description, MetaGraph, SignatureView, TensorView};

/// A heading per set of tags and per signature, and a table of inputs and outputs under it.
pub(crate) fn table(description: &Description) -> String {
    let mut text = format!("SavedModel {}\n", description.path.display());
    if !description.versions.is_empty() {
        let versions: Vec<String> = description.versions.iter().map(i64::to_string).collect();
        // Infallible, here and below: a String takes everything.
        let _ = writeln!(
            text,
            "Versions: {} (the highest is shown)",
            versions.join(", ")
        );
    }
    for graph in &description.meta_graphs {
        meta_graph(&mut text, graph);
    }
    text
}

fn meta_graph(text: &mut String, graph: &MetaGraph) {
    let written_by = match graph.tensorflow_version.as_str() {
        "" => String::new(),
        version => format!(", written by TensorFlow {version}"),
    };
    let _ = writeln!(text, "\nTags: {}{written_by}", graph.tags.join(", "));
    for signature in &graph.signatures {
        signature_table(text, signature);
    }
}

fn signature_table(text: &mut String, signature: &SignatureView) {
    let _ = writeln!(text, "\nSignature {}", signature.name);
    if !signature.method_name.is_empty() {
        let _ = writeln!(text, "Method: {}", signature.method_name);
    }
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(["", "name", "type", "shape", "tensor"]);
    for (side, tensors) in [("input", &signature.inputs), ("output", &signature.outputs)] {
        for tensor in tensors {
            table.add_row([
                side,
                &tensor.name,
                &tensor.dtype,
                &shape(tensor),
                &tensor.tensor_name,
            ]);
        }
    }
    let _ = writeln!(text, "{table}");
}

/// `[?, 28, 28]`, with `?` for what a request may choose.
fn shape(tensor: &TensorView) -> String {
    let Some(dims) = &tensor.shape else {
        return "any rank".to_owned();
    };
    let dims: Vec<String> = dims
        .iter()
        .map(|dim| match dim {
            ..0 => "?".to_owned(),
            known => known.to_string(),
        })
        .collect();
    format!("[{}]", dims.join(", "))
}
