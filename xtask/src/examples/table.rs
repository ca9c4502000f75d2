//! Which examples there are, and what each of them serves.
//!
//! **Invariant:** a model has one name and one exporter, whichever examples serve it, so that all
//! examples can be served side by side.

/// One example.
#[derive(Debug)]
pub(crate) struct Example {
    /// Its directory under `examples/`.
    pub(crate) name: &'static str,
    /// The directory under `examples/` whose `export.py` writes its models: its own, or one that it
    /// shares with others.
    pub(crate) exporter: &'static str,
    /// What it serves.
    pub(crate) models: &'static [Model],
    /// In half a line.
    pub(crate) shows: &'static str,
}

impl Example {
    /// The names of its models.
    pub(crate) fn model_names(&self) -> Vec<&'static str> {
        self.models.iter().map(|model| model.name).collect()
    }

    /// Whether it takes more than Rust to make its processors: what `cargo xtask setup` installs
    /// for JavaScript and Python.
    pub(crate) fn needs_component_tools(&self) -> bool {
        let mut processors = self.models.iter().filter_map(|model| model.processor);
        processors.any(|processor| !matches!(processor, Processor::Rust(_)))
    }
}

/// A model that an example serves. What its processor may do is in the file `processors.pbtxt` of
/// the example, where there is one.
#[derive(Debug)]
pub(crate) struct Model {
    /// Its name, and the name of the directory that the exporter writes.
    pub(crate) name: &'static str,
    /// What stands before each of its versions.
    pub(crate) processor: Option<Processor>,
    /// More of its entry in the server's configuration: which versions are served, and labels.
    pub(crate) config: &'static str,
}

/// How a processor is made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Processor {
    /// Of this package of the workspace.
    Rust(&'static str),
    /// Of this module in `processor/src` of the example, by componentize-js.
    JavaScript(&'static str),
    /// The same, by componentize-py.
    Python(&'static str),
}

/// A model as it was exported.
const fn model(name: &'static str) -> Model {
    Model {
        name,
        processor: None,
        config: "",
    }
}

/// A model behind a processor.
const fn behind(processor: Processor, name: &'static str) -> Model {
    Model {
        processor: Some(processor),
        ..model(name)
    }
}

/// All of them, in the order in which a newcomer meets them.
pub(crate) const ALL: &[Example] = &[
    Example {
        name: "half_plus_two",
        exporter: "half_plus_two",
        models: &[model("half_plus_two")],
        shows: "one model, one curl, an answer equal to TensorFlow Serving's to the byte",
    },
    Example {
        name: "digits",
        exporter: "digits",
        models: &[model("digits_softmax"), model("digits_cnn")],
        shows: "handwritten digits: softmax regression and a Keras network",
    },
    Example {
        name: "linear_regression",
        exporter: "linear_regression",
        models: &[model("linear_regression")],
        shows: "a model that is retrained while it is served",
    },
    Example {
        name: "image_classifier",
        exporter: "image_classifier",
        models: &[behind(
            Processor::Rust("tensorgate-image-classifier"),
            "image_classifier",
        )],
        shows: "pictures in, labels out: a processor beside a model",
    },
    Example {
        name: "text_classifier",
        exporter: "text_classifier",
        models: &[behind(
            Processor::Rust("tensorgate-text-classifier"),
            "text_classifier",
        )],
        shows: "sentences in, for a model of numbers: a vocabulary in the processor",
    },
    Example {
        name: "tabular",
        exporter: "tabular",
        models: &[behind(Processor::Rust("tensorgate-tabular"), "tabular")],
        shows: "CSV in, for a model of tf.Examples; CSV or JSON out",
    },
    Example {
        name: "wine_python",
        exporter: "wine_python",
        models: &[behind(Processor::Python("wine"), "wine_python")],
        shows: "a laboratory's CSV in, cultivars out: a processor in Python",
    },
    Example {
        name: "iris_javascript",
        exporter: "iris_javascript",
        models: &[behind(Processor::JavaScript("iris"), "iris_javascript")],
        shows: "JSON of a web page in, species out: a processor in JavaScript",
    },
    Example {
        name: "canary",
        exporter: "pipelines",
        models: &[
            model("digits_small"),
            model("digits_large"),
            Model {
                config: "model_version_policy { all {} }\n\
                         version_labels { key: \"stable\" value: 1 }",
                ..behind(Processor::Rust("tensorgate-canary"), "canary")
            },
        ],
        shows: "a share of the requests for a new version, the rest for the stable one",
    },
    Example {
        name: "cascade",
        exporter: "pipelines",
        models: &[
            model("digits_small"),
            model("digits_large"),
            behind(Processor::Rust("tensorgate-cascade"), "cascade"),
        ],
        shows: "a small model first, a large one where the small one is unsure",
    },
    Example {
        name: "ensemble",
        exporter: "pipelines",
        models: &[
            model("digits_small"),
            model("digits_middle"),
            model("digits_large"),
            behind(Processor::Rust("tensorgate-ensemble"), "ensemble"),
        ],
        shows: "the mean of several models' answers, also when one fails",
    },
    Example {
        name: "shadow",
        exporter: "pipelines",
        models: &[
            model("digits_small"),
            model("digits_large"),
            behind(Processor::Rust("tensorgate-shadow"), "shadow"),
        ],
        shows: "a copy of the requests for a candidate, whose answer nobody waits for",
    },
];

/// The packages of the processors that are written in Rust.
pub(crate) fn packages() -> impl Iterator<Item = &'static str> {
    let models = ALL.iter().flat_map(|example| example.models);
    models.filter_map(|model| match model.processor? {
        Processor::Rust(package) => Some(package),
        Processor::JavaScript(_) | Processor::Python(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::Repo;

    #[test]
    fn every_directory_with_a_client_is_in_the_table() {
        let examples = Repo::find().unwrap().root().join("examples");
        let mut there: Vec<String> = std::fs::read_dir(examples)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().join("client.py").is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        there.sort();
        let mut listed: Vec<&str> = ALL.iter().map(|example| example.name).collect();
        listed.sort_unstable();
        assert_eq!(there, listed);
    }

    #[test]
    fn a_model_that_several_serve_has_one_exporter_and_no_processor() {
        for (at, example) in ALL.iter().enumerate() {
            for model in example.models {
                let others = ALL[..at].iter().flat_map(|other| {
                    let same = other.models.iter().find(|other| other.name == model.name);
                    same.map(|same| (other.exporter, same))
                });
                for (exporter, same) in others {
                    assert_eq!(exporter, example.exporter, "{}", model.name);
                    assert!(same.processor.is_none() && model.processor.is_none());
                    assert_eq!(same.config, model.config, "{}", model.name);
                }
            }
        }
    }
}
