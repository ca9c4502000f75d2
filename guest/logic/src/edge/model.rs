//! One version of a model at the edge: signatures as clients are to see them, and runs, each
//! through the processor here or as it is.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use tensorgate_types::processing::{
    self, GivenTensor, bad_call, check_content_type, check_tensor_count, given_tensors,
    promised_outputs, unasked_body, uncovered,
};
use tensorgate_types::{Error, NamedTensors, Result, ShapeCheck, Signature, validate_inputs};

use super::tensors::{Gathered, checkable, lent, lent_outputs, outputs};
use super::{
    Answer, Context, CoveredSignature, Described, Edge, Far, FarCall, FarModel as _, Given,
    Outputs, Payload, Processor, Step, TensorView, Whole, told,
};
use crate::inference::{Call, Model, Range, Reply};

/// One version of one model, for one request.
pub struct EdgeModel<'a, F: Far, P> {
    edge: &'a Edge<'a, F, P>,
    name: String,
    /// As the host's clients see it.
    far: F::Model,
    /// As its exporter wrote it, where that is another one.
    bare: Option<F::Model>,
    /// The signatures that the host's processor covers.
    far_covered: Vec<CoveredSignature>,
    described: Rc<Described>,
    /// What runs are for.
    api: RefCell<String>,
    answered_by: Cell<Option<i64>>,
}

/// A processor's answer, checked as far as it can be without knowing what was asked.
enum Checked {
    Tensors(NamedTensors),
    Body {
        content_type: String,
        bytes: Vec<u8>,
    },
}

impl<'a, F: Far, P: Processor> EdgeModel<'a, F, P> {
    pub(super) fn new(
        edge: &'a Edge<'a, F, P>,
        name: String,
        far: F::Model,
        bare: Option<F::Model>,
        far_covered: Vec<CoveredSignature>,
        described: Rc<Described>,
    ) -> Self {
        Self {
            edge,
            name,
            far,
            bare,
            far_covered,
            described,
            api: RefCell::new("predict".to_owned()),
            answered_by: Cell::new(None),
        }
    }

    fn bare(&self) -> &F::Model {
        self.bare.as_ref().unwrap_or(&self.far)
    }

    /// An error of the processor's making.
    fn fault(&self, what: impl fmt::Display) -> Error {
        processing::fault(&self.name, self.far.version(), what)
    }

    fn far_covers(&self, signature: &str) -> Option<&CoveredSignature> {
        let mut covered = self.far_covered.iter();
        covered.find(|covered| covered.name == signature)
    }

    fn run_one(&self, call: &Call<'_>) -> Result<Outputs> {
        let gathered = Gathered::new(call.inputs, Whole(self.edge.body))?;
        let tensors = gathered.views();
        let Some(covered) = self.described.covered.get(call.signature) else {
            return self.pass_on(call, &tensors);
        };
        covered.check(call.signature, &checkable(&tensors), self.described.shapes)?;
        let api = self.api.borrow();
        let context = Context {
            model: &self.name,
            version: self.far.version(),
            signature: call.signature,
            outputs: call.outputs,
            properties: &[("api", &api)],
        };
        let given = match self.process(&context, Payload::Tensors(&tensors))? {
            Checked::Tensors(tensors) => {
                promised_outputs(tensors, &covered.signature, call.outputs)
            }
            Checked::Body { content_type, .. } => Err(unasked_body(&content_type)),
        };
        given
            .map(outputs)
            .map_err(|error| self.fault(error.message()))
    }

    /// A run that is none of the processor's affair. A request that the host would refuse is not
    /// sent there.
    fn pass_on(&self, call: &Call<'_>, tensors: &[TensorView<'_>]) -> Result<Outputs> {
        if let Some((signature, shapes)) = self.signature(call.signature) {
            validate_inputs(&signature, &checkable(tensors), shapes)?;
        }
        let api = self.api.borrow();
        let call = FarCall {
            signature: call.signature,
            api: &api,
            accept: None,
            outputs: call.outputs,
            payload: Payload::Tensors(tensors),
        };
        let reply = self.edge.run(&self.name, &self.far, &call)?;
        self.answered_by.set(Some(reply.version));
        tensors_of(reply.reply)
    }

    /// One request through the processor, and through the model in the middle.
    fn process(&self, context: &Context<'_>, payload: Payload<'_>) -> Result<Checked> {
        let processor = self.edge.processor;
        let step = processor.preprocess(context, payload);
        let answer = match step.map_err(|error| told(&error))? {
            Step::Answer(answer) => answer,
            Step::Run {
                signature,
                inputs,
                outputs,
            } => {
                let outputs = self.run_bare(context, &signature, inputs, &outputs)?;
                let answer = processor.postprocess(context, &lent_outputs(&outputs)?);
                answer.map_err(|error| told(&error))?
            }
        };
        let version = answer.version.unwrap_or(self.far.version());
        let checked = check_answer(answer).map_err(|error| self.fault(error.message()))?;
        self.answered_by.set(Some(version));
        Ok(checked)
    }

    /// Runs the model with what the processor gives it, which is held against the model's own
    /// signature as if a client had sent it.
    fn run_bare(
        &self,
        context: &Context<'_>,
        signature: &str,
        inputs: Vec<(String, GivenTensor)>,
        outputs: &[String],
    ) -> Result<Outputs> {
        let inputs = check_tensor_count("outputs", outputs.len())
            .and_then(|()| given_tensors(inputs.into_iter(), "inputs"))
            .map_err(|error| self.fault(error.message()))?;
        let tensors = lent(&inputs);
        let known = self.described.signatures.get(signature);
        known
            .ok_or_else(|| {
                Error::failed_precondition(format!(
                    "Serving signature key \"{signature}\" not found."
                ))
            })
            .and_then(|known| validate_inputs(known, &checkable(&tensors), self.described.shapes))
            .map_err(|error| self.fault(bad_call(&error)))?;
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let api = context.properties.iter().find(|(name, _)| *name == "api");
        let call = FarCall {
            signature,
            api: api.map_or("predict", |(_, api)| api),
            accept: None,
            outputs: &outputs,
            payload: Payload::Tensors(&tensors),
        };
        let reply = self.edge.run(&self.name, self.bare(), &call)?;
        tensors_of(reply.reply)
    }
}

/// What a model gives for tensors.
fn tensors_of(reply: Reply) -> Result<Outputs> {
    match reply {
        Reply::Tensors(outputs) => Ok(outputs),
        Reply::Body { content_type, .. } => Err(Error::internal(format!(
            "the host answered tensors with a body of the type {content_type}"
        ))),
    }
}

fn check_answer(answer: Answer) -> Result<Checked> {
    Ok(match answer.payload {
        Given::Tensors(tensors) => Checked::Tensors(given_tensors(tensors.into_iter(), "outputs")?),
        Given::Body {
            content_type,
            bytes,
        } => {
            check_content_type(&content_type)?;
            Checked::Body {
                content_type,
                bytes,
            }
        }
    })
}

impl<F: Far, P: Processor> Model for EdgeModel<'_, F, P> {
    fn version(&self) -> i64 {
        self.far.version()
    }

    fn signature(&self, name: &str) -> Option<(Signature, ShapeCheck)> {
        match self.described.covered.get(name) {
            Some(covered) => Some((
                covered.signature.clone(),
                covered.shapes_before(self.described.shapes),
            )),
            // A question to whoever reaches the host crosses a wall; this has been asked already.
            None if self.bare.is_none() => {
                let signature = self.described.signatures.get(name)?;
                Some((signature.clone(), self.described.shapes))
            }
            None => self.far.signature(name),
        }
    }

    fn signature_defs(&self) -> Vec<(String, Vec<u8>)> {
        self.far.signature_defs()
    }

    fn covered(&self) -> Vec<(String, Signature)> {
        let here = &self.described.covered;
        let far = self.far_covered.iter();
        let far = far.filter(|covered| !here.contains_key(&covered.name));
        let far = far.map(|covered| (covered.name.clone(), covered.signature.clone()));
        let here = here.iter();
        let here = here.map(|(name, covered)| (name.clone(), covered.signature.clone()));
        let mut all: Vec<_> = far.chain(here).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    fn content_types(&self, signature: &str) -> Vec<String> {
        match self.described.covered.get(signature) {
            Some(covered) => covered.content_types.clone(),
            None => self
                .far_covers(signature)
                .map(|covered| covered.content_types.clone())
                .unwrap_or_default(),
        }
    }

    fn called_as(&self, api: &str) {
        api.clone_into(&mut self.api.borrow_mut());
    }

    fn answered_by(&self) -> i64 {
        self.answered_by.get().unwrap_or(self.far.version())
    }

    fn run_body(
        &self,
        signature: &str,
        content_type: &str,
        accept: Option<&str>,
        part: Option<Range>,
    ) -> Result<Reply> {
        let bytes = match part {
            None => self.edge.body,
            Some(part) => Whole(self.edge.body).part(part)?,
        };
        let payload = Payload::Body {
            content_type,
            bytes,
        };
        if let Some(covered) = self.described.covered.get(signature) {
            let mut properties = vec![("api", "predict")];
            properties.extend(accept.map(|accept| ("accept", accept)));
            let context = Context {
                model: &self.name,
                version: self.far.version(),
                signature,
                outputs: &[],
                properties: &properties,
            };
            return match self.process(&context, payload)? {
                Checked::Body {
                    content_type,
                    bytes,
                } => Ok(Reply::Body {
                    content_type,
                    bytes,
                }),
                Checked::Tensors(tensors) => {
                    promised_outputs::<&str>(tensors, &covered.signature, &[])
                        .map(|tensors| Reply::Tensors(outputs(tensors)))
                        .map_err(|error| self.fault(error.message()))
                }
            };
        }
        if self.far_covers(signature).is_none() {
            return Err(uncovered(signature));
        }
        let call = FarCall {
            signature,
            api: "predict",
            accept,
            outputs: &[],
            payload,
        };
        let reply = self.edge.run(&self.name, &self.far, &call)?;
        self.answered_by.set(Some(reply.version));
        Ok(reply.reply)
    }

    /// Everything is given: nothing stays with the host.
    fn run(&self, calls: &[Call<'_>], _hold_from: u64) -> Result<Vec<Outputs>> {
        calls.iter().map(|call| self.run_one(call)).collect()
    }
}

impl<F: Far, P> fmt::Debug for EdgeModel<'_, F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeModel")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
