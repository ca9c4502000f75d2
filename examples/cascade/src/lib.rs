//! A processor: the model that it stands before answers first, a larger one only the rows of which
//! the first is unsure.
//!
//! Clients send and get what they did without it, and are told which model answered each row.
//! A row is sure whose best score is `CASCADE_THRESHOLD` (0.9) at least.
//!
//! **Invariant:** a row that the large model cannot answer keeps the answer of the small one; the
//! larger model never costs a client an answer that there was.

use tensorgate_sdk::{
    Answer, Call, Context, DType, Description, Model, Outputs, Processor, Request, Result, Step,
    Subject, Tensor, keep, setting, take_kept,
};

const SIGNATURE: &str = "serving_default";
const INPUT: &str = "images";
const OUTPUT: &str = "scores";
const PIXELS: i64 = 784;
const CLASSES: i64 = 10;

/// The model for what the small one is unsure of. It takes and gives the same.
const LARGE: &str = "digits_large";

/// The processor.
#[derive(Debug)]
pub struct Cascade;

tensorgate_sdk::export!(Cascade);

/// The images of a request, for the second model.
struct Images(Tensor);

/// From which score on a row needs no second opinion.
fn threshold() -> Result<f32> {
    setting("CASCADE_THRESHOLD", 0.9, 0.0..=1.0)
}

impl Processor for Cascade {
    fn describe(model: &Subject) -> Result<Vec<Description>> {
        threshold()?;
        let signature = model.signature(SIGNATURE)?;
        signature.expect_input(INPUT, DType::FLOAT, &[-1, PIXELS])?;
        signature.expect_output(OUTPUT, DType::FLOAT, &[-1, CLASSES])?;
        Ok(vec![
            Description::of(SIGNATURE)
                .output(OUTPUT, DType::FLOAT, &[-1, CLASSES])
                .output("answered_by", DType::STRING, &[-1]),
        ])
    }

    fn preprocess(_context: &Context, request: Request) -> Result<Step> {
        let images = request.tensors()?.take(INPUT)?;
        keep(Images(images.clone()));
        Ok(Call::new(SIGNATURE, [(INPUT, images)])
            .output(OUTPUT)
            .into())
    }

    fn postprocess(context: &Context, outputs: Outputs) -> Result<Answer> {
        let small = outputs.view_of::<f32>(OUTPUT, &[-1, CLASSES])?;
        let threshold = threshold()?;
        let unsure: Vec<usize> = (0..)
            .zip(small.rows())
            .filter(|(_, scores)| !is_sure(scores, threshold))
            .map(|(row, _)| row)
            .collect();

        let mut scores = small.values().to_vec();
        let mut answered_by = vec![context.model.as_str(); small.rows().len()];
        if !unsure.is_empty() {
            let Images(images) = take_kept()?;
            // Whatever it failed at, there is an answer.
            if let Ok(large) = ask_large(&images, &unsure) {
                let width = CLASSES as usize;
                for (row, answer) in unsure.into_iter().zip(large.chunks_exact(width)) {
                    scores[row * width..(row + 1) * width].copy_from_slice(answer);
                    answered_by[row] = LARGE;
                }
            }
        }
        Ok(Answer::tensors([
            (OUTPUT, Tensor::new(small.shape(), &scores)?),
            (
                "answered_by",
                Tensor::strings(&small.shape()[..1], answered_by)?,
            ),
        ]))
    }
}

/// Whether the best score is high enough. What is no number is not.
fn is_sure(scores: &[f32], threshold: f32) -> bool {
    scores.iter().any(|score| *score >= threshold)
}

/// The large model's scores for some of the rows, row by row.
fn ask_large(images: &Tensor, rows: &[usize]) -> Result<Vec<f32>> {
    let images = images.select_rows(rows)?;
    let call = Call::new(SIGNATURE, [(INPUT, images)]).output(OUTPUT);
    let outputs = Model::open(LARGE)?.predict(call)?;
    let scores = outputs.view_of::<f32>(OUTPUT, &[rows.len() as i64, CLASSES])?;
    Ok(scores.values().to_vec())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tensorgate_sdk::testing::{with_models, with_settings};
    use tensorgate_sdk::{Error, Payload, Tensors};

    use super::*;

    /// Scores whose best one, of the class `class`, is `best`.
    fn row(class: usize, best: f32) -> Vec<f32> {
        let mut scores = vec![0.0; 10];
        scores[class] = best;
        scores
    }

    fn scores(rows: &[Vec<f32>]) -> Tensor {
        Tensor::new(&[rows.len() as i64, CLASSES], &rows.concat()).unwrap()
    }

    /// Runs a request of as many rows as the small model answers; every pixel of a row is its
    /// number.
    fn cascade(small: &[Vec<f32>]) -> Result<(Vec<Vec<f32>>, Vec<String>)> {
        let context = Context {
            model: "cascade".to_owned(),
            ..Context::default()
        };
        let pixels: Vec<f32> = (0..small.len()).flat_map(|row| [row as f32; 784]).collect();
        let images = Tensor::new(&[small.len() as i64, PIXELS], &pixels)?;
        Cascade::preprocess(&context, Request::Tensors([(INPUT, images)].into()))?;
        let outputs = Tensors::outputs([(OUTPUT.to_owned(), scores(small))]);
        let Payload::Tensors(tensors) = Cascade::postprocess(&context, outputs)?.payload else {
            panic!("expected tensors");
        };
        let rows = tensors
            .view::<f32>(OUTPUT)?
            .rows()
            .map(<[f32]>::to_vec)
            .collect();
        let names = tensors.strings("answered_by")?.texts()?;
        Ok((rows, names.into_iter().map(str::to_owned).collect()))
    }

    #[test]
    fn only_rows_that_are_unsure_go_to_the_large_model() {
        let asked = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&asked);
        let large = move |model: &str, call: &Call| {
            assert_eq!(model, LARGE);
            let images = call.inputs.view::<f32>(INPUT)?;
            let rows: Vec<f32> = images.rows().map(|row| row[0]).collect();
            seen.replace(rows.clone());
            let answers: Vec<Vec<f32>> = rows.iter().map(|_| row(9, 0.99)).collect();
            Ok(Tensors::outputs([(OUTPUT.to_owned(), scores(&answers))]))
        };
        with_models(large, || {
            let small = [row(0, 0.95), row(1, 0.5), row(2, 0.9), row(3, 0.89)];
            let (rows, names) = cascade(&small).unwrap();
            assert_eq!(*asked.borrow(), [1.0, 3.0]);
            assert_eq!(
                rows,
                [row(0, 0.95), row(9, 0.99), row(2, 0.9), row(9, 0.99)]
            );
            assert_eq!(names, ["cascade", LARGE, "cascade", LARGE]);
            with_settings(&[("CASCADE_THRESHOLD", "0.5")], || {
                let (rows, _) = cascade(&small).unwrap();
                assert_eq!(rows, small);
            });
        });
    }

    #[test]
    fn the_large_model_is_not_asked_when_all_rows_are_sure() {
        let never = |_: &str, _: &Call| panic!("it was asked");
        with_models(never, || {
            let (rows, names) = cascade(&[row(4, 1.0)]).unwrap();
            assert_eq!((rows, names.len()), (vec![row(4, 1.0)], 1));
            assert_eq!(cascade(&[]).unwrap().0.len(), 0);
        });
    }

    #[test]
    fn what_the_large_model_cannot_answer_the_small_one_has() {
        let fails = |_: &str, _: &Call| Err(Error::unavailable("busy"));
        let small = [row(4, 0.2), vec![f32::NAN; 10]];
        let (rows, names) = with_models(fails, || cascade(&small)).unwrap();
        assert_eq!(rows[0], small[0]);
        assert_eq!(names, ["cascade", "cascade"]);
    }

    #[test]
    fn a_threshold_that_cannot_be_keeps_the_version_from_being_served() {
        let subject = Subject {
            model: "cascade".to_owned(),
            version: 1,
            signatures: Vec::new(),
            properties: Vec::new(),
        };
        with_settings(&[("CASCADE_THRESHOLD", "2")], || {
            let error = Cascade::describe(&subject).unwrap_err();
            assert!(error.message().contains("CASCADE_THRESHOLD"), "{error}");
        });
        let error = Cascade::describe(&subject).unwrap_err();
        assert!(error.message().contains("serving_default"), "{error}");
    }
}
