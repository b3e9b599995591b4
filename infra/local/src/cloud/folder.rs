//! The data folder belongs to one process at a time; who holds it says where it serves.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

/// Where a running local cloud is reached; also served at `/.well-known/stepscope`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    pub url: Url,
    /// Step Functions, DynamoDB and S3 in AWS's own protocols.
    pub aws_endpoint_url: Url,
    pub process: u32,
    /// What `${Name}` in a definition stands for here.
    pub substitutions: BTreeMap<String, String>,
    /// What a workflow runs with when nothing else is given.
    #[serde(default)]
    pub example_inputs: BTreeMap<String, Value>,
}

/// The lock on a data folder; let go when dropped, or when the process ends in any way.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

pub(crate) enum Claim {
    Held(FolderLock),
    /// Another process holds it; `None` while that one is still starting.
    Taken(Option<Box<Endpoints>>),
}

/// Claims the folder, which is made if it is not there.
pub(crate) fn claim(folder: &Path) -> anyhow::Result<Claim> {
    DirBuilder::new()
        .recursive(true)
        // Histories in it are the workflow's own data, unmasked: nobody else's to read.
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the data folder {}", folder.display()))?;
    let path = lock_path(folder);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Claim::Held(FolderLock { file })),
        Err(TryLockError::WouldBlock) => {
            let text = fs::read_to_string(&path).unwrap_or_default();
            Ok(Claim::Taken(serde_json::from_str(&text).ok()))
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Claims the folder for `stepscope dev`, or says who has it and what to do.
pub(crate) fn claim_alone(folder: &Path) -> anyhow::Result<FolderLock> {
    match claim(folder)? {
        Claim::Held(mut lock) => {
            lock.write("")?;
            Ok(lock)
        }
        Claim::Taken(Some(endpoints)) => bail!(
            "{} is in use by the local cloud at {} (process {}): use that one, stop it, or choose \
             another folder with --data",
            folder.display(),
            endpoints.url,
            endpoints.process
        ),
        Claim::Taken(None) => bail!(
            "{} is in use by another stepscope process: wait for it, stop it, or choose another \
             folder with --data",
            folder.display()
        ),
    }
}

impl FolderLock {
    /// Says where this process serves, for those who find the folder taken.
    pub(crate) fn announce(&mut self, endpoints: &Endpoints) -> anyhow::Result<()> {
        self.write(&serde_json::to_string(endpoints)?)
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.flush()?;
        Ok(())
    }
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.join("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_claim_learns_who_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut lock = claim_alone(folder.path()).unwrap();
        let refusal = claim_alone(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("another stepscope process"), "{refusal}");

        let endpoints = Endpoints {
            url: Url::parse("http://127.0.0.1:8787/").unwrap(),
            aws_endpoint_url: Url::parse("http://127.0.0.1:8788/").unwrap(),
            process: 42,
            substitutions: BTreeMap::new(),
            example_inputs: BTreeMap::new(),
        };
        lock.announce(&endpoints).unwrap();
        let Claim::Taken(Some(found)) = claim(folder.path()).unwrap() else {
            panic!("the folder is taken");
        };
        assert_eq!(*found, endpoints);
        let refusal = claim_alone(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("http://127.0.0.1:8787/"), "{refusal}");

        drop(lock);
        assert!(matches!(claim(folder.path()).unwrap(), Claim::Held(_)));
    }
}
