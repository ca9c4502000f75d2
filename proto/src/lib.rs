//! Protobuf messages that are read and written here, generated from the .proto files beside this
//! crate, which have the documentation.
//!
//! Modules follow the packages: TensorFlow's own ([`tensorflow`]: what a SavedModel says of
//! itself), and within it TensorFlow Serving's ([`tensorflow::serving`]: its API, its logs and its
//! configuration); the V2 inference protocol ([`inference`]). Configuration files are in text format, which `config` reads (with the
//! feature of that name).
//!
//! **Invariant:** the host decodes no request of a client. It uses the API's messages for what is
//! its own: descriptors for reflection (`DESCRIPTORS`, with the feature `descriptors`), the records of a log and of warm-up
//! files (`PredictionLog`), and its configuration. Their bytes it passes on.

/// TensorFlow's package.
#[expect(
    missing_docs,
    reason = "generated; the .proto files have the documentation"
)]
#[allow(
    clippy::allow_attributes,
    clippy::doc_markdown,
    clippy::enum_variant_names,
    clippy::large_enum_variant,
    clippy::trivially_copy_pass_by_ref,
    unreachable_pub,
    reason = "generated"
)]
pub mod tensorflow {
    include!(concat!(env!("OUT_DIR"), "/tensorflow.rs"));

    /// Codes of errors.
    pub mod error {
        include!(concat!(env!("OUT_DIR"), "/tensorflow.error.rs"));
    }

    /// TensorFlow Serving's package.
    pub mod serving {
        include!(concat!(env!("OUT_DIR"), "/tensorflow.serving.rs"));
    }
}

/// The V2 inference protocol, KServe's and Triton's.
#[expect(
    missing_docs,
    reason = "generated; the .proto files have the documentation"
)]
#[allow(
    clippy::allow_attributes,
    clippy::doc_markdown,
    clippy::enum_variant_names,
    clippy::struct_field_names,
    unreachable_pub,
    reason = "generated"
)]
pub mod inference {
    include!(concat!(env!("OUT_DIR"), "/inference.rs"));
}

/// This project's own configuration and protocol.
#[expect(
    missing_docs,
    reason = "generated; the .proto files have the documentation"
)]
#[allow(
    clippy::allow_attributes,
    clippy::doc_markdown,
    unreachable_pub,
    reason = "generated"
)]
pub mod tensorgate {
    include!(concat!(env!("OUT_DIR"), "/tensorgate.rs"));

    /// What a host and components at the edge say to each other.
    pub mod edge {
        /// Its first version.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/tensorgate.edge.v1.rs"));
        }
    }
}

/// A serialized `google.protobuf.FileDescriptorSet`: the services of the gRPC API, and every file
/// that they need, under the names that the original has for them. For reflection.
#[cfg(feature = "descriptors")]
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/services.bin"));

/// Configuration files.
#[cfg(feature = "config")]
pub mod config {
    use prost::Message;
    use prost_reflect::{DescriptorPool, DynamicMessage};

    pub use crate::tensorflow::serving::*;

    const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

    /// Parses a `ModelServerConfig` in protobuf text format.
    ///
    /// # Errors
    /// The position and the reason, when `text` is not one.
    pub fn parse_model_server_config(text: &str) -> Result<ModelServerConfig, String> {
        parse_text("tensorflow.serving.ModelServerConfig", text)
    }

    /// Parses a `MonitoringConfig` in protobuf text format.
    ///
    /// # Errors
    /// The position and the reason, when `text` is not one.
    pub fn parse_monitoring_config(text: &str) -> Result<MonitoringConfig, String> {
        parse_text("tensorflow.serving.MonitoringConfig", text)
    }

    /// Parses a `tensorgate.ProcessorConfig` in protobuf text format.
    ///
    /// # Errors
    /// The position and the reason, when `text` is not one.
    pub fn parse_processor_config(
        text: &str,
    ) -> Result<crate::tensorgate::ProcessorConfig, String> {
        parse_text("tensorgate.ProcessorConfig", text)
    }

    /// Parses a `tensorflow.ConfigProto` in protobuf text format.
    ///
    /// # Errors
    /// The position and the reason, when `text` is not one.
    pub fn parse_session_config(text: &str) -> Result<crate::tensorflow::ConfigProto, String> {
        parse_text("tensorflow.ConfigProto", text)
    }

    /// Parses an `SSLConfig` in protobuf text format.
    ///
    /// # Errors
    /// The position and the reason, when `text` is not one.
    pub fn parse_ssl_config(text: &str) -> Result<SslConfig, String> {
        parse_text("tensorflow.serving.SSLConfig", text)
    }

    /// Parses the message of this full name in protobuf text format.
    ///
    /// # Errors
    /// The position and the reason, when `text` is not one, or no message has the name.
    pub fn parse<M: Message + Default>(name: &str, text: &str) -> Result<M, String> {
        parse_text(name, text)
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

        #[test]
        fn reads_what_an_any_holds_when_it_names_its_type() {
            let kind = "tensorflow.serving.SavedModelBundleSourceAdapterConfig";
            let text = |field: &str| {
                format!(
                    "platform_configs {{ key: 'tensorflow' value {{ source_adapter_config {{
                       [type.googleapis.com/{kind}] {{ legacy_config {{ {field} }} }}
                     }} }} }}"
                )
            };
            let read = |text: &str| parse("tensorflow.serving.PlatformConfigMap", text);
            let map: PlatformConfigMap = read(&text("saved_model_tags: 'serve'")).unwrap();
            let any = map.platform_configs["tensorflow"].clone();
            let any = any.source_adapter_config.unwrap();
            assert_eq!(any.type_url, format!("type.googleapis.com/{kind}"));
            let adapter = SavedModelBundleSourceAdapterConfig::decode(any.value.as_slice());
            let bundle = adapter.unwrap().legacy_config.unwrap();
            assert_eq!(bundle.saved_model_tags, ["serve"]);
            assert!(read(&text("saved_model_tag: 'serve'")).is_err());
        }
    }
}

#[cfg(all(test, feature = "descriptors"))]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn reflection_shows_the_services_and_all_that_they_need_under_the_original_names() {
        let set = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let services: Vec<String> = set
            .file
            .iter()
            .flat_map(|file| {
                let package = file.package();
                file.service
                    .iter()
                    .map(move |service| format!("{package}.{}", service.name()))
            })
            .collect();
        assert_eq!(
            services,
            [
                "inference.GRPCInferenceService",
                "tensorflow.serving.ModelService",
                "tensorflow.serving.PredictionService"
            ]
        );
        let names: Vec<&str> = set.file.iter().map(|file| file.name()).collect();
        for file in &set.file {
            let original = [
                "google/",
                "inference/",
                "tensorflow/core/",
                "tensorflow_serving/",
                "xla/",
            ];
            assert!(
                original.iter().any(|start| file.name().starts_with(start)),
                "{}",
                file.name()
            );
            for needed in &file.dependency {
                assert!(names.contains(&needed.as_str()), "{needed}");
            }
        }
    }
}
