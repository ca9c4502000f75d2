//! A processor: a share of the requests goes to a new version, the rest to the stable one.
//!
//! It stands before every version. The label `stable` says which one is stable; the version that a
//! request holds, where it is another, is on trial and gets `CANARY_PERCENT` (10) of the requests.
//! A request with the input `user` is always on the same side for the same user, any other one
//! falls where it falls. The output `version`, and over gRPC the answer's `model_spec`, say which
//! version answered.
//!
//! **Invariant:** whatever the version on trial fails at, the stable one answers.

use tensorgate_sdk::{
    Answer, Call, Context, DType, Description, Error, Model, Outputs, Processor, Request, Result,
    Step, Strings, Subject, Tensor, Tensors, VersionChoice, setting, split,
};

const SIGNATURE: &str = "serving_default";
const INPUT: &str = "images";
const OUTPUT: &str = "scores";
const PIXELS: i64 = 784;
const CLASSES: i64 = 10;

/// The label of the version that answers what the one on trial does not.
const STABLE: &str = "stable";

/// The processor.
#[derive(Debug)]
pub struct Canary;

tensorgate_sdk::export!(Canary);

/// How many requests of a hundred go to the version on trial.
fn percent() -> Result<f64> {
    setting("CANARY_PERCENT", 10.0, 0.0..=100.0)
}

impl Processor for Canary {
    fn describe(model: &Subject) -> Result<Vec<Description>> {
        percent()?;
        let signature = model.signature(SIGNATURE)?;
        signature.expect_input(INPUT, DType::FLOAT, &[-1, PIXELS])?;
        signature.expect_output(OUTPUT, DType::FLOAT, &[-1, CLASSES])?;
        Ok(vec![
            Description::of(SIGNATURE)
                .input(INPUT, DType::FLOAT, &[-1, PIXELS])
                .optional_input("user", DType::STRING, &[-1])
                .output(OUTPUT, DType::FLOAT, &[-1, CLASSES])
                .output("version", DType::INT64, &[-1]),
        ])
    }

    fn preprocess(context: &Context, request: Request) -> Result<Step> {
        let mut inputs = request.tensors()?;
        let point = match inputs.find("user") {
            Some(_) => split::point_of(&context.model, user(inputs.strings_of("user", &[-1])?)?),
            None => split::random_point(),
        };
        let images = inputs.take(INPUT)?;
        let call = Call::new(SIGNATURE, [(INPUT, images)]).output(OUTPUT);

        let own = VersionChoice::Specific(context.version);
        let stable = VersionChoice::Label(STABLE.to_owned());
        let stable = Model::open_version(&context.model, stable).map_err(|error| {
            // It is no mistake of the client's.
            Error::failed_precondition(format!("no stable version: {}", error.message()))
        })?;
        let is_on_trial = stable.version() != context.version;
        if is_on_trial && point * 100.0 < percent()? {
            let tried = Model::open_version(&context.model, own)
                .and_then(|model| ask(&model, call.clone()));
            if let Ok(answer) = tried {
                return Ok(answer.into());
            }
        }
        Ok(ask(&stable, call)?.into())
    }
}

/// The one user of a request. One version answers all of its rows.
fn user(users: &Strings) -> Result<&[u8]> {
    let mut all = users.iter();
    let first = all.next().unwrap_or_default();
    match all.find(|other| *other != first) {
        None => Ok(first),
        Some(other) => Err(Error::invalid_argument(format!(
            "input `user`: a request has rows of one user, found `{}` and `{}`",
            String::from_utf8_lossy(first),
            String::from_utf8_lossy(other)
        ))),
    }
}

/// What a version answers, with its number.
fn ask(model: &Model, call: Call) -> Result<Answer> {
    let mut outputs: Outputs = model.predict(call)?;
    let version = model.version();
    let rows = outputs.view_of::<f32>(OUTPUT, &[-1, CLASSES])?.shape()[0];
    let scores = outputs.take(OUTPUT)?;
    let versions = Tensor::build(&[rows], |versions: &mut [i64]| {
        versions.fill(version);
        Ok(())
    })?;
    let tensors = Tensors::from([(OUTPUT, scores), ("version", versions)]);
    Ok(Answer::tensors(tensors).from_version(version))
}

#[cfg(test)]
mod tests {
    use tensorgate_sdk::testing::{with_settings, with_versions};
    use tensorgate_sdk::{ErrorCode, ModelSpec, Payload};

    use super::*;

    /// As the stable version is 1, and 2 fails for images that begin with a negative pixel.
    fn models(model: &ModelSpec, call: &Call) -> Result<Outputs> {
        let images = call.inputs.view::<f32>(INPUT)?;
        let is_bad = images.values().first().is_some_and(|pixel| *pixel < 0.0);
        let version = match &model.version {
            VersionChoice::Label(label) if label == STABLE => 1.0,
            VersionChoice::Specific(2) if is_bad => return Err(Error::invalid_argument("no")),
            VersionChoice::Specific(version) => *version as f32,
            other => panic!("{other:?} was asked for"),
        };
        let shape = [images.shape()[0], CLASSES];
        let scores = Tensor::build(&shape, |scores: &mut [f32]| {
            scores.fill(version);
            Ok(())
        })?;
        Ok(Tensors::outputs([(OUTPUT.to_owned(), scores)]))
    }

    /// The version that answers a request of version `held`, with `percent` on trial.
    fn answered_by(held: i64, percent: &str, pixel: f32, users: Option<&[&str]>) -> Result<i64> {
        let context = Context {
            model: "digits".to_owned(),
            version: held,
            ..Context::default()
        };
        let rows = users.map_or(2, <[&str]>::len) as i64;
        let images = Tensor::from_vec(&[rows, PIXELS], vec![pixel; 784 * rows as usize])?;
        let mut inputs = Tensors::from([(INPUT, images)]);
        if let Some(users) = users {
            inputs = inputs.with("user", Tensor::strings(&[rows], users)?);
        }
        let step = with_settings(&[("CANARY_PERCENT", percent)], || {
            with_versions(models, || {
                Canary::preprocess(&context, Request::Tensors(inputs))
            })
        })?;
        let Step::Answer(answer) = step else {
            panic!("expected an answer");
        };
        let Payload::Tensors(tensors) = answer.payload else {
            panic!("expected tensors");
        };
        let version = answer.version.unwrap();
        let versions = tensors.view_of::<i64>("version", &[rows])?;
        assert!(versions.values().iter().all(|said| *said == version));
        let scores = tensors.view_of::<f32>(OUTPUT, &[rows, CLASSES])?;
        assert!(scores.values().iter().all(|score| *score == version as f32));
        Ok(version)
    }

    #[test]
    fn the_share_says_who_answers() {
        assert_eq!(answered_by(2, "0", 0.5, None).unwrap(), 1);
        assert_eq!(answered_by(2, "100", 0.5, None).unwrap(), 2);
        assert_eq!(answered_by(1, "100", 0.5, None).unwrap(), 1);
        let new = (0..400)
            .filter(|_| answered_by(2, "50", 0.5, None).unwrap() == 2)
            .count();
        assert!((100..300).contains(&new), "{new}");
    }

    #[test]
    fn a_user_stays_on_its_side() {
        let mut new = 0;
        for number in 0..500 {
            let user = format!("user-{number}");
            let side = answered_by(2, "10", 0.5, Some(&[&user])).unwrap();
            for _ in 0..3 {
                let again = answered_by(2, "10", 0.5, Some(&[&user, &user])).unwrap();
                assert_eq!(again, side, "{user}");
            }
            // Whoever is on the new side of a tenth is there at a half too.
            if side == 2 {
                assert_eq!(answered_by(2, "50", 0.5, Some(&[&user])).unwrap(), 2);
                new += 1;
            }
        }
        assert!((30..75).contains(&new), "{new}");
    }

    #[test]
    fn the_stable_version_answers_what_the_other_fails_at() {
        assert_eq!(answered_by(2, "100", -1.0, None).unwrap(), 1);
    }

    #[test]
    fn a_request_has_one_user() {
        let error = answered_by(2, "10", 0.5, Some(&["anna", "ben"])).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert_eq!(
            error.message(),
            "input `user`: a request has rows of one user, found `anna` and `ben`"
        );
    }
}
