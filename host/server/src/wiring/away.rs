//! Models in workers: which workers there are, and what each of them is told.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tensorgate_types::{Error, Result, ServableId};
use tensorgate_workers::{Fleet, Lodging, Program, WorkerSpec, WorkerStatus};

use crate::options::{ModelWorkers, ServeOptions, WorkerDevice, WorkerOptions};

use super::loaded::LoadedModel;
use super::sessions::HowSession;
use super::worker::{ModelTold, WorkerTold};

/// The command of this program that makes it a worker.
pub(crate) const COMMAND: &str = "worker";

/// The variable that hides GPUs from a process, and the one that says how they are counted.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";
const ORDER: &str = "CUDA_DEVICE_ORDER";

/// How long a worker may take to open the library, and those of custom operations: some seconds
/// from a slow disk, and no minutes.
const START: Duration = Duration::from_secs(120);

/// For how long a model is left out that ends its worker whenever it is loaded again: long enough
/// for the others to be served most of the time, and for memory to become free.
const LEFT_OUT: Duration = Duration::from_secs(30);

/// The workers. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Away {
    fleet: Arc<Fleet>,
    workers: Vec<WorkerOptions>,
    of_models: ModelWorkers,
}

impl Away {
    /// Workers as flags ask for them; their processes are started when there are models. `threads`
    /// things will be asked at a time, and `max_waiting` runs may wait for a worker while another
    /// one is up.
    ///
    /// # Errors
    /// When they cannot be together, or the system gives no threads.
    pub(super) fn new(options: &ServeOptions, threads: usize, max_waiting: usize) -> Result<Self> {
        let workers = options.workers.0.clone();
        let visible = std::env::var(VISIBLE).ok();
        let is_ordered = std::env::var_os(ORDER).is_some();
        let specs: Result<Vec<WorkerSpec>> = workers
            .iter()
            .map(|worker| {
                let env = environment(worker.device, visible.as_deref(), is_ordered)?;
                Ok(WorkerSpec {
                    device: worker.device.to_string(),
                    settings: WorkerTold::of(options, worker).encode_to_vec().into(),
                    launch: Box::new(Program {
                        args: vec![COMMAND.to_owned()],
                        env,
                    }),
                    start_limit: START,
                    left_out: LEFT_OUT,
                })
            })
            .collect();
        let fleet = Fleet::new(specs?, threads, max_waiting)
            .map_err(|error| Error::internal("cannot start workers").with_source(error))?;
        Ok(Self {
            fleet: Arc::new(fleet),
            workers,
            of_models: options.model_workers.clone(),
        })
    }

    /// What can be said against what flags say of workers, before anything is started.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, with what it is.
    pub(crate) fn check(options: &ServeOptions) -> Result<()> {
        let count = options.workers.0.len();
        let problem = options.workers.problem();
        match problem.or_else(|| options.model_workers.problem(count)) {
            None => Ok(()),
            Some(problem) => Err(Error::invalid_argument(problem)),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.workers.len()
    }

    /// A look at each.
    pub(crate) fn status(&self) -> Vec<WorkerStatus> {
        self.fleet.status()
    }

    /// The versions that no worker can run until they have been loaded there again, and why they
    /// have not been.
    pub(super) fn left_out(&self) -> BTreeMap<String, String> {
        left_out(&self.status())
    }

    /// Loads a version on the workers that it is meant for.
    pub(super) fn load(
        &self,
        id: &ServableId,
        path: &Path,
        how: &HowSession,
    ) -> Result<LoadedModel> {
        let chosen = self.of_models.of(&id.name, self.workers.len());
        let lodgings = chosen.into_iter().map(|worker| Lodging {
            worker,
            how: ModelTold::of(&how.on_worker(&self.workers[worker]))
                .encode_to_vec()
                .into(),
        });
        let model = self.fleet.load(&id.to_string(), path, lodgings.collect())?;
        Ok(LoadedModel::Away(Arc::new(model)))
    }
}

/// Versions that have failed on each of their workers, by what [`ServableId`] prints, and in whose
/// words.
fn left_out(workers: &[WorkerStatus]) -> BTreeMap<String, String> {
    let mut failed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut others = BTreeSet::new();
    for (number, worker) in workers.iter().enumerate() {
        for model in &worker.models {
            let Some(error) = &model.error else {
                others.insert(&*model.name);
                continue;
            };
            let words = format!(
                "worker {number} ({}) cannot load it again: {error}",
                worker.device
            );
            failed.entry(&model.name).or_default().push(words);
        }
    }
    let failed = failed.into_iter();
    failed
        .filter(|(name, _)| !others.contains(name))
        .map(|(name, words)| (name.to_owned(), words.join(", ")))
        .collect()
}

/// What makes a process see one GPU, or none. `visible` is what the server itself may see: a
/// container or a cluster gives it some of the machine's, and its workers get of these.
fn environment(
    device: WorkerDevice,
    visible: Option<&str>,
    is_ordered: bool,
) -> Result<BTreeMap<String, OsString>> {
    let mut variables = BTreeMap::new();
    let seen = match device {
        WorkerDevice::Cpu => "-1".to_owned(),
        WorkerDevice::Gpu(number) => {
            if !is_ordered {
                // As nvidia-smi counts them, and not by how fast they are.
                variables.insert(ORDER.to_owned(), "PCI_BUS_ID".into());
            }
            match visible {
                None => number.to_string(),
                Some(visible) => nth(visible, number).ok_or_else(|| {
                    Error::invalid_argument(format!(
                        "--workers names {device}, and the server may see the GPUs \
                         '{visible}' ({VISIBLE})"
                    ))
                })?,
            }
        }
    };
    variables.insert(VISIBLE.to_owned(), seen.into());
    Ok(variables)
}

/// What the variable has at this place. CUDA reads it up to the first thing that names no GPU.
fn nth(visible: &str, number: u32) -> Option<String> {
    visible
        .split(',')
        .map(str::trim)
        .take_while(|name| !name.is_empty() && !name.starts_with('-'))
        .nth(number as usize)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use tensorgate_workers::{ModelStatus, WorkerStage};

    use super::*;

    fn seen(device: WorkerDevice, visible: Option<&str>) -> Result<String> {
        let variables = environment(device, visible, true)?;
        Ok(variables[VISIBLE].to_string_lossy().into_owned())
    }

    #[test]
    fn a_worker_sees_its_gpu_alone() {
        let gpu = WorkerDevice::Gpu;
        assert_eq!(seen(WorkerDevice::Cpu, Some("0,1")).unwrap(), "-1");
        assert_eq!(seen(gpu(3), None).unwrap(), "3");
        assert_eq!(seen(gpu(1), Some("2, 5")).unwrap(), "5");
        assert_eq!(seen(gpu(0), Some("GPU-8932f937")).unwrap(), "GPU-8932f937");
        for (number, visible) in [(2, "0,1"), (0, ""), (0, "-1"), (1, "0,-1,1")] {
            let error = seen(gpu(number), Some(visible)).unwrap_err();
            let words = format!("--workers names gpu:{number}, and the server may see the GPUs");
            assert!(error.message().starts_with(&words), "{error}");
        }
    }

    #[test]
    fn a_version_is_left_out_when_none_of_its_workers_can_load_it() {
        let worker = |models: &[(&str, Option<&str>)]| WorkerStatus {
            device: "cpu".to_owned(),
            stage: WorkerStage::Up,
            pid: None,
            resident_bytes: None,
            restarts: 0,
            last_end: None,
            running: 0,
            runs: 0,
            sent_bytes: 0,
            received_bytes: 0,
            models: models
                .iter()
                .map(|(name, error)| ModelStatus {
                    name: (*name).to_owned(),
                    // Not while its worker is started again; nobody is left out for that.
                    is_ready: false,
                    error: error.map(str::to_owned),
                })
                .collect(),
            devices: Vec::new(),
        };
        let workers = [
            worker(&[("a", Some("no")), ("b", Some("no")), ("c", None)]),
            worker(&[("a", Some("never")), ("b", None)]),
        ];
        let words = "worker 0 (cpu) cannot load it again: no, worker 1 (cpu) cannot load it again: \
                     never";
        let expected = BTreeMap::from([("a".to_owned(), words.to_owned())]);
        assert_eq!(left_out(&workers), expected);
    }

    #[test]
    fn gpus_are_counted_as_everybody_counts_them_unless_somebody_says_how() {
        let order = |is_ordered| {
            let variables = environment(WorkerDevice::Gpu(0), None, is_ordered).unwrap();
            variables.get(ORDER).cloned()
        };
        assert_eq!(order(false), Some("PCI_BUS_ID".into()));
        assert_eq!(order(true), None);
    }
}
