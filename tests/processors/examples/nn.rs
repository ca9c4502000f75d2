//! A processor that answers by `wasi:nn` alone, and does what the body says with it: good things,
//! and bad ones. The first word is what to do, the second the name of a model, the others are
//! numbers.
//!
//! What the standard refuses is its answer too: code and words, with status 200, so that a test
//! sees what the component saw.

use bindings::wasi::nn::errors::Error as NnError;
use bindings::wasi::nn::graph::{ExecutionTarget, Graph, GraphEncoding, load, load_by_name};
use bindings::wasi::nn::tensor::{Tensor, TensorType};
use tensorgate_test_processors::{
    Answer, Context, Description, Error, Guest, NamedTensor, Payload, Step, Subject, body,
    description, export, invalid,
};

/// The standard, as a component sees it.
mod bindings {
    wit_bindgen::generate!({
        world: "ml",
        path: "../../guest/wasi-nn",
        generate_all,
    });
}

struct Standard;

export!(Standard);

type Outputs = Vec<(String, Tensor)>;

impl Guest for Standard {
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
        let mut words = told.split(' ');
        let (what, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let numbers: Vec<f32> = words.filter_map(|word| word.parse().ok()).collect();
        let said = match act(what, name, &numbers) {
            Ok(said) => said,
            Err(error) => format!("{:?}: {}", error.code(), error.data()),
        };
        Ok(Step::Answer(body("text/plain", said)))
    }

    fn postprocess(_context: Context, _outputs: Vec<NamedTensor>) -> Result<Answer, Error> {
        Err(invalid("nothing was run on the usual way"))
    }
}

fn act(what: &str, name: &str, numbers: &[f32]) -> Result<String, NnError> {
    let count = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    let x = |tensor: Tensor| vec![("x".to_owned(), tensor)];
    match what {
        "load" => {
            let bytes = vec![vec![1, 2, 3]];
            let graph = load(&bytes, GraphEncoding::Tensorflow, ExecutionTarget::Cpu)?;
            Ok(format!("{graph:?}"))
        }
        "row" => compute(name, x(fp32(&[1, count], numbers))).map(|outputs| tell(&outputs)),
        "compute" => compute(name, x(fp32(&[count], numbers))).map(|outputs| tell(&outputs)),
        "scalar" => compute(name, x(fp32(&[], numbers))).map(|outputs| tell(&outputs)),
        "integers" => {
            let bytes: Vec<u8> = numbers
                .iter()
                .flat_map(|x| (*x as i32).to_le_bytes())
                .collect();
            let tensor = Tensor::new(&[count], TensorType::I32, &bytes);
            compute(name, x(tensor)).map(|outputs| tell(&outputs))
        }
        "short" => {
            let tensor = Tensor::new(&[2], TensorType::Fp32, &[0; 7]);
            assert_eq!((tensor.dimensions(), tensor.data()), (vec![2], vec![0; 7]));
            compute(name, x(tensor)).map(|outputs| tell(&outputs))
        }
        "huge" => {
            let tensor = Tensor::new(&[u32::MAX; 3], TensorType::Fp32, &[]);
            compute(name, x(tensor)).map(|outputs| tell(&outputs))
        }
        "deep" => {
            let tensor = Tensor::new(&[1; 300], TensorType::U8, &[0]);
            compute(name, x(tensor)).map(|outputs| tell(&outputs))
        }
        "numbered" => {
            let inputs = vec![("0".to_owned(), fp32(&[count], numbers))];
            compute(name, inputs).map(|outputs| tell(&outputs))
        }
        "none" => compute(name, vec![]).map(|outputs| tell(&outputs)),
        "unknown" => {
            let inputs = vec![("nobody".to_owned(), fp32(&[count], numbers))];
            compute(name, inputs).map(|outputs| tell(&outputs))
        }
        "twice" => {
            let one = || fp32(&[count], numbers);
            let inputs = vec![("x".to_owned(), one()), ("x".to_owned(), one())];
            compute(name, inputs).map(|outputs| tell(&outputs))
        }
        // What comes out goes in again, without being looked at.
        "chain" => {
            let mut outputs = compute(name, x(fp32(&[count], numbers)))?;
            let (_, tensor) = outputs.remove(0);
            compute(name, x(tensor)).map(|outputs| tell(&outputs))
        }
        // A context outlives its graph.
        "dropped" => {
            let context = {
                let graph = load_by_name(name)?;
                drop(graph.init_execution_context()?);
                graph.init_execution_context()?
            };
            let outputs = context.compute(x(fp32(&[count], numbers)))?;
            let again = context.compute(x(fp32(&[count], numbers)))?;
            drop(context);
            Ok(format!("{}, {}", tell(&outputs), tell(&again)))
        }
        _ => hold(what, name, numbers),
    }
}

/// What takes a lot of the host.
fn hold(what: &str, name: &str, numbers: &[f32]) -> Result<String, NnError> {
    match what {
        "graphs" => {
            let graphs = (0..20).map(|_| load_by_name(name));
            let graphs: Vec<Graph> = graphs.collect::<Result<_, _>>()?;
            Ok(format!("{} graphs", graphs.len()))
        }
        "contexts" => {
            let graph = load_by_name(name)?;
            let contexts = (0..300).map(|_| graph.init_execution_context());
            let contexts: Vec<_> = contexts.collect::<Result<_, _>>()?;
            Ok(format!("{} contexts", contexts.len()))
        }
        // Each is dropped before the next one.
        "over-and-over" => {
            let data = vec![0; 1 << 20];
            for _ in 0..300 {
                let context = load_by_name(name)?.init_execution_context()?;
                drop(Tensor::new(&[1 << 20], TensorType::U8, &data));
                context.compute(vec![("x".to_owned(), fp32(&[1], &[1.0]))])?;
                drop(load_by_name("@").expect_err("no name"));
            }
            Ok("done".to_owned())
        }
        // What is computed is as large as what went in, and both are more than there is.
        "outputs" => {
            let mut kept = Vec::new();
            loop {
                let one = vec![("x".to_owned(), fp32(&[1 << 20], &vec![1.0; 1 << 20]))];
                kept.push(compute(name, one)?);
            }
        }
        "tensors" => {
            let tensors: Vec<Tensor> = (0..300).map(|_| fp32(&[], numbers)).collect();
            Ok(format!("{} tensors", tensors.len()))
        }
        "memory" => {
            let data = vec![0; 1 << 20];
            let shape = [1 << 20];
            let tensors = (0..64).map(|_| Tensor::new(&shape, TensorType::U8, &data));
            Ok(format!("{} tensors", tensors.collect::<Vec<_>>().len()))
        }
        _ => Ok("fine".to_owned()),
    }
}

fn compute(name: &str, inputs: Outputs) -> Result<Outputs, NnError> {
    load_by_name(name)?
        .init_execution_context()?
        .compute(inputs)
}

fn fp32(dimensions: &[u32], numbers: &[f32]) -> Tensor {
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    Tensor::new(dimensions, TensorType::Fp32, &bytes)
}

/// Name, type, shape and elements of each.
fn tell(outputs: &Outputs) -> String {
    let one = |(name, tensor): &(String, Tensor)| {
        let (ty, data) = (tensor.ty(), tensor.data());
        let numbers: Vec<f32> = match ty {
            TensorType::Fp32 => {
                let chunks = data.as_chunks().0.iter();
                chunks.map(|bytes| f32::from_le_bytes(*bytes)).collect()
            }
            TensorType::I32 => {
                let chunks = data.as_chunks().0.iter();
                chunks
                    .map(|bytes| i32::from_le_bytes(*bytes) as f32)
                    .collect()
            }
            _ => Vec::new(),
        };
        format!("{name} {ty:?} {:?} {numbers:?}", tensor.dimensions())
    };
    outputs.iter().map(one).collect::<Vec<_>>().join("; ")
}
