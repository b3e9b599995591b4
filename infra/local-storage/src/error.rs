use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why the local storage cannot go on. Each message names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalStorageError {
    #[error("cannot {operation} {path}: {advice}")]
    File {
        operation: &'static str,
        path: PathBuf,
        advice: &'static str,
        #[source]
        source: io::Error,
    },
    #[error(
        "the data folder {path} is in use by another process; stop that one, or name another data folder"
    )]
    InUse { path: PathBuf },
    #[error(
        "the data folder {path} has storage format {found} and this version reads up to {supported}; \
         start the newer version that wrote it, or name another data folder"
    )]
    NewerFormat {
        path: PathBuf,
        found: u32,
        supported: u32,
    },
    #[error(
        "{path} should hold the number of the storage format and holds {found:?}; \
         restore it from a backup, or name another data folder"
    )]
    UnreadableFormat { path: PathBuf, found: String },
    #[error("cannot {operation} the database {path}: {advice}")]
    Database {
        operation: &'static str,
        path: PathBuf,
        advice: &'static str,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error(
        "cannot start the {thread} thread: close other programs, or raise the limit of threads"
    )]
    Thread {
        thread: &'static str,
        #[source]
        source: io::Error,
    },
    #[error(
        "the {thread} thread has stopped after a fault of its own; its panic message is in the log: restart this process"
    )]
    ThreadStopped { thread: &'static str },
    #[error(
        "the change record {sequence} of table {table} cannot be read; stop, and restore {path} from a backup"
    )]
    ChangeRecord {
        sequence: u64,
        table: String,
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

impl LocalStorageError {
    pub(crate) fn file(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File {
            operation,
            path: path.to_owned(),
            advice: io_advice(&source),
            source,
        }
    }

    pub(crate) fn database(operation: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        Self::Database {
            operation,
            path: path.to_owned(),
            advice: sqlite_advice(&source),
            source: Box::new(source),
        }
    }

    pub(crate) fn engine(
        operation: &'static str,
        path: &Path,
        source: dynoxide::DynoxideError,
    ) -> Self {
        let advice = match &source {
            dynoxide::DynoxideError::SqliteError(source) => sqlite_advice(source),
            _ => {
                "the cause below says why; restore the file from a backup, or name another data folder"
            }
        };
        Self::Database {
            operation,
            path: path.to_owned(),
            advice,
            source: Box::new(source),
        }
    }
}

pub(crate) fn io_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free some space and try again"
        }
        io::ErrorKind::PermissionDenied => {
            "give this user permission to read and write it, or name another data folder"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "the disk is mounted read-only: name a data folder on another one"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "something that is not a folder is in its place: move it away, or name another data folder"
        }
        _ => "check the disk, or name another data folder",
    }
}

pub(crate) fn sqlite_advice(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full: free some space and try again",
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            "give this user permission to read and write the file and its folder, or name another data folder"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program has the file open: close it and try again"
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "the file is damaged: restore it from a backup, or name another data folder"
        }
        _ => "check the disk, or name another data folder",
    }
}
