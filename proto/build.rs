//! Compiles the .proto files without `protoc`.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let services = [
        "inference/open_inference.proto",
        "tensorflow_serving/apis/model_service.proto",
        "tensorflow_serving/apis/prediction_service.proto",
    ];
    let others = [
        "serving/config.proto",
        "serving/platform.proto",
        "serving/processors.proto",
        "tensorflow/core.proto",
        "tensorflow/struct.proto",
        "tensorflow/session.proto",
        "tensorgate/edge/v1/edge.proto",
        "tensorflow_serving/apis/prediction_log.proto",
    ];
    for directory in [
        "inference",
        "serving",
        "tensorflow",
        "tensorflow_serving",
        "tensorgate",
        "xla",
    ] {
        println!("cargo::rerun-if-changed={directory}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);

    // What reflection shows: the services and what they need, without comments.
    let mut shown = protox::compile(services, ["."])?;
    for file in &mut shown.file {
        file.source_code_info = None;
    }
    fs::write(out.join("services.bin"), shown.encode_to_vec())?;

    let all = protox::compile(services.into_iter().chain(others), ["."])?;
    fs::write(out.join("descriptors.bin"), all.encode_to_vec())?;
    prost_build::Config::new()
        // Ordered maps: whoever prints a signature prints it the same every time.
        .btree_map(["."])
        .compile_fds(all)?;
    Ok(())
}
