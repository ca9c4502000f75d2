//! What flags say of processors, and what `--processor_config_file` says of single models.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tensorgate_edge::{Directory, Grants, Rights};
use tensorgate_proto::config::parse_processor_config;
use tensorgate_proto::tensorgate::{
    ModelProcessor, ProcessorDirectory, ProcessorGrants, ProcessorLimits,
};

use super::Port;

/// Processors, where they are kept, and the port on which they are changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComponentOptions {
    /// The file that [`ProcessorConfig`] is read from.
    pub config_file: Option<PathBuf>,
    /// 0 for as many as there are CPUs.
    pub threads: usize,
    /// Where pushed ones are kept; none takes no pushes.
    pub store: Option<PathBuf>,
    pub admin_port: Port,
    pub admin_token_file: Option<PathBuf>,
}

/// The processor of one model.
#[derive(Debug, Clone, Default)]
pub(crate) struct OneProcessor {
    /// The component before every version that has none of its own.
    pub(crate) path: Option<PathBuf>,
    pub(crate) rights: Rights,
}

/// The same for all models, each by its name; `*` is any that is not named.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessorConfig(BTreeMap<String, OneProcessor>);

impl ProcessorConfig {
    /// From the text of the file.
    ///
    /// # Errors
    /// Where and why it is not one.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut models = BTreeMap::new();
        for processor in parse_processor_config(text)?.processor {
            let model = processor.model.clone();
            if model.is_empty() {
                return Err("a processor has no model; expected a model's name or *".to_owned());
            }
            let one = one(processor).map_err(|problem| format!("model {model}: {problem}"))?;
            if models.insert(model.clone(), one).is_some() {
                return Err(format!("model {model} is there twice"));
            }
        }
        Ok(Self(models))
    }

    /// What holds for this model.
    pub(crate) fn of(&self, model: &str) -> OneProcessor {
        let found = self.0.get(model).or_else(|| self.0.get("*"));
        found.cloned().unwrap_or_default()
    }
}

fn one(processor: ModelProcessor) -> Result<OneProcessor, String> {
    let mut rights = limits(processor.limits.unwrap_or_default())?;
    let grants = processor.grants.unwrap_or_default();
    rights.models.clone_from(&grants.models);
    rights.grants = granted(grants)?;
    Ok(OneProcessor {
        path: (!processor.path.is_empty()).then(|| processor.path.into()),
        rights,
    })
}

fn limits(limits: ProcessorLimits) -> Result<Rights, String> {
    let defaults = Rights::default();
    let size = |name: &str, given: Option<u64>, default: usize| match given {
        None => Ok(default),
        Some(given) => usize::try_from(given)
            .ok()
            .filter(|given| *given > 0 || name == "waiting")
            .ok_or_else(|| format!("limits.{name} is {given}; expected a number above 0")),
    };
    Ok(Rights {
        time: match limits.time_ms {
            None => defaults.time,
            Some(0) => return Err("limits.time_ms is 0; expected milliseconds above 0".to_owned()),
            Some(millis) => Duration::from_millis(millis),
        },
        memory: size("memory_bytes", limits.memory_bytes, defaults.memory)?,
        answer_bytes: size("answer_bytes", limits.answer_bytes, defaults.answer_bytes)?,
        concurrency: size("concurrency", limits.concurrency, defaults.concurrency)?,
        waiting: size("waiting", limits.waiting, defaults.waiting)?,
        ..defaults
    })
}

fn granted(grants: ProcessorGrants) -> Result<Grants, String> {
    let addresses = grants.address.iter().map(|address| {
        address.parse::<SocketAddr>().map_err(|_| {
            format!(
                "grants.address is {address:?}; expected an address with its port, like \
                 10.0.0.7:6379"
            )
        })
    });
    Ok(Grants {
        environment: grants.environment.into_iter().collect(),
        directories: grants
            .directory
            .into_iter()
            .map(directory)
            .collect::<Result<_, _>>()?,
        addresses: addresses.collect::<Result<_, _>>()?,
    })
}

fn directory(directory: ProcessorDirectory) -> Result<Directory, String> {
    let host = PathBuf::from(&directory.host);
    if !host.is_absolute() {
        return Err(format!(
            "grants.directory.host is {:?}; expected an absolute path",
            directory.host
        ));
    }
    let guest = match directory.guest {
        guest if guest.is_empty() => directory.host,
        guest => guest,
    };
    Ok(Directory {
        host,
        guest,
        writable: directory.writable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_a_component_limits_and_grants() {
        let config = ProcessorConfig::parse(
            "processor {
               model: 'digits' path: '/p/digits.wasm'
               limits { time_ms: 50 memory_bytes: 2000000 concurrency: 3 waiting: 0 }
               grants {
                 models: 'other' environment { key: 'A' value: 'b' } address: '10.0.0.7:80'
                 directory { host: '/data' } directory { host: '/x' guest: '/y' writable: true }
               }
             }
             processor { model: '*' limits { answer_bytes: 10 } }",
        )
        .unwrap();
        let digits = config.of("digits");
        assert_eq!(digits.path, Some("/p/digits.wasm".into()));
        assert_eq!(digits.rights.time, Duration::from_millis(50));
        assert_eq!(digits.rights.memory, 2_000_000);
        assert_eq!(digits.rights.answer_bytes, Rights::default().answer_bytes);
        assert_eq!((digits.rights.concurrency, digits.rights.waiting), (3, 0));
        assert_eq!(digits.rights.models, ["other"]);
        let grants = digits.rights.grants;
        assert_eq!(grants.environment, [("A".to_owned(), "b".to_owned())]);
        assert_eq!(grants.addresses.len(), 1);
        let [data, x] = &grants.directories[..] else {
            panic!("two directories");
        };
        assert_eq!((data.guest.as_str(), data.writable), ("/data", false));
        assert_eq!((x.guest.as_str(), x.writable), ("/y", true));
        let other = config.of("unnamed");
        assert_eq!(other.path, None);
        assert_eq!(other.rights.answer_bytes, 10);
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, words) in [
            ("processor {}", "a processor has no model"),
            (
                "processor { model: 'm' } processor { model: 'm' }",
                "model m is there twice",
            ),
            (
                "processor { model: 'm' limits { time_ms: 0 } }",
                "model m: limits.time_ms is 0",
            ),
            (
                "processor { model: 'm' limits { concurrency: 0 } }",
                "model m: limits.concurrency is 0; expected a number above 0",
            ),
            (
                "processor { model: 'm' grants { address: 'example.com:80' } }",
                "expected an address with its port, like 10.0.0.7:6379",
            ),
            (
                "processor { model: 'm' grants { directory { host: 'x' } } }",
                "grants.directory.host is \"x\"; expected an absolute path",
            ),
        ] {
            let problem = ProcessorConfig::parse(text).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
        assert!(ProcessorConfig::parse("processor { modell: 'm' }").is_err());
        assert!(ProcessorConfig::parse("").unwrap().0.is_empty());
    }
}
