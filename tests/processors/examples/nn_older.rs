//! A processor that runs models with the crate `wasi-nn` of crates.io alone, which speaks the
//! older form of the standard: no names of inputs and outputs, but numbers. The body says what to
//! do and with which model.

use tensorgate_test_processors::{
    Answer, Context, Description, Error, Guest, NamedTensor, Payload, Step, Subject, body,
    description, export, invalid,
};
use wasi_nn::{
    Error as NnError, ExecutionTarget, Graph, GraphBuilder, GraphEncoding, GraphExecutionContext,
    TensorType,
};

struct Older;

export!(Older);

impl Guest for Older {
    fn describe(subject: Subject) -> Result<Vec<Description>, Error> {
        let signatures = subject.signatures.iter();
        Ok(signatures
            .map(|named| Description {
                content_types: vec!["text/plain".to_owned()],
                ..description(&named.name)
            })
            .collect())
    }

    fn preprocess(_context: Context, request: Payload) -> Result<Step, Error> {
        let Payload::Body(request) = request else {
            return Err(invalid("this one takes bodies"));
        };
        let told = String::from_utf8_lossy(&request.bytes).into_owned();
        let (what, name) = told.split_once(' ').unwrap_or((&told, ""));
        let said = act(what, name).unwrap_or_else(|error| error.to_string());
        Ok(Step::Answer(body("text/plain", said)))
    }

    fn postprocess(_context: Context, _outputs: Vec<NamedTensor>) -> Result<Answer, Error> {
        Err(invalid("nothing was run on the usual way"))
    }
}

fn act(what: &str, name: &str) -> Result<String, NnError> {
    match what {
        "compute" => {
            let graph = open(name)?;
            let mut context = graph.init_execution_context()?;
            context.set_input(0, TensorType::F32, &[2], [7f32, 7.0])?;
            // The last one counts.
            context.set_input(0, TensorType::F32, &[2], [1f32, 2.5])?;
            first(&mut context, 2)
        }
        // Contexts do not know of each other, and each may compute more than once.
        "contexts" => {
            let graph = open(name)?;
            let mut one = graph.init_execution_context()?;
            let mut other = graph.init_execution_context()?;
            one.set_input(0, TensorType::F32, &[1], [1f32])?;
            other.set_input(0, TensorType::F32, &[1], [2f32])?;
            let mut said = vec![first(&mut one, 1)?, first(&mut other, 1)?];
            one.set_input(0, TensorType::F32, &[1], [4f32])?;
            said.push(first(&mut one, 1)?);
            Ok(said.join(", "))
        }
        "integers" => {
            let graph = open(name)?;
            let mut context = graph.init_execution_context()?;
            context.set_input(0, TensorType::I32, &[1], [1i32])?;
            first(&mut context, 1)
        }
        "far-input" => {
            let graph = open(name)?;
            let mut context = graph.init_execution_context()?;
            context.set_input(64, TensorType::F32, &[1], [1f32])?;
            Ok("set".to_owned())
        }
        "no-input" => {
            let graph = open(name)?;
            let mut context = graph.init_execution_context()?;
            first(&mut context, 1)
        }
        "two-inputs" => {
            let graph = open(name)?;
            let mut context = graph.init_execution_context()?;
            context.set_input(0, TensorType::F32, &[1], [1f32])?;
            context.set_input(1, TensorType::F32, &[1], [1f32])?;
            first(&mut context, 1)
        }
        "far-output" => {
            let graph = open(name)?;
            let mut context = graph.init_execution_context()?;
            context.set_input(0, TensorType::F32, &[1], [1f32])?;
            context.compute()?;
            context.get_output(1, &mut [0f32])?;
            Ok("got".to_owned())
        }
        "small-room" => {
            let graph = open(name)?;
            let mut context = graph.init_execution_context()?;
            context.set_input(0, TensorType::F32, &[2], [1f32, 2.0])?;
            first(&mut context, 1)
        }
        "load" => {
            let graph = GraphBuilder::new(GraphEncoding::Tensorflow, ExecutionTarget::CPU);
            let graph = graph.build_from_bytes([[1, 2, 3]])?;
            Ok(format!("{graph:?}"))
        }
        _ => Ok("fine".to_owned()),
    }
}

fn open(name: &str) -> Result<Graph, NnError> {
    GraphBuilder::new(GraphEncoding::Tensorflow, ExecutionTarget::CPU).build_from_cache(name)
}

/// Computes, and tells the first output, of so many floats.
fn first(context: &mut GraphExecutionContext<'_>, floats: usize) -> Result<String, NnError> {
    context.compute()?;
    let mut output = vec![0f32; floats];
    let bytes = context.get_output(0, &mut output)?;
    Ok(format!("{bytes} bytes {output:?}"))
}
