//! A session: made from a SavedModel, run, closed.
//!
//! The C API's calls and nothing above them: places in the graph and tensors of TensorFlow's, no
//! names. [`crate::SavedModel`] has those.
//!
//! **Ordering:** the session goes before the graph that it was made from.

#![expect(unsafe_code, reason = "calls TensorFlow")]

use std::ffi::{CString, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tensorgate_types::{Error, Result};

use crate::devices::{self, Device};
use crate::feed::Feeds;
use crate::fetch::Fetched;
use crate::ffi::{Api, TF_Buffer, TF_Graph, TF_Output, TF_Session, TF_SessionOptions, TF_Tensor};
use crate::run_options::RunOptions;
use crate::status::Status;
use crate::trace::Tracer;

/// A session and the graph that it was made from.
pub(crate) struct Session {
    api: &'static Api,
    graph: *mut TF_Graph,
    /// Null until it is loaded.
    session: *mut TF_Session,
}

impl Session {
    pub(crate) fn new(api: &'static Api) -> Self {
        // SAFETY: takes nothing; deleted in `drop`.
        let graph = unsafe { (api.TF_NewGraph)() };
        Self {
            api,
            graph,
            session: std::ptr::null_mut(),
        }
    }

    /// Loads and initialises; gives the serialized `MetaGraphDef`.
    pub(crate) fn load(&mut self, dir: &Path, tags: &[String], config: &[u8]) -> Result<Buffer> {
        let c_string = |bytes: &[u8]| {
            CString::new(bytes).map_err(|_| {
                let text = String::from_utf8_lossy(bytes).into_owned();
                Error::invalid_argument(format!("{text:?} has a zero byte in it"))
            })
        };
        let dir = c_string(dir.as_os_str().as_bytes())?;
        let tags = tags
            .iter()
            .map(|tag| c_string(tag.as_bytes()))
            .collect::<Result<Vec<_>>>()?;
        let tags: Vec<_> = tags.iter().map(|tag| tag.as_ptr()).collect();
        let mut status = Status::new(self.api);
        let options = SessionOptions::new(self.api, config, &mut status)?;
        let meta_graph = Buffer::new(self.api);
        // SAFETY: every pointer is valid for the call: options, directory, tags (as many as are
        // said), the empty graph, the empty buffer, the status. There are no run options.
        self.session = unsafe {
            (self.api.TF_LoadSessionFromSavedModel)(
                options.raw,
                std::ptr::null(),
                dir.as_ptr(),
                tags.as_ptr(),
                count(tags.len()),
                self.graph,
                meta_graph.raw,
                status.as_ptr(),
            )
        };
        status.check()?;
        Ok(meta_graph)
    }

    /// What it can compute on.
    pub(crate) fn devices(&self) -> Result<Vec<Device>> {
        // SAFETY: the session was loaded, or there would be no model to ask; it lives for the call.
        unsafe { devices::of_session(self.api, self.session) }
    }

    /// Output `index` of `operation` in the graph.
    pub(crate) fn find(&self, operation: &str, index: i32) -> Option<TF_Output> {
        let name = CString::new(operation).ok()?;
        // SAFETY: the graph lives until `drop`, the name for the call.
        let oper = unsafe { (self.api.TF_GraphOperationByName)(self.graph, name.as_ptr()) };
        if oper.is_null() {
            return None;
        }
        // SAFETY: the operation belongs to the graph and lives as long.
        let outputs = unsafe { (self.api.TF_OperationNumOutputs)(oper) };
        (0..outputs)
            .contains(&index)
            .then_some(TF_Output { oper, index })
    }

    pub(crate) fn run(
        &self,
        options: Option<&RunOptions>,
        traced: Option<&Tracer>,
        inputs: &[TF_Output],
        feeds: &Feeds,
        outputs: &[TF_Output],
    ) -> Result<impl Iterator<Item = Fetched> + use<>> {
        let options = options.map(RunOptions::as_slice);
        let mut fetched: Vec<*mut TF_Tensor> = vec![std::ptr::null_mut(); outputs.len()];
        let mut status = Status::new(self.api);
        let metadata = traced.map(|tracer| (tracer, Buffer::new(self.api)));
        let into = metadata.as_ref().map(|(_, buffer)| buffer);
        self.call(
            options,
            inputs,
            feeds,
            outputs,
            &mut fetched,
            into,
            &mut status,
        );
        if let Some((tracer, buffer)) = metadata {
            tracer.add(buffer.as_slice());
        }
        let api = self.api;
        // SAFETY: slots that are not null were filled with tensors that are ours to delete. Owned
        // before the status is looked at, so that none is lost to an error.
        let own = move |raw: *mut TF_Tensor| unsafe { Fetched::own(api, raw) };
        let fetched: Vec<Fetched> = fetched
            .into_iter()
            .filter(|raw| !raw.is_null())
            .map(own)
            .collect();
        status.check()?;
        if fetched.len() == outputs.len() {
            Ok(fetched.into_iter())
        } else {
            Err(Error::internal("TensorFlow left an output out"))
        }
    }
}

impl Session {
    /// The call itself. What it gives, in `fetched` and `status`, is the caller's to look after.
    #[expect(
        clippy::too_many_arguments,
        reason = "these are the arguments of the C function"
    )]
    pub(crate) fn call(
        &self,
        options: Option<&[u8]>,
        inputs: &[TF_Output],
        feeds: &Feeds,
        outputs: &[TF_Output],
        fetched: &mut [*mut TF_Tensor],
        metadata: Option<&Buffer>,
        status: &mut Status,
    ) {
        assert_eq!(inputs.len(), feeds.len(), "each place is fed once");
        assert_eq!(outputs.len(), fetched.len(), "each output has its slot");
        let options = options.map(|bytes| TF_Buffer {
            data: bytes.as_ptr().cast(),
            length: bytes.len(),
            data_deallocator: None,
        });
        // SAFETY: the session was loaded, or there would be no model to run. Places are of its
        // graph, with as many values or slots as there are places. Options, values and status
        // live for the call, and so does the empty buffer for metadata, if they are wanted. There
        // are no targets.
        unsafe {
            (self.api.TF_SessionRun)(
                self.session,
                options.as_ref().map_or(std::ptr::null(), |options| options),
                inputs.as_ptr(),
                feeds.as_ptr(),
                count(feeds.len()),
                outputs.as_ptr(),
                fetched.as_mut_ptr(),
                count(outputs.len()),
                std::ptr::null(),
                0,
                metadata.map_or(std::ptr::null_mut(), |buffer| buffer.raw),
                status.as_ptr(),
            );
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut status = Status::new(self.api);
        if !self.session.is_null() {
            // SAFETY: from the loader; no run is under way, as each borrows the model. What the
            // status says is of no use: there is nothing else that could be done.
            unsafe {
                (self.api.TF_CloseSession)(self.session, status.as_ptr());
                (self.api.TF_DeleteSession)(self.session, status.as_ptr());
            }
        }
        // SAFETY: from `TF_NewGraph`, deleted once, after its session.
        unsafe { (self.api.TF_DeleteGraph)(self.graph) }
    }
}

fn count(len: usize) -> c_int {
    // Tags, inputs and outputs of a model: far from the limit.
    c_int::try_from(len).unwrap_or(c_int::MAX)
}

/// How a session is made.
struct SessionOptions {
    api: &'static Api,
    raw: *mut TF_SessionOptions,
}

impl SessionOptions {
    fn new(api: &'static Api, config: &[u8], status: &mut Status) -> Result<Self> {
        // SAFETY: takes nothing; deleted in `drop`.
        let raw = unsafe { (api.TF_NewSessionOptions)() };
        let options = Self { api, raw };
        if !config.is_empty() {
            // SAFETY: the options live until `drop`, the bytes are valid for their length.
            unsafe {
                (api.TF_SetConfig)(raw, config.as_ptr().cast(), config.len(), status.as_ptr());
            }
            status.check()?;
        }
        Ok(options)
    }
}

impl Drop for SessionOptions {
    fn drop(&mut self) {
        // SAFETY: from `TF_NewSessionOptions`, deleted once.
        unsafe { (self.api.TF_DeleteSessionOptions)(self.raw) }
    }
}

/// A buffer that TensorFlow fills.
pub(crate) struct Buffer {
    api: &'static Api,
    raw: *mut TF_Buffer,
}

impl Buffer {
    fn new(api: &'static Api) -> Self {
        // SAFETY: takes nothing; deleted in `drop`.
        let raw = unsafe { (api.TF_NewBuffer)() };
        Self { api, raw }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: a buffer lives until `drop`; its fields are public.
        let TF_Buffer { data, length, .. } = unsafe { &*self.raw };
        if data.is_null() {
            return &[];
        }
        // SAFETY: `length` bytes that live as long as the buffer, which nobody changes any more.
        unsafe { std::slice::from_raw_parts(data.cast(), *length) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: from `TF_NewBuffer`, deleted once, with its data.
        unsafe { (self.api.TF_DeleteBuffer)(self.raw) }
    }
}
