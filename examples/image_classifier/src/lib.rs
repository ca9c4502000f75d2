//! A processor: pictures of digits in, labels out.
//!
//! Users send a JPEG or PNG file and get the five likeliest labels as JSON; clients of TensorFlow
//! Serving's protocols send encoded pictures as the string tensor `image_bytes` and get `classes`
//! and `scores`. The model behind it takes floats of 28 by 28 and knows of neither.
//!
//! **Invariant:** a picture is made grey, 28 by 28 and 0 to 1, in this order, as `reference.py`
//! does it with Pillow and numpy: the suite `processor_examples` holds the two together.

use serde::Serialize;
use tensorgate_sdk::image::{Filter, Limits, Normalise, Picture, tensor};
use tensorgate_sdk::{
    Answer, Call, Context, DType, Description, Error, Outputs, Processor, Request, Result, Step,
    Subject, Tensor, Tensors, keep, take_kept,
};

/// The signature of the model that is covered, with its input and output.
const SIGNATURE: &str = "serving_default";
const INPUT: &str = "images";
const OUTPUT: &str = "output_0";

/// Pixels on each side that the model takes.
const SIDE: u32 = 28;

/// The labels, in the order of the model's scores.
const LABELS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// How many labels an answer has.
const TOP: usize = 5;

/// Pictures of one request; more are refused before any is decoded. A tiny file can hold a large
/// picture, so that this bounds what a request costs.
const MAX_PICTURES: usize = 256;

/// How the client asked: kept for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// With a file.
    Body,
    /// With tensors.
    Tensors,
}

/// The processor.
#[derive(Debug)]
pub struct ImageClassifier;

tensorgate_sdk::export!(ImageClassifier);

impl Processor for ImageClassifier {
    fn describe(model: &Subject) -> Result<Vec<Description>> {
        let side = i64::from(SIDE);
        let signature = model.signature(SIGNATURE)?;
        signature.expect_input(INPUT, DType::FLOAT, &[-1, side, side, 1])?;
        signature.expect_output(OUTPUT, DType::FLOAT, &[-1, LABELS.len() as i64])?;
        Ok(vec![
            Description::of(SIGNATURE)
                .takes("image/jpeg")
                .takes("image/png")
                .input("image_bytes", DType::STRING, &[-1])
                .output("classes", DType::STRING, &[-1, TOP as i64])
                .output("scores", DType::FLOAT, &[-1, TOP as i64]),
        ])
    }

    fn preprocess(_context: &Context, request: Request) -> Result<Step> {
        let images = match request {
            Request::Body(body) => {
                keep(Asked::Body);
                images([body.bytes.as_slice()].into_iter())?
            }
            Request::Tensors(inputs) => {
                keep(Asked::Tensors);
                images(inputs.strings_of("image_bytes", &[-1])?.iter())?
            }
        };
        Ok(Call::new(SIGNATURE, [(INPUT, images)])
            .output(OUTPUT)
            .into())
    }

    fn postprocess(context: &Context, outputs: Outputs) -> Result<Answer> {
        let scores = outputs.view_of::<f32>(OUTPUT, &[-1, LABELS.len() as i64])?;
        let rows: Vec<Vec<Prediction>> = scores.rows().map(top).collect();
        match take_kept()? {
            Asked::Body => Answer::json(&Predictions {
                predictions: rows.into_iter().flatten().collect(),
            }),
            Asked::Tensors => tensors(&rows, &context.outputs),
        }
    }
}

/// What the model takes, of encoded pictures.
///
/// # Errors
/// `INVALID_ARGUMENT` for what is no picture, with its number where there are several, and for too
/// many of them.
pub fn images<'a>(files: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<Tensor> {
    let count = files.len();
    if count == 0 || count > MAX_PICTURES {
        return Err(Error::invalid_argument(format!(
            "expected 1 to {MAX_PICTURES} pictures, found {count}"
        )));
    }
    let pictures: Vec<Picture> = files
        .enumerate()
        .map(|(index, file)| {
            let picture = Picture::decode(file, Limits::default()).map_err(|error| {
                if count == 1 {
                    return error;
                }
                Error::new(
                    error.code(),
                    format!("picture {index}: {}", error.message()),
                )
            })?;
            picture.into_grey().resize(SIDE, SIDE, Filter::Bilinear)
        })
        .collect::<Result<_>>()?;
    tensor(&pictures, &Normalise::ZERO_TO_ONE)
}

/// The body of an answer.
#[derive(Debug, Serialize)]
struct Predictions {
    predictions: Vec<Prediction>,
}

/// A label, and how likely it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Prediction {
    label: &'static str,
    score: f32,
}

/// The likeliest labels of a picture, the likeliest first; of equal ones the first in order.
fn top(scores: &[f32]) -> Vec<Prediction> {
    let mut all: Vec<Prediction> = LABELS
        .iter()
        .zip(scores)
        .map(|(&label, &score)| Prediction { label, score })
        .collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all.truncate(TOP);
    all
}

/// The answer to tensors: those that the client wants.
fn tensors(rows: &[Vec<Prediction>], wanted: &[String]) -> Result<Answer> {
    let shape = [rows.len() as i64, TOP as i64];
    let all = || rows.iter().flatten();
    let scores: Vec<f32> = all().map(|prediction| prediction.score).collect();
    let classes = Tensor::strings(&shape, all().map(|prediction| prediction.label))?;
    let made = [
        ("classes", classes),
        ("scores", Tensor::new(&shape, &scores)?),
    ];
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let tensors: Tensors = made
        .into_iter()
        .filter(|(name, _)| is_wanted(name))
        .collect();
    Ok(Answer::tensors(tensors))
}

#[cfg(test)]
mod tests {
    use tensorgate_sdk::{Body, Payload, TensorInfo};

    use super::*;

    /// A grey PNG of one light pixel, as Pillow encodes it.
    const PNG: &[u8] = &[
        137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 1, 0, 0, 0, 1, 8, 0,
        0, 0, 0, 58, 126, 155, 85, 0, 0, 0, 10, 73, 68, 65, 84, 120, 156, 99, 248, 15, 0, 1, 1, 1,
        0, 177, 56, 246, 20, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
    ];

    fn outputs() -> Outputs {
        let scores = [0.0, 0.1, 0.2, 0.05, 0.0, 0.0, 0.0, 0.6, 0.05, 0.0];
        let scores = Tensor::new(&[1, 10], &scores.map(|score: f64| score as f32)).unwrap();
        Outputs::outputs([(OUTPUT.to_owned(), scores)])
    }

    fn model_inputs(step: Step) -> Tensors {
        match step {
            Step::Run(call) => call.inputs,
            Step::Answer(answer) => panic!("answered {answer:?}"),
        }
    }

    #[test]
    fn a_body_becomes_a_row_and_its_answer_is_json() {
        let context = Context::default();
        let request = Request::Body(Body::new("image/png", PNG));
        let inputs = model_inputs(ImageClassifier::preprocess(&context, request).unwrap());
        let images = inputs.view_of::<f32>(INPUT, &[1, 28, 28, 1]).unwrap();
        assert!(images.values().iter().all(|value| *value == 1.0));

        let answer = ImageClassifier::postprocess(&context, outputs()).unwrap();
        let Payload::Body(body) = answer.payload else {
            panic!("expected a body");
        };
        assert_eq!(
            String::from_utf8(body.bytes).unwrap(),
            r#"{"predictions":[{"label":"7","score":0.6},{"label":"2","score":0.2},{"label":"1","score":0.1},{"label":"3","score":0.05},{"label":"8","score":0.05}]}"#
        );
    }

    #[test]
    fn tensors_are_answered_with_the_tensors_that_are_wanted() {
        let mut context = Context::default();
        let files = Tensor::strings(&[2], [PNG, PNG]).unwrap();
        let request = Request::Tensors(Tensors::from([("image_bytes", files)]));
        let inputs = model_inputs(ImageClassifier::preprocess(&context, request.clone()).unwrap());
        assert_eq!(inputs.get(INPUT).unwrap().shape(), [2, 28, 28, 1]);
        let answer = ImageClassifier::postprocess(&context, outputs()).unwrap();
        let Payload::Tensors(tensors) = answer.payload else {
            panic!("expected tensors");
        };
        let classes = tensors.strings_of("classes", &[1, 5]).unwrap();
        assert_eq!(classes.texts().unwrap(), ["7", "2", "1", "3", "8"]);
        assert_eq!(
            tensors.view::<f32>("scores").unwrap().values(),
            [0.6, 0.2, 0.1, 0.05, 0.05]
        );

        context.outputs = vec!["scores".to_owned()];
        ImageClassifier::preprocess(&context, request).unwrap();
        let answer = ImageClassifier::postprocess(&context, outputs()).unwrap();
        let Payload::Tensors(tensors) = answer.payload else {
            panic!("expected tensors");
        };
        assert_eq!((tensors.len(), tensors.find("classes")), (1, None));
    }

    #[test]
    fn the_picture_that_is_none_is_named() {
        let images = |files: &[&[u8]]| images(files.iter().copied());
        assert_eq!(
            images(&[PNG, b"text"]).unwrap_err().to_string(),
            "INVALID_ARGUMENT: picture 1: expected a JPEG or PNG picture, found 4 bytes that are \
             neither"
        );
        assert_eq!(
            images(&[]).unwrap_err().message(),
            "expected 1 to 256 pictures, found 0"
        );
        assert!(images(&[PNG; 257]).is_err());
    }

    #[test]
    fn another_model_is_refused() {
        let signature = |side| tensorgate_sdk::Signature {
            method_name: "tensorflow/serving/predict".to_owned(),
            inputs: vec![TensorInfo::new(INPUT, DType::FLOAT, &[-1, side, side, 1])],
            outputs: vec![TensorInfo::new(OUTPUT, DType::FLOAT, &[-1, 10])],
        };
        let model = |side| Subject {
            model: "digits".to_owned(),
            version: 1,
            signatures: vec![(SIGNATURE.to_owned(), signature(side))],
            properties: Vec::new(),
        };
        let described = ImageClassifier::describe(&model(28)).unwrap();
        assert_eq!(described[0].content_types, ["image/jpeg", "image/png"]);
        let error = ImageClassifier::describe(&model(32)).unwrap_err();
        assert!(error.message().contains("[-1, 32, 32, 1]"), "{error}");
    }
}
