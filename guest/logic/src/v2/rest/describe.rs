//! What is told of the server and its models, as JSON.

use tensorgate_proto::inference as proto;
use tensorgate_proto::inference::model_metadata_response::TensorMetadata;
use tensorgate_proto::inference::repository_index_response::ModelIndex;

use crate::json::write::push_string;
use crate::v2::models::{EXTENSIONS, SERVER, VERSION};

/// JSON without whitespace.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    /// A list of what `item` writes of each of `items`.
    fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.0.push(b'[');
        for (index, element) in items.iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            item(self, element);
        }
        self.0.push(b']');
    }

    fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.0.push(b'{');
        members(self);
        self.0.push(b'}');
    }

    fn string(&mut self, text: &str) {
        push_string(text.as_bytes(), &mut self.0);
    }

    fn bare(&mut self, text: &impl ToString) {
        self.0.extend_from_slice(text.to_string().as_bytes());
    }

    /// The name of a member; its value must follow.
    fn name(&mut self, name: &str) -> &mut Self {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        self.string(name);
        self.0.push(b':');
        self
    }
}

fn written(members: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.object(members);
    writer.0
}

pub(super) fn server() -> Vec<u8> {
    written(|w| {
        w.name("name").string(SERVER);
        w.name("version").string(VERSION);
        w.name("extensions").list(&EXTENSIONS, |w, it| w.string(it));
    })
}

pub(super) fn metadata(metadata: &proto::ModelMetadataResponse) -> Vec<u8> {
    let tensor = |w: &mut Writer, tensor: &TensorMetadata| {
        w.object(|w| {
            w.name("name").string(&tensor.name);
            w.name("datatype").string(&tensor.datatype);
            w.name("shape").list(&tensor.shape, |w, dim| w.bare(dim));
        });
    };
    written(|w| {
        w.name("name").string(&metadata.name);
        w.name("versions")
            .list(&metadata.versions, |w, it| w.string(it));
        w.name("platform").string(&metadata.platform);
        w.name("inputs").list(&metadata.inputs, tensor);
        w.name("outputs").list(&metadata.outputs, tensor);
        w.name("properties").object(|w| {
            for (name, value) in &metadata.properties {
                w.name(name).string(value);
            }
        });
    })
}

pub(super) fn config(config: &proto::ModelConfig) -> Vec<u8> {
    let dims = |w: &mut Writer, (name, kind, dims): (&str, proto::DataType, &[i64])| {
        w.name("name").string(name);
        w.name("data_type").string(kind.as_str_name());
        w.name("dims").list(dims, |w, dim| w.bare(dim));
    };
    written(|w| {
        w.name("name").string(&config.name);
        w.name("platform").string(&config.platform);
        w.name("backend").string(&config.backend);
        w.name("max_batch_size").bare(&config.max_batch_size);
        w.name("input").list(&config.input, |w, input| {
            w.object(|w| {
                dims(w, (&input.name, input.data_type(), &input.dims));
                w.name("optional").bare(&input.optional);
            });
        });
        w.name("output").list(&config.output, |w, output| {
            w.object(|w| dims(w, (&output.name, output.data_type(), &output.dims)));
        });
    })
}

pub(super) fn index(models: &[ModelIndex]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.list(models, |w, model| {
        w.object(|w| {
            w.name("name").string(&model.name);
            w.name("version").string(&model.version);
            w.name("state").string(&model.state);
            if !model.reason.is_empty() {
                w.name("reason").string(&model.reason);
            }
        });
    });
    writer.0
}
