//! A worker: this program, started by a server, with libtensorflow and the models that it is told.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use prost::Message;
use tensorgate_tensorflow::Scheduling;
use tensorgate_types::{Error, Result};
use tensorgate_workers::{Device, Hosted, Runtime, end_this_process};

use crate::options::{ServeOptions, WorkerDevice, WorkerOptions};

use super::loaded::LoadedModel;
use super::local::LocalLoader;
use super::sessions::HowSession;

/// What a worker is told when it starts. Both sides are the same program, so that numbers need
/// not stay what they are.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WorkerTold {
    #[prost(bytes = "vec", optional, tag = "1")]
    libtensorflow: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    liblitert: Option<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    custom_op_libraries: Vec<Vec<u8>>,
    #[prost(string, repeated, tag = "4")]
    saved_model_tags: Vec<String>,
    #[prost(bool, tag = "5")]
    prefer_tflite_model: bool,
    #[prost(uint64, tag = "6")]
    num_tflite_pools: u64,
    #[prost(uint64, tag = "7")]
    num_tflite_interpreters_per_pool: u64,
    /// The GPU that it must find.
    #[prost(uint32, optional, tag = "8")]
    gpu: Option<u32>,
}

impl WorkerTold {
    pub(super) fn of(options: &ServeOptions, worker: &WorkerOptions) -> Self {
        let bytes = |path: &PathBuf| path.as_os_str().as_bytes().to_vec();
        Self {
            libtensorflow: options.libtensorflow.as_ref().map(bytes),
            liblitert: options.liblitert.as_ref().map(bytes),
            custom_op_libraries: options.custom_op_libraries.iter().map(bytes).collect(),
            saved_model_tags: options.saved_model_tags.clone(),
            prefer_tflite_model: options.prefer_tflite_model,
            num_tflite_pools: options.num_tflite_pools as u64,
            num_tflite_interpreters_per_pool: options.num_tflite_interpreters_per_pool as u64,
            gpu: match worker.device {
                WorkerDevice::Cpu => None,
                WorkerDevice::Gpu(number) => Some(number),
            },
        }
    }

    fn options(self) -> ServeOptions {
        let path = |bytes: Vec<u8>| PathBuf::from(OsStr::from_bytes(&bytes));
        let count = |count| usize::try_from(count).unwrap_or(usize::MAX);
        ServeOptions {
            libtensorflow: self.libtensorflow.map(path),
            liblitert: self.liblitert.map(path),
            custom_op_libraries: self.custom_op_libraries.into_iter().map(path).collect(),
            saved_model_tags: self.saved_model_tags,
            prefer_tflite_model: self.prefer_tflite_model,
            num_tflite_pools: count(self.num_tflite_pools),
            num_tflite_interpreters_per_pool: count(self.num_tflite_interpreters_per_pool),
            ..ServeOptions::default()
        }
    }
}

/// What it is told of a model.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelTold {
    #[prost(bytes = "vec", tag = "1")]
    session_config: Vec<u8>,
    #[prost(bool, tag = "2")]
    has_inter_op_pool: bool,
}

impl ModelTold {
    pub(super) fn of(how: &HowSession) -> Self {
        Self {
            session_config: how.config.clone(),
            has_inter_op_pool: how.scheduling == Scheduling::InterOpPool,
        }
    }
}

/// Works for the server at the other end of `socket`, until it says no more; then the process
/// ends, and this does not return.
///
/// # Errors
/// When the server says something that is not understood.
pub(crate) fn work(socket: UnixStream) -> std::io::Result<()> {
    tensorgate_workers::work(socket, TensorFlowRuntime::open, end_this_process)
}

struct TensorFlowRuntime {
    loader: LocalLoader,
    gpu: Option<u32>,
}

impl TensorFlowRuntime {
    fn open(told: &[u8]) -> Result<Self> {
        let told = WorkerTold::decode(told).map_err(misunderstood)?;
        let gpu = told.gpu;
        let loader = LocalLoader::new(&told.options())?;
        loader.open()?;
        Ok(Self { loader, gpu })
    }
}

impl Runtime for TensorFlowRuntime {
    fn load(&self, path: &Path, how: &[u8]) -> Result<Hosted> {
        let told = ModelTold::decode(how).map_err(misunderstood)?;
        let how = HowSession {
            config: told.session_config,
            scheduling: if told.has_inter_op_pool {
                Scheduling::InterOpPool
            } else {
                Scheduling::CallingThread
            },
        };
        let model = self.loader.load(path, how)?;
        let devices = match &model {
            LoadedModel::Saved(_) => self.loader.devices(),
            // It computes on the processors, without a session.
            LoadedModel::Lite(_) | LoadedModel::Away(_) => Vec::new(),
        };
        self.check(&model, &devices)?;
        Ok(Hosted {
            model: Box::new(model),
            devices,
        })
    }
}

impl TensorFlowRuntime {
    /// TensorFlow takes the processors where it finds no GPU, a hundred times as slow.
    fn check(&self, model: &LoadedModel, devices: &[Device]) -> Result<()> {
        let Some(gpu) = self.gpu else {
            return Ok(());
        };
        if model.is_lite() || devices.iter().any(|device| device.kind == "GPU") {
            return Ok(());
        }
        let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        Err(Error::failed_precondition(format!(
            "a worker for gpu:{gpu} has no GPU: TensorFlow has found {}",
            names.join(", ")
        )))
    }
}

fn misunderstood(error: prost::DecodeError) -> Error {
    Error::internal("a worker does not understand its server").with_source(error)
}
