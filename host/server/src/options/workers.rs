//! What `--workers`, `--model_workers` and `--model_sessions` say.

use std::collections::BTreeMap;
use std::fmt;

use super::{by_model, of_model};

/// Workers of one server: as many as a number has bits, and more than any machine has devices.
const MAX_WORKERS: usize = 64;

/// Threads of one pool, as everywhere.
const MAX_THREADS: i32 = 4096;

/// What a worker computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerDevice {
    /// The processors of the machine, and no GPU.
    Cpu,
    /// One GPU, by its number among those that the server sees.
    Gpu(u32),
}

impl fmt::Display for WorkerDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(number) => write!(f, "gpu:{number}"),
        }
    }
}

/// One worker: what TensorFlow sets for a whole process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorkerOptions {
    /// What it computes on.
    pub device: WorkerDevice,
    /// How much of its GPU's memory it takes; none for what is said of sessions.
    pub memory_fraction: Option<f64>,
    /// Whether it takes that memory bit by bit; none for what is said of sessions.
    pub allow_growth: Option<bool>,
    /// Threads of one operation; none for what is said of sessions.
    pub intra_op_parallelism: Option<i32>,
}

/// The workers; none where models run in the server itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Workers(pub Vec<WorkerOptions>);

impl Workers {
    /// From `cpu,gpu:0:memory_fraction=0.5:allow_growth=true`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        // An entry that is missing is a mistake: numbers of workers count them.
        let workers: Option<Vec<_>> = text.split(',').map(str::trim).map(worker).collect();
        let workers = workers.filter(|workers| workers.len() <= MAX_WORKERS)?;
        Some(Self(workers))
    }

    /// Why these cannot be together, if they cannot: TensorFlow takes nearly all of a GPU's memory
    /// for the first process that comes.
    pub(crate) fn problem(&self) -> Option<String> {
        let mut shares: BTreeMap<u32, (usize, f64, bool)> = BTreeMap::new();
        for worker in &self.0 {
            let WorkerDevice::Gpu(number) = worker.device else {
                continue;
            };
            let (count, sum, bounded) = shares.entry(number).or_insert((0, 0.0, true));
            *count += 1;
            *sum += worker.memory_fraction.unwrap_or(0.0);
            *bounded &= worker.memory_fraction.is_some() || worker.allow_growth == Some(true);
        }
        shares
            .into_iter()
            .find_map(|(number, (count, sum, bounded))| {
                if count > 1 && !bounded {
                    return Some(format!(
                        "--workers has {count} workers on gpu:{number}; each of them needs a \
                     memory_fraction, or allow_growth=true"
                    ));
                }
                (sum > 1.0).then(|| {
                format!(
                    "--workers gives out {sum} of the memory of gpu:{number}; expected 1 at most"
                )
            })
            })
    }
}

fn worker(text: &str) -> Option<WorkerOptions> {
    let mut parts = text.split(':').map(str::trim).peekable();
    let device = match parts.next()? {
        "cpu" => WorkerDevice::Cpu,
        "gpu" => WorkerDevice::Gpu(parts.next()?.parse().ok()?),
        _ => return None,
    };
    let mut worker = WorkerOptions {
        device,
        memory_fraction: None,
        allow_growth: None,
        intra_op_parallelism: None,
    };
    let is_gpu = device != WorkerDevice::Cpu;
    for setting in parts {
        let (key, value) = setting.split_once('=')?;
        let (key, value) = (key.trim(), value.trim());
        let is_new = match key {
            "memory_fraction" if is_gpu => {
                let fraction: f64 = value.parse().ok()?;
                let fraction = Some(fraction).filter(|part| *part > 0.0 && *part <= 1.0)?;
                worker.memory_fraction.replace(fraction).is_none()
            }
            "allow_growth" if is_gpu => worker.allow_growth.replace(value.parse().ok()?).is_none(),
            "intra_op_parallelism" => {
                let threads = value
                    .parse()
                    .ok()
                    .filter(|n| (1..=MAX_THREADS).contains(n))?;
                worker.intra_op_parallelism.replace(threads).is_none()
            }
            _ => return None,
        };
        if !is_new {
            return None;
        }
    }
    Some(worker)
}

/// Numbers of workers, as bits; none said means all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Chosen(Option<u64>);

/// On which workers models are loaded, each by its name; `*` is any that is not named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelWorkers(BTreeMap<String, Chosen>);

impl ModelWorkers {
    /// From `name:workers=0+2`, several with commas between them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let set = |chosen: &mut Chosen, key: &str, value: &str| {
            let mut bits = 0_u64;
            for number in value.split('+') {
                let number: usize = number.trim().parse().ok()?;
                let bit = 1_u64.checked_shl(u32::try_from(number).ok()?)?;
                if bits & bit != 0 {
                    return None;
                }
                bits |= bit;
            }
            chosen.0 = (key == "workers").then_some(Some(bits))?;
            Some(())
        };
        by_model(text, set).map(Self)
    }

    /// The workers of this model, of `count` that there are.
    #[must_use]
    pub fn of(&self, model: &str, count: usize) -> Vec<usize> {
        let bits = of_model(&self.0, model).0.unwrap_or(u64::MAX);
        (0..count.min(MAX_WORKERS))
            .filter(|number| bits >> number & 1 == 1)
            .collect()
    }

    /// The models that it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.0.keys().map(String::as_str);
        names.filter(|name| *name != "*")
    }

    /// What it names that is not there, if it names any such thing.
    pub(crate) fn problem(&self, count: usize) -> Option<String> {
        if count == 0 && !self.0.is_empty() {
            return Some("--model_workers is set without --workers".to_owned());
        }
        self.0.iter().find_map(|(model, chosen)| {
            let bits = chosen.0.unwrap_or(0);
            let last = 63_u32.checked_sub(bits.leading_zeros())?;
            (last as usize >= count).then(|| {
                format!(
                    "--model_workers names worker {last} for {model}; expected 0 to {}",
                    count - 1
                )
            })
        })
    }
}

/// What TensorFlow sets for a session, where it differs from what is said of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OneModelSession {
    /// Threads for operations side by side, of a pool that the model has for itself.
    pub inter_op_parallelism: Option<i32>,
    /// Whether graphs are compiled by XLA: 0 for not, 1 or 2 for how much.
    pub xla_level: Option<u8>,
}

/// The same for all models, each by its name; `*` is any that is not named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelSessions(BTreeMap<String, OneModelSession>);

impl ModelSessions {
    /// From `name:inter_op_parallelism=4:xla_level=1`, several with commas between them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let set = |session: &mut OneModelSession, key: &str, value: &str| {
            match key {
                "inter_op_parallelism" => {
                    let threads = value.parse().ok();
                    let threads = threads.filter(|n| (1..=MAX_THREADS).contains(n))?;
                    session.inter_op_parallelism = Some(threads);
                }
                "xla_level" => {
                    session.xla_level = Some(value.parse().ok().filter(|level| *level <= 2)?);
                }
                _ => return None,
            }
            Some(())
        };
        by_model(text, set).map(Self)
    }

    /// What holds for this model.
    #[must_use]
    pub fn of(&self, model: &str) -> OneModelSession {
        of_model(&self.0, model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_have_a_device_and_settings_of_a_process() {
        let text = "cpu:intra_op_parallelism=2, gpu:0:memory_fraction=0.5:allow_growth=true,gpu:1";
        let Workers(workers) = Workers::parse(text).unwrap();
        let plain = WorkerOptions {
            device: WorkerDevice::Gpu(1),
            memory_fraction: None,
            allow_growth: None,
            intra_op_parallelism: None,
        };
        assert_eq!(
            workers,
            [
                WorkerOptions {
                    device: WorkerDevice::Cpu,
                    intra_op_parallelism: Some(2),
                    ..plain
                },
                WorkerOptions {
                    device: WorkerDevice::Gpu(0),
                    memory_fraction: Some(0.5),
                    allow_growth: Some(true),
                    ..plain
                },
                plain,
            ]
        );
        assert_eq!(Workers::parse(""), Some(Workers::default()));
        for bad in [
            ",",
            "cpu,",
            ",cpu",
            "cpu,,cpu",
            "tpu",
            "gpu",
            "gpu:x",
            "gpu:-1",
            "cpu:0",
            "cpu:memory_fraction=0.5",
            "cpu:allow_growth=true",
            "cpu:intra_op_parallelism=0",
            "gpu:0:memory_fraction=0",
            "gpu:0:memory_fraction=1.1",
            "gpu:0:memory_fraction=NaN",
            "gpu:0:allow_growth=yes",
            "gpu:0:speed=1",
            "gpu:0:memory_fraction=0.1:memory_fraction=0.1",
            &vec!["cpu"; 65].join(","),
        ] {
            assert_eq!(Workers::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn workers_on_one_gpu_must_share_its_memory() {
        let problem = |text: &str| Workers::parse(text).unwrap().problem();
        for good in [
            "",
            "cpu,cpu",
            "gpu:0,gpu:1",
            "gpu:0:memory_fraction=0.5,gpu:0:memory_fraction=0.5",
            "gpu:0:allow_growth=true,gpu:0:memory_fraction=0.5",
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
        let error = problem("gpu:0:memory_fraction=0.5,gpu:0").unwrap();
        assert!(error.contains("2 workers on gpu:0; each"), "{error}");
        let error = problem("gpu:3:memory_fraction=0.75,gpu:3:memory_fraction=0.5").unwrap();
        assert!(error.contains("1.25 of the memory of gpu:3"), "{error}");
    }

    #[test]
    fn models_are_on_all_workers_or_on_some() {
        let models = ModelWorkers::parse("a:workers=0+2, *:workers=1").unwrap();
        assert_eq!(models.of("a", 3), [0, 2]);
        assert_eq!(models.of("b", 3), [1]);
        assert_eq!(ModelWorkers::default().of("a", 2), [0, 1]);
        assert_eq!(models.problem(3), None);
        assert_eq!(ModelWorkers::default().problem(0), None);
        let error = models.problem(2).unwrap();
        assert!(error.contains("worker 2 for a; expected 0 to 1"), "{error}");
        let error = models.problem(0).unwrap();
        assert!(error.contains("without --workers"), "{error}");
        for bad in [
            "a",
            "a:workers=",
            "a:workers=64",
            "a:workers=1+1",
            "a:gpu=1",
            "a:workers=-1",
        ] {
            assert_eq!(ModelWorkers::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn models_have_sessions_of_their_own() {
        let models = ModelSessions::parse("a:inter_op_parallelism=4:xla_level=1").unwrap();
        let a = OneModelSession {
            inter_op_parallelism: Some(4),
            xla_level: Some(1),
        };
        assert_eq!(models.of("a"), a);
        assert_eq!(models.of("b"), OneModelSession::default());
        for bad in [
            "a:inter_op_parallelism=0",
            "a:inter_op_parallelism=4097",
            "a:xla_level=3",
            "a:speed=1",
        ] {
            assert_eq!(ModelSessions::parse(bad), None, "{bad}");
        }
    }
}
