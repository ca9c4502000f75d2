//! What `--model_batching` says of single models.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{by_model, of_model};

/// How one model's requests are batched, beside what the batching parameters say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneModelBatching {
    /// Its share of the threads when there are not enough, relative to the other models'.
    pub weight: f64,
    /// What the adaptive mode aims at: the longest time from arrival to answer.
    pub latency_target: Duration,
}

impl Default for OneModelBatching {
    fn default() -> Self {
        Self {
            weight: 1.0,
            latency_target: Duration::from_millis(100),
        }
    }
}

/// The same for all models, each by its name; `*` is any that is not named.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelBatching(BTreeMap<String, OneModelBatching>);

impl ModelBatching {
    /// From `name:weight=2:latency_target_in_ms=50`, several with commas between them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let set = |model: &mut OneModelBatching, key: &str, value: &str| {
            let number: f64 = value.parse().ok()?;
            match key {
                "weight" if (0.001..=1000.0).contains(&number) => model.weight = number,
                "latency_target_in_ms" if (0.1..=1e6).contains(&number) => {
                    model.latency_target = Duration::from_secs_f64(number / 1000.0);
                }
                _ => return None,
            }
            Some(())
        };
        by_model(text, set).map(Self)
    }

    /// What holds for this model.
    #[must_use]
    pub fn of(&self, model: &str) -> OneModelBatching {
        of_model(&self.0, model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_weights_and_targets() {
        let models = "a:weight=2.5:latency_target_in_ms=20, *:weight=0.5";
        let models = ModelBatching::parse(models).unwrap();
        let a = OneModelBatching {
            weight: 2.5,
            latency_target: Duration::from_millis(20),
        };
        assert_eq!(models.of("a"), a);
        let other = OneModelBatching {
            weight: 0.5,
            ..OneModelBatching::default()
        };
        assert_eq!(models.of("b"), other);
        assert_eq!(ModelBatching::parse(""), Some(ModelBatching::default()));
        for bad in [
            "a",
            "a:weight",
            "a:weight=0",
            "a:weight=NaN",
            "a:weight=2,a:weight=1",
            ":weight=1",
            "a:speed=1",
            "a:weight=1:weight=2",
            "a:latency_target_in_ms=-1",
        ] {
            assert_eq!(ModelBatching::parse(bad), None, "{bad}");
        }
    }
}
