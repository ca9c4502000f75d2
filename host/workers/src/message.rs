//! What the server asks of a worker, and what it answers.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tensorgate_engine::{Call, NamedTensors, RunRequest};
use tensorgate_types::{
    DType, Deadline, Error, ErrorCode, Result, Signature, Signatures, StringData, Tensor,
    TensorData, TensorInfo,
};

use crate::wire::{Pack, Unpack, malformed};

/// A device that a session has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// `/device:GPU:0`.
    pub name: String,
    /// `CPU`, `GPU`.
    pub kind: String,
    /// Memory that may be used on it.
    pub memory_bytes: u64,
}

/// What is known of a model once it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) signatures: Signatures,
    pub(crate) signature_defs: Vec<(String, Bytes)>,
    pub(crate) devices: Vec<Device>,
}

/// What a worker is asked.
#[derive(Debug)]
pub(crate) enum Request {
    /// First, and once: who are you to be, and how many things will be asked at a time.
    Hello {
        threads: u32,
        settings: Bytes,
    },
    Load {
        model: u64,
        path: PathBuf,
        how: Bytes,
    },
    Unload {
        model: u64,
    },
    Run {
        model: u64,
        request: RunRequest,
    },
}

/// What it answers, unless it is an error.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Loaded(Loaded),
    Outputs(Vec<NamedTensors>),
}

// --- Requests ---

const HELLO: u8 = 1;
const LOAD: u8 = 2;
const UNLOAD: u8 = 3;
const RUN: u8 = 4;

pub(crate) fn hello(number: u64, threads: u32, settings: &[u8]) -> Pack {
    let mut pack = Pack::new(HELLO, number);
    pack.u32(threads);
    pack.bytes(settings);
    pack
}

pub(crate) fn load(number: u64, model: u64, path: &Path, how: &[u8]) -> Pack {
    let mut pack = Pack::new(LOAD, number);
    pack.u64(model);
    pack.bytes(path.as_os_str().as_bytes());
    pack.bytes(how);
    pack
}

pub(crate) fn unload(number: u64, model: u64) -> Pack {
    let mut pack = Pack::new(UNLOAD, number);
    pack.u64(model);
    pack
}

pub(crate) fn run(number: u64, model: u64, request: &RunRequest) -> Pack {
    let mut pack = Pack::new(RUN, number);
    pack.u64(model);
    // What is left, since the two processes need not agree on what time it is.
    let left = request.deadline.remaining();
    let micros = left.map(|left| u64::try_from(left.as_micros()).unwrap_or(u64::MAX - 1));
    pack.u64(micros.unwrap_or(u64::MAX));
    pack.count(request.calls.len());
    for call in &request.calls {
        pack.bytes(call.signature.as_bytes());
        put_tensors(&mut pack, &call.inputs);
        pack.count(call.outputs.len());
        for output in &call.outputs {
            pack.bytes(output.as_bytes());
        }
    }
    pack
}

impl Request {
    /// The request of a frame, with its number.
    pub(crate) fn read(mut frame: Unpack) -> Result<(u64, Self)> {
        let kind = frame.u8()?;
        let number = frame.u64()?;
        let request = match kind {
            HELLO => Self::Hello {
                threads: frame.u32()?,
                settings: frame.bytes()?,
            },
            LOAD => Self::Load {
                model: frame.u64()?,
                path: OsStr::from_bytes(&frame.bytes()?).into(),
                how: frame.bytes()?,
            },
            UNLOAD => Self::Unload {
                model: frame.u64()?,
            },
            RUN => Self::Run {
                model: frame.u64()?,
                request: run_request(&mut frame)?,
            },
            _ => return Err(malformed()),
        };
        frame.end()?;
        Ok((number, request))
    }
}

fn run_request(frame: &mut Unpack) -> Result<RunRequest> {
    let deadline = match frame.u64()? {
        u64::MAX => Deadline::NEVER,
        micros => Deadline::after(Duration::from_micros(micros)),
    };
    let calls = many(frame, |frame| {
        Ok(Call {
            signature: frame.text()?,
            inputs: tensors(frame)?,
            outputs: many(frame, Unpack::text)?,
        })
    })?;
    Ok(RunRequest { calls, deadline })
}

// --- Answers ---

const FAILED: u8 = 0;
const DONE: u8 = 1;
const LOADED: u8 = 2;
const OUTPUTS: u8 = 3;

/// The frame with the answer to the request of this number.
pub(crate) fn answer(number: u64, answer: &Result<Answer>) -> Pack {
    match answer {
        Err(error) => {
            let mut pack = Pack::new(FAILED, number);
            pack.u32(error.code().number());
            pack.bytes(error.message().as_bytes());
            let source = std::error::Error::source(error).map(ToString::to_string);
            pack.bytes(source.unwrap_or_default().as_bytes());
            pack
        }
        Ok(Answer::Done) => Pack::new(DONE, number),
        Ok(Answer::Loaded(loaded)) => {
            let mut pack = Pack::new(LOADED, number);
            put_signatures(&mut pack, &loaded.signatures);
            pack.count(loaded.signature_defs.len());
            for (name, signature) in &loaded.signature_defs {
                pack.bytes(name.as_bytes());
                pack.bytes(signature);
            }
            pack.count(loaded.devices.len());
            for device in &loaded.devices {
                pack.bytes(device.name.as_bytes());
                pack.bytes(device.kind.as_bytes());
                pack.u64(device.memory_bytes);
            }
            pack
        }
        Ok(Answer::Outputs(outputs)) => {
            let mut pack = Pack::new(OUTPUTS, number);
            pack.count(outputs.len());
            for tensors in outputs {
                put_tensors(&mut pack, tensors);
            }
            pack
        }
    }
}

impl Answer {
    /// The answer in a frame, with the number of its request.
    pub(crate) fn read(mut frame: Unpack) -> Result<(u64, Result<Self>)> {
        let kind = frame.u8()?;
        let number = frame.u64()?;
        let answer = match kind {
            FAILED => Err(error(&mut frame)?),
            DONE => Ok(Self::Done),
            LOADED => Ok(Self::Loaded(Loaded {
                signatures: signatures(&mut frame)?,
                signature_defs: many(&mut frame, |frame| Ok((frame.text()?, frame.bytes()?)))?,
                devices: many(&mut frame, |frame| {
                    Ok(Device {
                        name: frame.text()?,
                        kind: frame.text()?,
                        memory_bytes: frame.u64()?,
                    })
                })?,
            })),
            OUTPUTS => Ok(Self::Outputs(many(&mut frame, tensors)?)),
            _ => return Err(malformed()),
        };
        frame.end()?;
        Ok((number, answer))
    }
}

fn error(frame: &mut Unpack) -> Result<Error> {
    let code = ErrorCode::from_number(frame.u32()?).ok_or_else(malformed)?;
    let error = Error::new(code, frame.text()?);
    let source = frame.text()?;
    Ok(if source.is_empty() {
        error
    } else {
        error.with_source(source)
    })
}

// --- Parts of both ---

fn many<T>(frame: &mut Unpack, one: impl Fn(&mut Unpack) -> Result<T>) -> Result<Vec<T>> {
    let count = frame.count()?;
    (0..count).map(|_| one(frame)).collect()
}

fn put_shape(pack: &mut Pack, shape: &[i64]) {
    pack.count(shape.len());
    for size in shape {
        pack.i64(*size);
    }
}

fn put_tensors(pack: &mut Pack, tensors: &NamedTensors) {
    pack.count(tensors.len());
    for (name, tensor) in tensors {
        pack.bytes(name.as_bytes());
        pack.u32(tensor.dtype().number());
        put_shape(pack, tensor.shape());
        match tensor.data() {
            TensorData::Fixed(bytes) => {
                pack.u8(0);
                pack.value(bytes.to_bytes());
            }
            TensorData::Strings(strings) => {
                pack.u8(1);
                let offsets = strings.offsets().iter();
                let offsets: Vec<u8> = offsets.flat_map(|at| at.to_le_bytes()).collect();
                pack.value(offsets.into());
                pack.value(strings.bytes().clone());
            }
        }
    }
}

fn tensors(frame: &mut Unpack) -> Result<NamedTensors> {
    many(frame, |frame| Ok((frame.text()?, tensor(frame)?)))
}

fn tensor(frame: &mut Unpack) -> Result<Tensor> {
    let dtype = DType::from_number(frame.u32()?);
    let shape = many(frame, Unpack::i64)?;
    match frame.u8()? {
        0 => Tensor::fixed(dtype, shape, frame.value()?),
        1 => {
            let offsets = frame.value()?;
            let (offsets, rest) = offsets.as_chunks();
            if !rest.is_empty() {
                return Err(malformed());
            }
            let offsets = offsets.iter().map(|at| u64::from_le_bytes(*at)).collect();
            Tensor::strings(shape, StringData::new(offsets, frame.value()?)?)
        }
        _ => Err(malformed()),
    }
}

fn put_signatures(pack: &mut Pack, signatures: &Signatures) {
    pack.count(signatures.len());
    for (name, signature) in signatures {
        pack.bytes(name.as_bytes());
        pack.bytes(signature.method_name.as_bytes());
        for infos in [&signature.inputs, &signature.outputs] {
            pack.count(infos.len());
            for (name, info) in infos {
                pack.bytes(name.as_bytes());
                pack.bytes(info.tensor_name.as_bytes());
                pack.u32(info.dtype.number());
                pack.u8(u8::from(info.optional));
                pack.u8(u8::from(info.shape.is_some()));
                put_shape(pack, info.shape.as_deref().unwrap_or_default());
            }
        }
    }
}

fn signatures(frame: &mut Unpack) -> Result<Signatures> {
    let infos = |frame: &mut Unpack| {
        many(frame, |frame| {
            let name = frame.text()?;
            let tensor_name = frame.text()?;
            let dtype = DType::from_number(frame.u32()?);
            let optional = frame.u8()? != 0;
            let has_rank = frame.u8()? != 0;
            let shape = many(frame, Unpack::i64)?;
            let info = TensorInfo {
                tensor_name,
                dtype,
                shape: has_rank.then_some(shape),
                optional,
            };
            Ok((name, info))
        })
    };
    let signatures = many(frame, |frame| {
        let name = frame.text()?;
        let signature = Signature {
            method_name: frame.text()?,
            inputs: infos(frame)?.into_iter().collect(),
            outputs: infos(frame)?.into_iter().collect(),
        };
        Ok((name, signature))
    })?;
    Ok(signatures.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use tensorgate_engine::Predictor as _;
    use tensorgate_engine::fake::FakeModel;

    use super::*;

    fn over(pack: Pack) -> Unpack {
        let mut bytes = Vec::new();
        pack.check().unwrap();
        pack.send(&mut bytes).unwrap();
        Unpack::receive(&mut bytes.as_slice()).unwrap().unwrap()
    }

    fn text_of(tensors: &[(String, Tensor)]) -> String {
        format!("{tensors:?}")
    }

    #[test]
    fn a_run_arrives_as_it_was_asked() {
        let numbers = Tensor::from_slice(DType::FLOAT, vec![2, 1], &[1.0f32, 2.0]).unwrap();
        let texts = StringData::from_iter([&b"\xff\x00"[..], b"", b"abc"]);
        let texts = Tensor::strings(vec![3], texts).unwrap();
        let none = Tensor::strings(vec![0], StringData::new(vec![], Bytes::new()).unwrap());
        let call = Call {
            signature: "s".to_owned(),
            inputs: vec![
                ("x".to_owned(), numbers),
                ("t".to_owned(), texts),
                ("n".to_owned(), none.unwrap()),
            ],
            outputs: vec!["y".to_owned()],
        };
        let asked = RunRequest {
            calls: vec![call.clone(), call],
            deadline: Deadline::NEVER,
        };
        let (number, request) = Request::read(over(run(3, 5, &asked))).unwrap();
        let Request::Run { model, request } = request else {
            panic!("{request:?}");
        };
        assert_eq!((number, model, request.deadline), (3, 5, Deadline::NEVER));
        assert_eq!(request.calls.len(), 2);
        for (came, call) in request.calls.iter().zip(&asked.calls) {
            assert_eq!(came.signature, call.signature);
            assert_eq!(came.outputs, call.outputs);
            assert_eq!(text_of(&came.inputs), text_of(&call.inputs));
        }
        let soon = RunRequest {
            deadline: Deadline::after(Duration::from_secs(60)),
            ..asked.clone()
        };
        let (_, request) = Request::read(over(run(3, 5, &soon))).unwrap();
        let Request::Run { request, .. } = request else {
            panic!("{request:?}");
        };
        assert!(request.deadline.remaining().unwrap() <= Duration::from_secs(60));
        let outputs = Ok(Answer::Outputs(vec![asked.calls[0].inputs.clone()]));
        let (number, came) = Answer::read(over(answer(8, &outputs))).unwrap();
        let Ok(Answer::Outputs(came)) = came else {
            panic!("{came:?}");
        };
        assert_eq!(number, 8);
        assert_eq!(text_of(&came[0]), text_of(&asked.calls[0].inputs));
    }

    #[test]
    fn what_is_known_of_a_model_arrives_whole() {
        let model = FakeModel::new();
        let mut signatures = model.signatures().clone();
        let signature = signatures.values_mut().next().unwrap();
        let info = signature.inputs.values_mut().next().unwrap();
        (info.shape, info.optional) = (None, true);
        let loaded = Loaded {
            signatures,
            signature_defs: vec![("s".to_owned(), Bytes::from_static(b"\x01\xff"))],
            devices: vec![Device {
                name: "/device:CPU:0".to_owned(),
                kind: "CPU".to_owned(),
                memory_bytes: 1 << 28,
            }],
        };
        let sent = Ok(Answer::Loaded(loaded.clone()));
        let (_, came) = Answer::read(over(answer(1, &sent))).unwrap();
        let Ok(Answer::Loaded(came)) = came else {
            panic!("{came:?}");
        };
        assert_eq!(came, loaded);
    }

    #[test]
    fn errors_keep_code_message_and_cause() {
        for error in [
            Error::not_found("no model"),
            Error::internal("broken").with_source("why"),
        ] {
            let (_, came) = Answer::read(over(answer(1, &Err(error.clone())))).unwrap();
            let came = came.unwrap_err();
            assert_eq!(came.code(), error.code());
            assert_eq!(came.message(), error.message());
            let cause = |error: &Error| std::error::Error::source(error).map(ToString::to_string);
            assert_eq!(cause(&came), cause(&error));
        }
    }

    #[test]
    fn what_is_none_of_these_is_refused() {
        assert!(Request::read(over(Pack::new(99, 1))).is_err());
        assert!(Answer::read(over(Pack::new(99, 1))).is_err());
        let mut more = unload(1, 1);
        more.u8(0);
        assert!(Request::read(over(more)).is_err());
        let (number, request) = Request::read(over(load(4, 5, Path::new("/m/1"), b"h"))).unwrap();
        assert_eq!(number, 4);
        let Request::Load { model, path, how } = request else {
            panic!("{request:?}");
        };
        assert_eq!(
            (model, path, &how[..]),
            (5, PathBuf::from("/m/1"), &b"h"[..])
        );
    }
}
