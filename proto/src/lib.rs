//! Protobuf messages that are read here, generated from the .proto files beside this crate.
//!
//! Two packages: TensorFlow's own ([`tensorflow`]: what a SavedModel says of itself) and the
//! configuration files of TensorFlow Serving (`config`, with the feature of that name). The
//! messages of TensorFlow Serving's API are not here: only guests may know those.

/// What a SavedModel says of itself.
#[expect(
    missing_docs,
    reason = "generated; the .proto file has the documentation"
)]
#[allow(
    clippy::allow_attributes,
    clippy::trivially_copy_pass_by_ref,
    unreachable_pub,
    reason = "generated"
)]
pub mod tensorflow {
    include!(concat!(env!("OUT_DIR"), "/tensorflow.rs"));
}

/// Configuration files.
#[cfg(feature = "config")]
pub mod config {
    use prost::Message;
    use prost_reflect::{DescriptorPool, DynamicMessage};

    #[expect(
        missing_docs,
        reason = "generated; the .proto file has the documentation"
    )]
    #[allow(
        clippy::allow_attributes,
        clippy::trivially_copy_pass_by_ref,
        unreachable_pub,
        reason = "generated"
    )]
    mod generated {
        include!(concat!(env!("OUT_DIR"), "/tensorflow.serving.rs"));
    }
    pub use generated::*;

    const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

    /// Parses a `ModelServerConfig` in protobuf text format.
    ///
    /// # Errors
    /// The position and the reason, when `text` is not one.
    pub fn parse_model_server_config(text: &str) -> Result<ModelServerConfig, String> {
        parse_text("tensorflow.serving.ModelServerConfig", text)
    }

    fn parse_text<M: Message + Default>(name: &str, text: &str) -> Result<M, String> {
        let pool = DescriptorPool::decode(DESCRIPTORS).map_err(|error| error.to_string())?;
        let descriptor = pool
            .get_message_by_name(name)
            .ok_or_else(|| format!("no message is called {name}"))?;
        DynamicMessage::parse_text_format(descriptor, text)
            .map_err(|error| error.to_string())?
            .transcode_to()
            .map_err(|error| error.to_string())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn reads_the_text_format_that_tensorflow_serving_reads() {
            let text = r#"
                # one model
                model_config_list {
                  config: {
                    name: "m", base_path: '/models/m'
                    model_platform: "tensorflow";
                    model_version_policy { specific { versions: 1 versions: 3 } }
                    version_labels { key: 'stable' value: 1 }
                  }
                }"#;
            let config = parse_model_server_config(text).unwrap();
            let Some(model_server_config::Config::ModelConfigList(list)) = config.config else {
                panic!("no list");
            };
            assert_eq!(list.config[0].name, "m");
            assert_eq!(list.config[0].version_labels["stable"], 1);
            assert!(parse_model_server_config("model_config_lisp {}").is_err());
        }
    }
}
