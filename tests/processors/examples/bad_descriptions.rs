//! A processor that describes itself badly, in the way that the model's name asks for.

use tensorgate_test_processors::{
    Answer, Context, Description, Error, FLOAT, Guest, NamedTensor, Payload, Step, Subject,
    TensorInfo, description, export, info, invalid,
};

struct Bad;

export!(Bad);

impl Guest for Bad {
    fn describe(subject: Subject) -> Result<Vec<Description>, Error> {
        let one = || description("double");
        Ok(match subject.model.as_str() {
            "trap" => panic!("told to"),
            "loop" => loop {
                std::hint::black_box(&subject);
            },
            "refuse" => return Err(invalid("this is not my model")),
            "twice" => vec![one(), one()],
            "nameless" => vec![description("")],
            "unreachable" => vec![description("not of the model")],
            "content-type" => vec![Description {
                content_types: vec!["image/jpeg; q=1".to_owned()],
                ..one()
            }],
            "dtype" => vec![Description {
                inputs: Some(vec![info("x", 20)]),
                ..one()
            }],
            "shape" => vec![Description {
                outputs: Some(vec![TensorInfo {
                    shape: Some(vec![-2]),
                    ..info("x", FLOAT)
                }]),
                ..one()
            }],
            "same-name" => vec![Description {
                inputs: Some(vec![info("x", FLOAT), info("x", FLOAT)]),
                ..one()
            }],
            "many" => (0..300).map(|at| description(&at.to_string())).collect(),
            _ => vec![],
        })
    }

    fn preprocess(_context: Context, _request: Payload) -> Result<Step, Error> {
        Err(invalid("nothing is covered"))
    }

    fn postprocess(_context: Context, _outputs: Vec<NamedTensor>) -> Result<Answer, Error> {
        Err(invalid("nothing is covered"))
    }
}
