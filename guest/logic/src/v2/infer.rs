//! What REST and gRPC have in common: a signature, checked inputs, a run, outputs in the order
//! in which they were asked for.

use std::collections::BTreeSet;

use tensorgate_types::{
    DEFAULT_SIGNATURE, Error, InputView, Result, ShapeCheck, Signature, validate_inputs,
};

use super::raw::Tensor;
use super::{datatype, models};
use crate::grpc::check_method;
use crate::inference::{Call, Input, Model, Output};
use crate::outcome::Outcome;
use crate::services::Services;

/// The signature of a request that names `name`, or none.
pub(super) fn signature_name(name: Option<&str>) -> &str {
    name.filter(|name| !name.is_empty())
        .unwrap_or(DEFAULT_SIGNATURE)
}

/// The signature of this name.
pub(super) fn signature(model: &impl Model, name: &str) -> Result<(Signature, ShapeCheck)> {
    model.signature(name).ok_or_else(|| {
        let known = models::signature_names(model);
        let name: String = name.chars().take(100).collect();
        Error::failed_precondition(format!(
            "the model has no signature \"{name}\": choose one of {{{}}} with the parameter \
             '{}'",
            known.join(", "),
            super::SIGNATURE_NAME
        ))
    })
}

/// What is run.
pub(super) struct Run<'a> {
    pub(super) signature_name: &'a str,
    pub(super) signature: &'a Signature,
    pub(super) shapes: ShapeCheck,
    pub(super) tensors: &'a [Tensor],
    /// The outputs that are wanted, in the order in which they are; none means all.
    pub(super) outputs: &'a [&'a str],
}

impl Run<'_> {
    /// Runs the model. Every output has a type that the protocol can name.
    pub(super) fn of(
        &self,
        model: &impl Model,
        hold_from: u64,
        services: &impl Services,
        outcome: &mut Outcome,
    ) -> Result<Vec<Output>> {
        check_method(self.signature, services.settings())?;
        let inputs: Vec<Input<'_>> = self.tensors.iter().map(Tensor::as_input).collect();
        self.validate(&inputs)?;
        self.check_outputs()?;
        self.signature_name.clone_into(&mut outcome.signature);
        outcome.rows = inputs.first().map_or(1, |input| {
            input.shape.first().map_or(1, |rows| rows.unsigned_abs())
        });
        let call = Call {
            signature: self.signature_name,
            inputs: &inputs,
            outputs: self.outputs,
        };
        let mut outputs = model
            .run(&[call], hold_from)?
            .pop()
            .ok_or_else(|| Error::internal("the run of one call gave no outputs"))?;
        outcome.version = Some(model.answered_by());
        let place = |output: &Output| {
            let mut wanted = self.outputs.iter();
            wanted.position(|name| *name == output.name)
        };
        outputs.sort_by_key(place);
        Ok(outputs)
    }

    fn validate(&self, inputs: &[Input<'_>]) -> Result<()> {
        let views: Vec<_> = inputs
            .iter()
            .map(|input| InputView {
                name: input.name,
                dtype: input.dtype,
                shape: input.shape,
            })
            .collect();
        validate_inputs(self.signature, &views, self.shapes)
    }

    fn check_outputs(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        for name in self.outputs {
            if !self.signature.outputs.contains_key(*name) {
                let known: Vec<_> = self.signature.outputs.keys().map(String::as_str).collect();
                return Err(Error::invalid_argument(format!(
                    "the signature \"{}\" has no output '{name}': it has {{{}}}",
                    self.signature_name,
                    known.join(", ")
                )));
            }
            if !seen.insert(name) {
                return Err(Error::invalid_argument(format!(
                    "the output '{name}' is asked for twice"
                )));
            }
        }
        let wanted =
            self.signature.outputs.iter().filter(|(name, _)| {
                self.outputs.is_empty() || self.outputs.contains(&name.as_str())
            });
        for (name, info) in wanted {
            if datatype::name(info.dtype).is_none() {
                return Err(Error::unimplemented(format!(
                    "the output '{name}' is of TensorFlow's type {}, which the protocol cannot \
                     name: ask for other outputs only, or use TensorFlow Serving's API",
                    datatype::shown(info.dtype)
                )));
            }
        }
        Ok(())
    }
}
