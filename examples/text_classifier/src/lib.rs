//! A processor: sentences in, what they are about out.
//!
//! The model takes the numbers of words. Users send a sentence as `text/plain` and get a label with
//! the scores of all as JSON; clients of TensorFlow Serving's protocols send strings, one for each
//! row. The added signature `tokens` gives the numbers themselves, without a run of the model.
//!
//! **Invariant:** words have the numbers that Keras's `TextVectorization` gave them in training,
//! by the vocabulary of then, which is packed into the component.

use serde::Serialize;
use tensorgate_sdk::text::{Vocabulary, Words};
use tensorgate_sdk::{
    Answer, Call, Context, DType, Description, Error, Outputs, Processor, Request, Result, Step,
    Subject, Tensor, keep, take_kept,
};

/// The signature of the model that is covered, with its input and output.
const SIGNATURE: &str = "serving_default";
const INPUT: &str = "ids";
const OUTPUT: &str = "output_0";

/// The signature that is added.
const TOKENS: &str = "tokens";

/// Words of a text that the model looks at.
const LENGTH: usize = 24;

/// The labels, in the order of the model's scores.
const LABELS: [&str; 4] = ["account", "delivery", "payment", "praise"];

/// Texts of one request: they are one batch.
const MAX_TEXTS: usize = 1024;

/// `vocabulary.txt`, packed by the build script.
const VOCABULARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vocabulary"));

/// The processor.
#[derive(Debug)]
pub struct TextClassifier;

tensorgate_sdk::export!(TextClassifier);

/// How the client asked: kept for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// With a text.
    Body,
    /// With tensors.
    Tensors,
}

impl Processor for TextClassifier {
    fn describe(model: &Subject) -> Result<Vec<Description>> {
        let (length, labels) = (LENGTH as i64, LABELS.len() as i64);
        let signature = model.signature(SIGNATURE)?;
        signature.expect_input(INPUT, DType::INT64, &[-1, length])?;
        signature.expect_output(OUTPUT, DType::FLOAT, &[-1, labels])?;
        Ok(vec![
            Description::of(SIGNATURE)
                .takes("text/plain")
                .input("text", DType::STRING, &[-1])
                .output("label", DType::STRING, &[-1])
                .output("scores", DType::FLOAT, &[-1, labels]),
            Description::of(TOKENS)
                .input("text", DType::STRING, &[-1])
                .output("ids", DType::INT64, &[-1, length]),
        ])
    }

    fn preprocess(context: &Context, request: Request) -> Result<Step> {
        let (asked, ids) = match request {
            Request::Body(body) => (Asked::Body, ids(&[body.text()?])?),
            Request::Tensors(inputs) => {
                let texts = inputs.strings_of("text", &[-1])?;
                (Asked::Tensors, ids(&texts.texts()?)?)
            }
        };
        if context.signature_name == TOKENS {
            return Ok(Answer::tensors([("ids", ids)]).into());
        }
        keep(asked);
        Ok(Call::new(SIGNATURE, [(INPUT, ids)]).output(OUTPUT).into())
    }

    fn postprocess(_context: &Context, mut outputs: Outputs) -> Result<Answer> {
        let scores = outputs.view_of::<f32>(OUTPUT, &[-1, LABELS.len() as i64])?;
        if take_kept::<Asked>()? == Asked::Body {
            return Answer::json(&Prediction::of(scores.values()));
        }
        let labels = Tensor::strings(&scores.shape()[..1], scores.rows().map(likeliest))?;
        let scores = outputs.take(OUTPUT)?;
        Ok(Answer::tensors([("label", labels), ("scores", scores)]))
    }
}

/// What the model takes, of texts.
///
/// # Errors
/// `INVALID_ARGUMENT` when there are none, or too many.
pub fn ids(texts: &[&str]) -> Result<Tensor> {
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        return Err(Error::invalid_argument(format!(
            "expected 1 to {MAX_TEXTS} texts, found {}",
            texts.len()
        )));
    }
    let words = Words::new(Vocabulary::packed(VOCABULARY)?);
    Ok(words.batch::<i64>(texts, LENGTH)?.ids)
}

/// The label with the best score; of equal ones the last in order.
fn likeliest(scores: &[f32]) -> &'static str {
    let all = LABELS.iter().zip(scores);
    let best = all.max_by(|one, other| one.1.total_cmp(other.1));
    best.map_or("", |(label, _)| label)
}

/// The body of an answer.
#[derive(Debug, Serialize)]
struct Prediction {
    label: &'static str,
    scores: Vec<Score>,
}

/// A label with its score.
#[derive(Debug, Serialize)]
struct Score {
    label: &'static str,
    score: f32,
}

impl Prediction {
    fn of(scores: &[f32]) -> Self {
        let all = LABELS.iter().zip(scores);
        Self {
            label: likeliest(scores),
            scores: all.map(|(&label, &score)| Score { label, score }).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tensorgate_sdk::{Body, ErrorCode, Payload, Tensors};

    use super::*;

    fn context(signature: &str) -> Context {
        Context {
            signature_name: signature.to_owned(),
            ..Context::default()
        }
    }

    /// The number of a text that is one word.
    fn word(text: &str) -> i64 {
        let ids = ids(&[text]).unwrap();
        let ids = ids.view::<i64>().unwrap();
        assert_eq!(ids.values()[1..], [0; LENGTH - 1], "{text}");
        ids.values()[0]
    }

    #[test]
    fn words_have_the_numbers_of_their_lines() {
        let lines: Vec<&str> = include_str!("../vocabulary.txt").lines().collect();
        for (number, line) in lines.iter().enumerate().skip(2) {
            assert_eq!(word(line), number as i64);
        }
        assert_eq!((lines[0], lines[1]), ("", "[UNK]"));
        assert_eq!(word("xylophone"), 1);
    }

    #[test]
    fn tensors_are_answered_with_labels() {
        let texts = Tensor::strings(&[2], ["Parcel?", ""]).unwrap();
        let request = Request::Tensors([("text", texts)].into());
        let context = context(SIGNATURE);
        let step = TextClassifier::preprocess(&context, request.clone()).unwrap();
        let Step::Run(call) = step else {
            panic!("expected a run");
        };
        let given = call
            .inputs
            .view_of::<i64>(INPUT, &[2, LENGTH as i64])
            .unwrap();
        assert!(given.values()[0] > 1 && given.values()[1..].iter().all(|id| *id == 0));

        let scores = Tensor::new(&[2, 4], &[0.1f32, 0.7, 0.1, 0.1, 0.2, 0.2, 0.2, 0.4]).unwrap();
        let outputs = Tensors::outputs([(OUTPUT.to_owned(), scores.clone())]);
        let answer = TextClassifier::postprocess(&context, outputs).unwrap();
        let labels = Tensor::strings(&[2], ["delivery", "praise"]).unwrap();
        let expected = Answer::tensors([("label", labels), ("scores", scores)]);
        assert_eq!(answer, expected);

        let tokens = TextClassifier::preprocess(&self::context(TOKENS), request).unwrap();
        let ids = call.inputs.get(INPUT).unwrap().clone();
        assert_eq!(tokens, Answer::tensors([("ids", ids)]).into());
    }

    #[test]
    fn a_text_is_answered_with_json() {
        let context = context(SIGNATURE);
        let request = Request::Body(Body::new("text/plain; charset=utf-8", "my parcel"));
        TextClassifier::preprocess(&context, request).unwrap();
        let scores = Tensor::new(&[1, 4], &[0.25f32, 0.5, 0.125, 0.125]).unwrap();
        let outputs = Tensors::outputs([(OUTPUT.to_owned(), scores)]);
        let answer = TextClassifier::postprocess(&context, outputs).unwrap();
        let Payload::Body(body) = answer.payload else {
            panic!("expected a body");
        };
        assert_eq!(
            String::from_utf8(body.bytes).unwrap(),
            r#"{"label":"delivery","scores":[{"label":"account","score":0.25},{"label":"delivery","score":0.5},{"label":"payment","score":0.125},{"label":"praise","score":0.125}]}"#
        );
    }

    #[test]
    fn what_is_no_text_is_the_clients_error() {
        let context = context(SIGNATURE);
        let broken = Tensor::strings(&[2], [&b"a"[..], b"\xff"]).unwrap();
        let request = Request::Tensors([("text", broken)].into());
        let error = TextClassifier::preprocess(&context, request).unwrap_err();
        assert_eq!(
            (error.code(), error.message()),
            (ErrorCode::InvalidArgument, "string 1 is not UTF-8 text")
        );
        let body = Request::Body(Body::new("text/plain; charset=latin1", "a"));
        assert!(TextClassifier::preprocess(&context, body).is_err());
        assert!(ids(&[]).is_err() && ids(&[""; MAX_TEXTS + 1]).is_err());
    }
}
