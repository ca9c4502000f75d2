//! The life of one version, from the moment that somebody wants it until it is gone.
//!
//! ```text
//! New --> LoadApproved --> Loading --> Ready --> Quiescing --> Unloading --> Disabled
//!  |           |              |                                                 ^
//!  |           |              +--> Error(why)                                   |
//!  +-----------+--------------------- cancelled before its load ----------------+
//! ```
//!
//! **Invariant:** a state changes only through the methods here, and each refuses every edge that
//! is not in the picture. What moves a version along is the business of the manager.

use tensorgate_types::{Error, ServableState};

/// Where a version is in its life.
#[derive(Debug, Clone, Default)]
pub enum Lifecycle {
    /// Wanted, nothing done yet. Next: `LoadApproved`, or `Disabled` when it is not wanted after
    /// all.
    #[default]
    New,
    /// Waits for a free load thread. Next: `Loading`, or `Disabled`.
    LoadApproved,
    /// Being loaded, or resting before another attempt. Next: `Ready` or `Error`.
    Loading,
    /// Loaded; requests find it. Next: `Quiescing`.
    Ready,
    /// No request finds it any more, some still hold it. Next: `Unloading`.
    Quiescing,
    /// Nobody holds it; it is being freed. Next: `Disabled`.
    Unloading,
    /// Gone. The end.
    Disabled,
    /// Could not be loaded, and this is why. The end.
    Error(Error),
}

/// A step that a version cannot take in its state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {step} a version that is {from}")]
pub struct IllegalTransition {
    step: &'static str,
    from: &'static str,
}

impl Lifecycle {
    /// The policy has chosen it for loading: `New` to `LoadApproved`.
    ///
    /// # Errors
    /// In any other state.
    pub fn approve_load(&mut self) -> Result<(), IllegalTransition> {
        match self {
            Self::New => self.advance(Self::LoadApproved),
            _ => self.refuse("approve the load of"),
        }
    }

    /// A load thread takes it: `LoadApproved` to `Loading`.
    ///
    /// # Errors
    /// In any other state.
    pub fn start_load(&mut self) -> Result<(), IllegalTransition> {
        match self {
            Self::LoadApproved => self.advance(Self::Loading),
            _ => self.refuse("load"),
        }
    }

    /// It is loaded: `Loading` to `Ready`.
    ///
    /// # Errors
    /// In any other state.
    pub fn finish_load(&mut self) -> Result<(), IllegalTransition> {
        match self {
            Self::Loading => self.advance(Self::Ready),
            _ => self.refuse("finish the load of"),
        }
    }

    /// It cannot be loaded: `Loading` to `Error`.
    ///
    /// # Errors
    /// In any other state.
    pub fn fail(&mut self, why: Error) -> Result<(), IllegalTransition> {
        match self {
            Self::Loading => self.advance(Self::Error(why)),
            _ => self.refuse("fail the load of"),
        }
    }

    /// It is not wanted any more and was never begun: `New` or `LoadApproved` to `Disabled`.
    ///
    /// # Errors
    /// In any other state.
    pub fn cancel(&mut self) -> Result<(), IllegalTransition> {
        match self {
            Self::New | Self::LoadApproved => self.advance(Self::Disabled),
            _ => self.refuse("cancel"),
        }
    }

    /// Requests do not find it any more: `Ready` to `Quiescing`.
    ///
    /// # Errors
    /// In any other state.
    pub fn quiesce(&mut self) -> Result<(), IllegalTransition> {
        match self {
            Self::Ready => self.advance(Self::Quiescing),
            _ => self.refuse("quiesce"),
        }
    }

    /// The last handle is gone: `Quiescing` to `Unloading`.
    ///
    /// # Errors
    /// In any other state.
    pub fn start_unload(&mut self) -> Result<(), IllegalTransition> {
        match self {
            Self::Quiescing => self.advance(Self::Unloading),
            _ => self.refuse("unload"),
        }
    }

    /// It is freed: `Unloading` to `Disabled`.
    ///
    /// # Errors
    /// In any other state.
    pub fn finish_unload(&mut self) -> Result<(), IllegalTransition> {
        match self {
            Self::Unloading => self.advance(Self::Disabled),
            _ => self.refuse("finish the unload of"),
        }
    }

    /// The state as clients see it.
    #[must_use]
    pub fn public(&self) -> ServableState {
        match self {
            Self::New | Self::LoadApproved => ServableState::Start,
            Self::Loading => ServableState::Loading,
            Self::Ready => ServableState::Available,
            Self::Quiescing | Self::Unloading => ServableState::Unloading,
            Self::Disabled | Self::Error(_) => ServableState::End,
        }
    }

    /// Whether its life is over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Disabled | Self::Error(_))
    }

    /// Whether its load has not ended yet, or not even begun.
    #[must_use]
    pub fn is_before_ready(&self) -> bool {
        matches!(self, Self::New | Self::LoadApproved | Self::Loading)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::LoadApproved => "approved for loading",
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Quiescing => "quiescing",
            Self::Unloading => "unloading",
            Self::Disabled => "disabled",
            Self::Error(_) => "failed",
        }
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "every step ends in this or in `refuse`"
    )]
    fn advance(&mut self, next: Self) -> Result<(), IllegalTransition> {
        *self = next;
        Ok(())
    }

    fn refuse(&self, step: &'static str) -> Result<(), IllegalTransition> {
        Err(IllegalTransition {
            step,
            from: self.name(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Step = fn(&mut Lifecycle) -> Result<(), IllegalTransition>;

    const STEPS: [(&str, Step); 8] = [
        ("approve_load", Lifecycle::approve_load),
        ("start_load", Lifecycle::start_load),
        ("finish_load", Lifecycle::finish_load),
        ("fail", |state| state.fail(Error::internal("broken"))),
        ("cancel", Lifecycle::cancel),
        ("quiesce", Lifecycle::quiesce),
        ("start_unload", Lifecycle::start_unload),
        ("finish_unload", Lifecycle::finish_unload),
    ];

    fn every_state() -> Vec<Lifecycle> {
        vec![
            Lifecycle::New,
            Lifecycle::LoadApproved,
            Lifecycle::Loading,
            Lifecycle::Ready,
            Lifecycle::Quiescing,
            Lifecycle::Unloading,
            Lifecycle::Disabled,
            Lifecycle::Error(Error::internal("broken")),
        ]
    }

    #[test]
    fn takes_exactly_the_edges_of_the_picture() {
        let mut taken = Vec::new();
        for before in every_state() {
            for (step, apply) in STEPS {
                let mut after = before.clone();
                match apply(&mut after) {
                    Ok(()) => taken.push((before.name(), step, after.name())),
                    Err(_) => assert_eq!(after.name(), before.name(), "{step}"),
                }
            }
        }
        assert_eq!(
            taken,
            [
                ("new", "approve_load", "approved for loading"),
                ("new", "cancel", "disabled"),
                ("approved for loading", "start_load", "loading"),
                ("approved for loading", "cancel", "disabled"),
                ("loading", "finish_load", "ready"),
                ("loading", "fail", "failed"),
                ("ready", "quiesce", "quiescing"),
                ("quiescing", "start_unload", "unloading"),
                ("unloading", "finish_unload", "disabled"),
            ]
        );
    }

    #[test]
    fn clients_see_five_states() {
        let seen: Vec<&str> = every_state()
            .iter()
            .map(|state| state.public().name())
            .collect();
        assert_eq!(
            seen,
            [
                "START",
                "START",
                "LOADING",
                "AVAILABLE",
                "UNLOADING",
                "UNLOADING",
                "END",
                "END"
            ]
        );
    }

    #[test]
    fn refusal_names_the_step_and_the_state() {
        let refused = Lifecycle::Ready.clone().start_load();
        assert_eq!(
            refused.map_err(|error| error.to_string()),
            Err("cannot load a version that is ready".to_owned())
        );
    }
}
