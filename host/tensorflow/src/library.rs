//! libtensorflow, opened.

#![expect(unsafe_code, reason = "opens a library and calls it")]

use std::ffi::CStr;
use std::fmt;
use std::path::{Path, PathBuf};

use libloading::os::unix;

use crate::ffi::Api;
use crate::find::{Lookup, NotFound};

/// An open libtensorflow. A copy is the same library; it stays open until the process ends,
/// because TensorFlow starts threads that never do.
#[derive(Clone, Copy)]
pub struct Library {
    opened: &'static Opened,
}

struct Opened {
    path: PathBuf,
    version: String,
    api: Api,
    alignment: usize,
}

/// Why a library could not be opened.
#[derive(Debug)]
pub struct OpenError {
    path: PathBuf,
    expected: String,
    problem: String,
}

impl OpenError {
    pub(crate) fn new(path: &Path, expected: String, problem: String) -> Self {
        Self {
            path: path.to_owned(),
            expected,
            problem,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot use {} as {}: {}",
            self.path.display(),
            self.expected,
            self.problem
        )
    }
}

impl std::error::Error for OpenError {}

impl Library {
    /// Finds the library and opens it.
    ///
    /// # Errors
    /// [`NotFound`] with every place that was tried, or [`OpenError`].
    pub fn find(lookup: &Lookup) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let path = lookup.find().map_err(Box::<NotFound>::new)?;
        Ok(Self::open(&path).map_err(Box::new)?)
    }

    /// Opens the library at `path`: a file that is libtensorflow.
    ///
    /// # Errors
    /// When the system's loader refuses it (its reason is given), or a function is missing.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let fail = |problem: String| OpenError::new(path, "libtensorflow".to_owned(), problem);
        // By its real path: what it needs itself lies beside it, not beside a link to it.
        let real = path
            .canonicalize()
            .map_err(|error| fail(error.to_string()))?;
        // Lazy: of its hundreds of thousands of functions few are ever called.
        let flags = unix::RTLD_LAZY | unix::RTLD_LOCAL;
        // SAFETY: opening a library runs its initialisers. An operator who names a file to be
        // loaded into the process trusts it with the process; there is no smaller trust to give.
        let library = unsafe { unix::Library::open(Some(&real), flags) }
            .map_err(|error| fail(error.to_string()))?
            .into();
        // SAFETY: the declarations are those of the C API, which TensorFlow keeps compatible; the
        // names are its own, so a library that has them all is one. It is never closed.
        let api = unsafe { Api::look_up(&library) }
            .map_err(|name| fail(format!("it has no function {name}")))?;
        std::mem::forget(library);
        // SAFETY: takes nothing and gives a C string that lives as long as the library.
        let version = unsafe { CStr::from_ptr((api.TF_Version)()) };
        // SAFETY: takes nothing.
        let alignment = unsafe { (api.TF_TensorDefaultAlignment)() };
        let opened = Opened {
            path: real,
            version: version.to_string_lossy().into_owned(),
            api,
            alignment: alignment.max(1),
        };
        // Never freed, like the library itself; there is one per process.
        Ok(Self {
            opened: Box::leak(Box::new(opened)),
        })
    }

    /// TensorFlow's version: `2.21.0`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        &self.opened.version
    }

    /// The real path of the file.
    #[must_use]
    pub fn path(&self) -> &'static Path {
        &self.opened.path
    }

    /// What a tensor's memory must be aligned to for TensorFlow to take it as it is.
    #[must_use]
    pub fn alignment(&self) -> usize {
        self.opened.alignment
    }

    pub(crate) fn api(self) -> &'static Api {
        &self.opened.api
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("path", &self.path())
            .field("version", &self.version())
            .finish()
    }
}
