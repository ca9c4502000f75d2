//! Sessions that differ: of one model, by `--model_sessions`, and on one worker, by `--workers`.
//!
//! In comes the `ConfigProto` of all sessions, out comes one's own.

use prost::Message as _;
use tensorgate_proto::tensorflow::optimizer_options::GlobalJitLevel;
use tensorgate_proto::tensorflow::{ConfigProto, ThreadPoolOptionProto};
use tensorgate_tensorflow::Scheduling;

use crate::options::{OneModelSession, WorkerDevice, WorkerOptions};

/// How sessions are made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HowSession {
    /// A serialized `ConfigProto`.
    pub(super) config: Vec<u8>,
    pub(super) scheduling: Scheduling,
}

impl HowSession {
    /// The same for one model.
    pub(super) fn of_model(&self, model: OneModelSession) -> Self {
        let mut how = self.clone();
        if model == OneModelSession::default() {
            return how;
        }
        let mut config = self.config();
        if let Some(threads) = model.inter_op_parallelism {
            // A pool without a name belongs to the session alone.
            config.session_inter_op_thread_pool = vec![ThreadPoolOptionProto {
                num_threads: threads,
                global_name: String::new(),
            }];
            how.scheduling = match threads {
                1 => Scheduling::CallingThread,
                _ => Scheduling::InterOpPool,
            };
        }
        if let Some(level) = model.xla_level {
            let graphs = config.graph_options.get_or_insert_default();
            let optimizers = graphs.optimizer_options.get_or_insert_default();
            let (level, is_on) = match level {
                0 => (GlobalJitLevel::Off, false),
                1 => (GlobalJitLevel::On1, true),
                _ => (GlobalJitLevel::On2, true),
            };
            optimizers.set_global_jit_level(level);
            // Without it the level holds for GPUs alone.
            optimizers.cpu_global_jit = is_on;
        }
        how.config = config.encode_to_vec();
        how
    }

    /// The same on one worker.
    pub(super) fn on_worker(&self, worker: &WorkerOptions) -> Self {
        let mut config = self.config();
        if let Some(threads) = worker.intra_op_parallelism {
            config.intra_op_parallelism_threads = threads;
        }
        if worker.device == WorkerDevice::Cpu {
            // Beside the environment, which hides GPUs from CUDA: for libraries of other makers.
            config.device_count.insert("GPU".to_owned(), 0);
        } else {
            let gpus = config.gpu_options.get_or_insert_default();
            if let Some(fraction) = worker.memory_fraction {
                gpus.per_process_gpu_memory_fraction = fraction;
            }
            if let Some(grows) = worker.allow_growth {
                gpus.allow_growth = grows;
            }
        }
        if let Some(gpus) = &mut config.gpu_options {
            // It counts the GPUs that the server sees; the worker sees one, or none.
            gpus.visible_device_list.clear();
        }
        Self {
            config: config.encode_to_vec(),
            scheduling: self.scheduling,
        }
    }

    fn config(&self) -> ConfigProto {
        ConfigProto::decode(self.config.as_slice()).expect("we have encoded it")
    }
}

#[cfg(test)]
mod tests {
    use tensorgate_proto::config::parse_session_config;

    use crate::options::Workers;

    use super::*;

    fn all(text: &str) -> HowSession {
        HowSession {
            config: parse_session_config(text).unwrap().encode_to_vec(),
            scheduling: Scheduling::CallingThread,
        }
    }

    #[test]
    fn a_model_has_a_pool_and_a_level_of_its_own() {
        let all = all("graph_options { optimizer_options { global_jit_level: OFF } }");
        assert_eq!(all.of_model(OneModelSession::default()), all);
        let how = all.of_model(OneModelSession {
            inter_op_parallelism: Some(3),
            xla_level: Some(2),
        });
        assert_eq!(how.scheduling, Scheduling::InterOpPool);
        let config = how.config();
        assert_eq!(config.session_inter_op_thread_pool[0].num_threads, 3);
        let optimizers = config.graph_options.unwrap().optimizer_options.unwrap();
        assert_eq!(optimizers.global_jit_level(), GlobalJitLevel::On2);
        assert!(optimizers.cpu_global_jit);
        let one = all.of_model(OneModelSession {
            inter_op_parallelism: Some(1),
            xla_level: Some(0),
        });
        assert_eq!(one.scheduling, Scheduling::CallingThread);
        let optimizers = one.config().graph_options.unwrap().optimizer_options;
        assert!(!optimizers.unwrap().cpu_global_jit);
    }

    #[test]
    fn a_worker_has_its_gpu_its_memory_and_its_threads() {
        let all = all("intra_op_parallelism_threads: 8
             gpu_options { visible_device_list: '1,2' per_process_gpu_memory_fraction: 0.9 }");
        let Workers(workers) = Workers::parse(
            "cpu:intra_op_parallelism=2,gpu:1:memory_fraction=0.25:allow_growth=true,gpu:0",
        )
        .unwrap();
        let configs: Vec<_> = workers
            .iter()
            .map(|worker| all.on_worker(worker).config())
            .collect();
        assert_eq!(configs[0].intra_op_parallelism_threads, 2);
        assert_eq!(configs[0].device_count["GPU"], 0);
        let gpus = configs[1].gpu_options.clone().unwrap();
        assert_eq!(gpus.per_process_gpu_memory_fraction, 0.25);
        assert!(gpus.allow_growth && gpus.visible_device_list.is_empty());
        assert_eq!(configs[1].intra_op_parallelism_threads, 8);
        assert!(configs[1].device_count.is_empty());
        let gpus = configs[2].gpu_options.clone().unwrap();
        assert_eq!(gpus.per_process_gpu_memory_fraction, 0.9);
        assert!(!gpus.allow_growth);
    }
}
