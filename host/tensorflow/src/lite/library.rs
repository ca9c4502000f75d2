//! libLiteRt, opened.

#![expect(unsafe_code, reason = "opens a library and calls it")]

use std::ffi::c_int;
use std::fmt;
use std::path::{Path, PathBuf};

use libloading::os::unix;

use super::ffi::{
    ACCELERATORS, Api, CPU, INTEGER, LOG_SEVERITY, LiteRtAny, LiteRtEnvOption, LiteRtEnvironment,
    LiteRtStatus, NEW_IN_2_2, WARNING,
};
use crate::find::{Lookup, NotFound};

/// An open libLiteRt. A copy is the same library; it stays open until the process ends.
#[derive(Clone, Copy)]
pub struct LiteLibrary {
    opened: &'static Opened,
}

struct Opened {
    path: PathBuf,
    api: Api,
    environment: *mut LiteRtEnvironment,
}

// SAFETY: the pointer is to LiteRT's environment, which is made once, before the library is
// shared, and is only read from then on: models and buffers are made in it.
unsafe impl Send for Opened {}
// SAFETY: as above.
unsafe impl Sync for Opened {}

/// Why libLiteRt could not be opened.
#[derive(Debug)]
pub struct LiteOpenError {
    path: PathBuf,
    problem: String,
}

impl fmt::Display for LiteOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, problem) = (self.path.display(), &self.problem);
        write!(f, "cannot use {path} as libLiteRt: {problem}")
    }
}

impl std::error::Error for LiteOpenError {}

impl LiteLibrary {
    /// Finds the library and opens it.
    ///
    /// # Errors
    /// [`NotFound`] with every place that was tried, or [`LiteOpenError`].
    pub fn find(lookup: &Lookup) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let path = lookup.find().map_err(Box::<NotFound>::new)?;
        Ok(Self::open(&path).map_err(Box::new)?)
    }

    /// Opens the library at `path`: a file that is libLiteRt of LiteRT 2.2 or later.
    ///
    /// # Errors
    /// When the system's loader refuses it (its reason is given), or a function is missing.
    pub fn open(path: &Path) -> Result<Self, LiteOpenError> {
        let fail = |problem: String| LiteOpenError {
            path: path.to_owned(),
            problem,
        };
        let real = path
            .canonicalize()
            .map_err(|error| fail(error.to_string()))?;
        let flags = unix::RTLD_LAZY | unix::RTLD_LOCAL;
        // SAFETY: opening a library runs its initialisers. An operator who names a file to be
        // loaded into the process trusts it with the process; there is no smaller trust to give.
        let library = unsafe { unix::Library::open(Some(&real), flags) }
            .map_err(|error| fail(error.to_string()))?
            .into();
        // Never closed, also when it is refused: it may have destructors that are run at the end of
        // a thread, and they would be gone by then.
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        // SAFETY: of the functions, none is called before it is known below that the library is
        // of LiteRT 2.2 or later, whose functions are as declared. It is never closed.
        let api = unsafe { Api::look_up(library) }
            .map_err(|name| fail(format!("it has no function {name}")))?;
        // SAFETY: whatever has this name, it is not called.
        let mark = unsafe { library.get::<*const ()>(NEW_IN_2_2.as_bytes()) };
        if mark.is_err() {
            let older = "it is of a LiteRT before 2.2, whose functions take other arguments";
            return Err(fail(older.to_owned()));
        }
        // What LiteRT says of its own doings, and its search for accelerators that we never use,
        // are of no use to who reads the log.
        let settings =
            [(LOG_SEVERITY, WARNING), (ACCELERATORS, i64::from(CPU))].map(|(tag, integer)| {
                LiteRtEnvOption {
                    tag,
                    value: LiteRtAny {
                        kind: INTEGER,
                        integer,
                    },
                }
            });
        let environment = make_environment(&api, &settings)
            // Settings are not worth a refusal.
            .or_else(|_status| make_environment(&api, &[]))
            .map_err(|status| fail(format!("it makes no environment (status {status})")))?;
        let opened = Opened {
            path: real,
            api,
            environment,
        };
        // Never freed, like the library itself; there is one per process.
        Ok(Self {
            opened: Box::leak(Box::new(opened)),
        })
    }

    /// The real path of the file.
    #[must_use]
    pub fn path(&self) -> &'static Path {
        &self.opened.path
    }

    pub(crate) fn api(self) -> &'static Api {
        &self.opened.api
    }

    pub(crate) fn environment(self) -> *mut LiteRtEnvironment {
        self.opened.environment
    }
}

/// An environment, which is never destroyed.
fn make_environment(
    api: &Api,
    settings: &[LiteRtEnvOption],
) -> Result<*mut LiteRtEnvironment, LiteRtStatus> {
    let mut environment = std::ptr::null_mut();
    let count = c_int::try_from(settings.len()).unwrap_or(0);
    // SAFETY: as many settings as are said, valid for the call, each an integer where LiteRT
    // wants one; a place for the environment.
    let status =
        unsafe { (api.LiteRtCreateEnvironment)(count, settings.as_ptr(), &raw mut environment) };
    if status != 0 || environment.is_null() {
        return Err(status);
    }
    Ok(environment)
}

impl fmt::Debug for LiteLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiteLibrary")
            .field("path", &self.path())
            .finish()
    }
}
