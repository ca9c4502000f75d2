//! A processor: several models on the same input, and the mean of their answers.
//!
//! They compute side by side: an answer takes as long as the slowest of them. The output `models`
//! says of how many it is the mean.
//!
//! **Invariant:** a model that fails is left out; with fewer than `ENSEMBLE_AT_LEAST` (2) that
//! answered, the request fails and says why each of the others did.

use tensorgate_sdk::{
    Answer, Call, Context, DType, Description, Error, Model, Processor, Request, Result, Run, Step,
    Subject, Tensor, VersionChoice, setting,
};

const SIGNATURE: &str = "serving_default";
const INPUT: &str = "images";
const OUTPUT: &str = "scores";
const PIXELS: i64 = 784;
const CLASSES: i64 = 10;

/// The models beside the one that the processor belongs to. They take and give the same.
const OTHERS: [&str; 2] = ["digits_middle", "digits_large"];

/// The processor.
#[derive(Debug)]
pub struct Ensemble;

tensorgate_sdk::export!(Ensemble);

/// How many models have to answer.
fn at_least() -> Result<usize> {
    setting("ENSEMBLE_AT_LEAST", 2, 1..=OTHERS.len() + 1)
}

impl Processor for Ensemble {
    fn describe(model: &Subject) -> Result<Vec<Description>> {
        at_least()?;
        let signature = model.signature(SIGNATURE)?;
        signature.expect_input(INPUT, DType::FLOAT, &[-1, PIXELS])?;
        signature.expect_output(OUTPUT, DType::FLOAT, &[-1, CLASSES])?;
        Ok(vec![
            Description::of(SIGNATURE)
                .output(OUTPUT, DType::FLOAT, &[-1, CLASSES])
                .output("models", DType::INT64, &[-1]),
        ])
    }

    fn preprocess(context: &Context, request: Request) -> Result<Step> {
        let images = request.tensors()?.take(INPUT)?;
        let rows = images.expect_shape(&[-1, PIXELS])?.shape()[0];
        let call = Call::new(SIGNATURE, [(INPUT, images)]).output(OUTPUT);

        // All begin before the first is waited for.
        let own = VersionChoice::Specific(context.version);
        let own = Model::open_version(&context.model, own).and_then(|own| own.begin(call.clone()));
        let mut runs = vec![(context.model.as_str(), own)];
        for name in OTHERS {
            let run = Model::open(name).and_then(|model| model.begin(call.clone()));
            runs.push((name, run));
        }

        let mut answers = Vec::new();
        let mut failures = Vec::new();
        for (name, run) in runs {
            match run.and_then(|run| wait(run, rows)) {
                Ok(scores) => answers.push(scores),
                Err(error) => failures.push(format!("{name}: {error}")),
            }
        }
        if answers.len() < at_least()? {
            return Err(Error::unavailable(format!(
                "{} of {} models answered: {}",
                answers.len(),
                OTHERS.len() + 1,
                failures.join("; ")
            )));
        }
        let count = answers.len();
        Ok(Answer::tensors([
            (OUTPUT, mean(&answers, rows)?),
            (
                "models",
                Tensor::from_vec(&[rows], vec![count as i64; rows as usize])?,
            ),
        ])
        .into())
    }
}

/// The scores of a run, for as many rows.
fn wait(run: Run, rows: i64) -> Result<Tensor> {
    let mut outputs = run.wait()?;
    outputs.view_of::<f32>(OUTPUT, &[rows, CLASSES])?;
    outputs.take(OUTPUT)
}

/// The mean of scores of one shape.
fn mean(answers: &[Tensor], rows: i64) -> Result<Tensor> {
    Tensor::build(&[rows, CLASSES], |mean: &mut [f32]| {
        for answer in answers {
            for (mean, score) in mean.iter_mut().zip(answer.view::<f32>()?.values()) {
                *mean += score / answers.len() as f32;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use tensorgate_sdk::testing::{with_models, with_settings};
    use tensorgate_sdk::{ErrorCode, Outputs, Payload, Tensors};

    use super::*;

    /// Asks for two rows, where each model gives the same score for everything, or fails. The mean,
    /// and how many models it is of.
    fn ask(scores: [Option<f32>; 3]) -> Result<(f32, i64)> {
        let names = ["ensemble", "digits_middle", "digits_large"];
        let answer = move |model: &str, _: &Call| -> Result<Outputs> {
            let index = names.iter().position(|name| *name == model).unwrap();
            let score = scores[index].ok_or_else(|| Error::internal("it fails"))?;
            let scores = Tensor::from_vec(&[2, CLASSES], vec![score; 20])?;
            Ok(Tensors::outputs([(OUTPUT.to_owned(), scores)]))
        };
        let context = Context {
            model: "ensemble".to_owned(),
            ..Context::default()
        };
        let images = Tensor::from_vec(&[2, PIXELS], vec![0.5f32; 2 * 784])?;
        let request = Request::Tensors([(INPUT, images)].into());
        let step = with_models(answer, || Ensemble::preprocess(&context, request))?;
        let Step::Answer(answer) = step else {
            panic!("expected an answer");
        };
        let Payload::Tensors(tensors) = answer.payload else {
            panic!("expected tensors");
        };
        let scores = tensors.view_of::<f32>(OUTPUT, &[2, CLASSES])?;
        assert!(
            scores
                .values()
                .iter()
                .all(|score| *score == scores.values()[0])
        );
        let models = tensors.view_of::<i64>("models", &[2])?;
        Ok((scores.values()[0], models.values()[1]))
    }

    #[test]
    fn the_answer_is_the_mean_of_those_that_answered() {
        assert_eq!(ask([Some(0.25), Some(0.5), Some(0.75)]).unwrap(), (0.5, 3));
        assert_eq!(ask([Some(0.25), None, Some(0.75)]).unwrap(), (0.5, 2));
        assert_eq!(ask([None, Some(0.5), Some(1.0)]).unwrap(), (0.75, 2));
    }

    #[test]
    fn too_few_answers_are_none() {
        let error = ask([None, Some(0.5), None]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert_eq!(
            error.message(),
            "1 of 3 models answered: ensemble: INTERNAL: it fails; digits_large: INTERNAL: it fails"
        );
        with_settings(&[("ENSEMBLE_AT_LEAST", "1")], || {
            assert_eq!(ask([None, Some(0.5), None]).unwrap(), (0.5, 1));
        });
        with_settings(&[("ENSEMBLE_AT_LEAST", "3")], || {
            assert!(ask([Some(0.5), None, Some(0.5)]).is_err());
        });
    }

    #[test]
    fn more_models_than_there_are_cannot_be_asked_for() {
        with_settings(&[("ENSEMBLE_AT_LEAST", "4")], || {
            let error = at_least().unwrap_err();
            assert!(error.message().contains("from 1 to 3"), "{error}");
        });
    }
}
