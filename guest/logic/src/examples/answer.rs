//! From a model's outputs to classes or values, with the checks that the original makes.

use tensorgate_types::{DType, Error, Result, StringData};

use super::{CLASSES, SCORES};
use crate::inference::{Output, OutputData};

/// What one plan gave.
#[derive(Debug)]
pub enum Answer {
    /// Of a classification.
    Classes(Classifications),
    /// Of a regression: one value per example.
    Values(Vec<f32>),
}

/// Classes of every example: as many for each.
#[derive(Debug)]
pub struct Classifications {
    examples: usize,
    classes: usize,
    labels: Option<StringData>,
    scores: Option<Vec<f32>>,
}

impl Classifications {
    /// How many examples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.examples
    }

    /// Whether there are no examples; never, since a run needs one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.examples == 0
    }

    /// For each example its classes: label (any bytes; empty where the model gives none) and
    /// score (0 where it gives none).
    pub fn iter(&self) -> impl Iterator<Item = impl Iterator<Item = (&[u8], f32)>> {
        let mut labels = self.labels.as_ref().map(StringData::iter);
        let mut scores = self.scores.as_ref().map(|scores| scores.iter());
        (0..self.examples).map(move |_| {
            let row: Vec<_> = (0..self.classes)
                .map(|_| {
                    let label = labels.as_mut().and_then(Iterator::next).unwrap_or_default();
                    let score = scores.as_mut().and_then(Iterator::next).copied();
                    (label, score.unwrap_or_default())
                })
                .collect();
            row.into_iter()
        })
    }
}

pub(super) fn classifications(
    outputs: Vec<Output>,
    wanted: &[&str],
    examples: usize,
) -> Result<Answer> {
    let (mut classes, mut scores) = (None, None);
    for output in outputs {
        match &*output.name {
            CLASSES => classes = Some(output),
            SCORES => scores = Some(output),
            _ => {}
        }
    }
    let got = usize::from(classes.is_some()) + usize::from(scores.is_some());
    if got != wanted.len() {
        return Err(Error::invalid_argument(format!(
            "Expected {} output tensor(s).  Got: {got}",
            wanted.len()
        )));
    }
    if let Some(classes) = &classes {
        check(classes, CLASSES, DType::STRING, examples)?;
    }
    if let Some(scores) = &scores {
        check(scores, SCORES, DType::FLOAT, examples)?;
    }
    // Both have two dimensions, checked above.
    let columns = |output: &Option<Output>| output.as_ref().map(|output| output.shape[1]);
    let count = match (columns(&classes), columns(&scores)) {
        (Some(classes), Some(scores)) if classes != scores => {
            return Err(Error::invalid_argument(format!(
                "Tensors class and score should match in dim_size(1). Got {classes} vs. {scores}"
            )));
        }
        (classes, scores) => classes.or(scores).unwrap_or_default(),
    };
    let labels = classes.map(|output| match output.data {
        OutputData::Strings(labels) => Ok(labels),
        OutputData::Fixed(_) | OutputData::Held(_) => Err(unfit(CLASSES)),
    });
    let answer = Classifications {
        examples,
        classes: usize::try_from(count).map_err(|_| unfit(CLASSES))?,
        labels: labels.transpose()?,
        scores: scores.map(|output| floats(output, SCORES)).transpose()?,
    };
    // Sizes are checked once, so that nothing is made of a shape alone.
    let elements = answer.examples.checked_mul(answer.classes);
    let fits = |len: usize| elements == Some(len);
    if answer.labels.as_ref().is_some_and(|l| !fits(l.len())) {
        return Err(unfit(CLASSES));
    }
    if answer.scores.as_ref().is_some_and(|s| !fits(s.len())) {
        return Err(unfit(SCORES));
    }
    Ok(Answer::Classes(answer))
}

fn check(output: &Output, name: &str, dtype: DType, examples: usize) -> Result<()> {
    if output.shape.len() != 2 {
        return Err(Error::invalid_argument(format!(
            "Expected Tensor shape: [batch_size num_classes] but got {}",
            Shape(&output.shape)
        )));
    }
    if output.dtype != dtype {
        return Err(Error::invalid_argument(format!(
            "Expected {name} Tensor of {}. Got: {}",
            proto_name(dtype),
            proto_name(output.dtype)
        )));
    }
    if output.shape[0] != examples as i64 {
        return Err(Error::invalid_argument(format!(
            "Expected {name} output batch size of {examples}. Got: {}",
            output.shape[0]
        )));
    }
    Ok(())
}

pub(super) fn regressions(mut outputs: Vec<Output>, examples: usize) -> Result<Answer> {
    let Some(output) = outputs.pop().filter(|_| outputs.is_empty()) else {
        return Err(Error::invalid_argument(
            "Expected output_tensors and output_tensor_names to have the same size.",
        ));
    };
    if !matches!(*output.shape, [_] | [_, 1]) {
        return Err(Error::invalid_argument(format!(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {}",
            Shape(&output.shape)
        )));
    }
    if output.shape[0] != examples as i64 {
        return Err(Error::invalid_argument(format!(
            "Input batch size did not match output batch size: {examples} vs. {}",
            output.shape[0]
        )));
    }
    if output.dtype != DType::FLOAT {
        return Err(Error::invalid_argument(format!(
            "Expected output Tensor of DT_FLOAT.  Got: {}",
            proto_name(output.dtype)
        )));
    }
    let values = floats(output, super::OUTPUTS)?;
    if values.len() == examples {
        Ok(Answer::Values(values))
    } else {
        Err(unfit(super::OUTPUTS))
    }
}

fn floats(output: Output, name: &str) -> Result<Vec<f32>> {
    match output.data {
        OutputData::Fixed(bytes) if bytes.len().is_multiple_of(4) => {
            Ok(bytemuck::pod_collect_to_vec(&bytes))
        }
        OutputData::Fixed(_) | OutputData::Strings(_) | OutputData::Held(_) => Err(unfit(name)),
    }
}

fn unfit(name: &str) -> Error {
    Error::internal(format!(
        "the data of output {name} does not fit its type and shape"
    ))
}

fn proto_name(dtype: DType) -> &'static str {
    dtype.proto_name().unwrap_or("DT_INVALID")
}

/// `[2,3]`, as the original prints a shape.
struct Shape<'a>(&'a [i64]);

impl std::fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[")?;
        for (index, dim) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{dim}")?;
        }
        f.write_str("]")
    }
}
