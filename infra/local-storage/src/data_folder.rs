//! The folder that holds everything: its lock and the number of its format.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::LocalStorageError;

/// What this version writes. It rises when an older version could no longer read the files.
pub(crate) const STORAGE_FORMAT: u32 = 1;

/// The open folder. The lock lives as long as this value, and the kernel lets go of it when
/// the process dies.
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    pub(crate) fn open(path: &Path) -> Result<Self, LocalStorageError> {
        fs::create_dir_all(path)
            .map_err(|source| LocalStorageError::file("create the folder", path, source))?;
        let lock_path = path.join("storage.lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|source| LocalStorageError::file("open", &lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LocalStorageError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(LocalStorageError::file("lock", &lock_path, source));
            }
        }
        check_format(&path.join("storage-format"), path)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn check_format(file: &Path, folder: &Path) -> Result<(), LocalStorageError> {
    match fs::read_to_string(file) {
        Ok(text) => {
            let found =
                text.trim()
                    .parse::<u32>()
                    .map_err(|_| LocalStorageError::UnreadableFormat {
                        path: file.to_owned(),
                        found: text.clone(),
                    })?;
            if found > STORAGE_FORMAT {
                return Err(LocalStorageError::NewerFormat {
                    path: folder.to_owned(),
                    found,
                    supported: STORAGE_FORMAT,
                });
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => write_format(file),
        Err(source) => Err(LocalStorageError::file("read", file, source)),
    }
}

/// Written beside and renamed, so that a crash leaves no empty file.
fn write_format(file: &Path) -> Result<(), LocalStorageError> {
    let beside = file.with_extension("new");
    let written = File::create(&beside).and_then(|mut new| {
        writeln!(new, "{STORAGE_FORMAT}")?;
        new.sync_all()?;
        fs::rename(&beside, file)
    });
    written.map_err(|source| LocalStorageError::file("write", file, source))
}
