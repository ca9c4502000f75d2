//! What is asked of which model.
//!
//! Three: `half_plus_two`, where nearly everything is overhead; `cnn`, the tutorial's network for
//! handwritten digits, which computes; and `echo`, with inputs and outputs of the network's shapes
//! that computes nothing, so that it shows what the network's requests cost without the network.
//!
//! Invariant: the same request is sent in every run and to everybody.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use tensorgate_engine::{Call, RunRequest};
use tensorgate_types::{DType, Deadline, Tensor};

use crate::load::Load;
use crate::random::Random;
use crate::wire::Request;

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Over {
    Rest,
    Grpc,
}

impl Over {
    pub(crate) const BOTH: [Self; 2] = [Self::Rest, Self::Grpc];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::Grpc => "gRPC",
        }
    }
}

/// A model and its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// With a directory for each version.
    pub(crate) base_path: PathBuf,
    pub(crate) input: &'static str,
    pub(crate) output: &'static str,
    /// Of one row.
    shape: &'static [usize],
}

/// The signature that everybody takes by default.
const SIGNATURE: &str = "serving_default";

impl Workload {
    /// The workload of this name, whose model is in `models`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(models: &Path, name: &str) -> Result<Self> {
        let (name, input, output, shape): (_, _, _, &[usize]) = match name {
            "half_plus_two" => ("half_plus_two", "x", "y", &[]),
            "cnn" => ("cnn", "images", "scores", &[28, 28, 1]),
            "echo" => ("echo", "images", "scores", &[28, 28, 1]),
            _ => bail!("no workload `{name}`: expected half_plus_two, cnn or echo"),
        };
        Ok(Self {
            name,
            base_path: models.join(name),
            input,
            output,
            shape,
        })
    }

    fn shape(&self, rows: usize) -> Vec<usize> {
        [&[rows], self.shape].concat()
    }

    /// Pictures as the digits are: four pixels of five are background, the others have one of 256
    /// shades. Whole numbers for the small model.
    fn values(&self, rows: usize) -> Vec<f32> {
        let count = rows * self.shape.iter().product::<usize>();
        let mut random = Random::new(7);
        let mut value = || {
            if self.shape.is_empty() {
                return (random.unit() * 100.0).floor();
            }
            if random.unit() < 0.8 {
                return 0.0;
            }
            (random.unit() * 255.0).ceil() / 255.0
        };
        #[expect(clippy::cast_possible_truncation, reason = "a float for the model")]
        let values = (0..count).map(|_| value() as f32).collect();
        values
    }

    /// The request that clients send.
    ///
    /// # Errors
    /// When the name makes no path.
    pub(crate) fn load(&self, over: Over, rows: usize) -> Result<Load> {
        match over {
            Over::Rest => {
                let path = format!("/v1/models/{}:predict", self.name);
                Load::rest(&path, self.json(rows))
            }
            Over::Grpc => {
                let method = "/tensorflow.serving.PredictionService/Predict";
                let body = self.with(rows, |request| request.grpc());
                Ok(Load::grpc(method, body))
            }
        }
    }

    /// The body of the request over REST.
    pub(crate) fn json(&self, rows: usize) -> bytes::Bytes {
        self.with(rows, |request| request.json())
    }

    /// The body of the Open Inference Protocol, version 2, over REST.
    pub(crate) fn open_inference(&self, rows: usize) -> bytes::Bytes {
        let (shape, values) = (self.shape(rows), self.values(rows));
        let mut data = String::new();
        crate::wire::nested(&mut data, &[values.len()], &values);
        format!(
            "{{\"inputs\": [{{\"name\": \"{}\", \"shape\": {shape:?}, \"datatype\": \"FP32\", \
             \"data\": {data}}}]}}",
            self.input
        )
        .into()
    }

    fn with<T>(&self, rows: usize, make: impl FnOnce(&Request<'_>) -> T) -> T {
        make(&Request {
            model: self.name,
            signature: SIGNATURE,
            input: self.input,
            shape: &self.shape(rows),
            values: &self.values(rows),
        })
    }

    /// The same, for the session alone.
    ///
    /// # Errors
    /// Never, for a shape of ours.
    pub(crate) fn run_request(&self, rows: usize) -> Result<RunRequest> {
        let shape = self.shape(rows);
        let shape = shape.into_iter().map(i64::try_from);
        let input = Tensor::from_slice(
            DType::FLOAT,
            shape.collect::<Result<_, _>>()?,
            &self.values(rows),
        )?;
        let call = Call {
            signature: SIGNATURE.to_owned(),
            inputs: vec![(self.input.to_owned(), input)],
            outputs: Vec::new(),
        };
        Ok(RunRequest::one(call, Deadline::NEVER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(name: &str) -> Workload {
        Workload::find(Path::new("/models"), name).unwrap()
    }

    #[test]
    fn a_picture_is_as_long_as_its_shape_and_mostly_dark() {
        let values = workload("cnn").values(16);
        assert_eq!(values.len(), 16 * 784);
        let dark = values.iter().filter(|value| **value == 0.0).count();
        assert!((9_500..10_500).contains(&dark), "{dark}");
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
    }

    #[test]
    fn the_echo_is_sent_what_the_network_is_sent() {
        assert_eq!(workload("cnn").json(2), workload("echo").json(2));
        assert_eq!(workload("echo").base_path, Path::new("/models/echo"));
    }

    #[test]
    fn writes_the_open_protocol() {
        let body = workload("half_plus_two").open_inference(2);
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["inputs"][0]["shape"], serde_json::json!([2]));
        assert_eq!(body["inputs"][0]["data"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn knows_no_other_workload() {
        let error = Workload::find(Path::new("/"), "resnet").unwrap_err();
        assert!(error.to_string().contains("`resnet`"), "{error}");
    }
}
