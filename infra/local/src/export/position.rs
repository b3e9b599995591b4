//! How far an export has come, in a file that outlives it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use export_spans::Exported;
use serde::{Deserialize, Serialize};
use trace_model::{TenantId, Timestamp};

/// What is exported: two of the same order go on where one left off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub tenant: TenantId,
    pub table: String,
    pub to: String,
    /// As it was given: `24h` means the same order at any time.
    pub since: String,
    pub until: Option<String>,
}

/// Runs are taken newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Inclusive.
    pub since: Timestamp,
    /// Exclusive: all that started later is exported.
    pub before: Timestamp,
    pub runs: u64,
    pub spans: u64,
    pub dropped: u64,
}

/// Written after each run, and gone when all is exported.
pub(crate) struct PositionFile {
    path: PathBuf,
    order: Order,
}

#[derive(Deserialize, Serialize)]
struct Stored {
    order: Order,
    position: Position,
}

impl Position {
    pub(crate) const fn new(since: Timestamp, before: Timestamp) -> Self {
        Self {
            since,
            before,
            runs: 0,
            spans: 0,
            dropped: 0,
        }
    }

    /// Counts a run. Another may have started in the same nanosecond: it is still to come, and
    /// this one comes again if the export breaks off between them.
    pub(crate) fn pass(&mut self, started_at: Timestamp, exported: &Exported) {
        self.before = started_at.plus(Duration::from_nanos(1)).min(self.before);
        self.runs += 1;
        self.spans += exported.spans;
        self.dropped += exported.dropped;
    }
}

impl PositionFile {
    pub(crate) fn new(path: PathBuf, order: Order) -> Self {
        Self { path, order }
    }

    /// `None` when there is no file yet.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Position>> {
        let path = self.path.display();
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
        };
        let stored: Stored = serde_json::from_str(&text)
            .with_context(|| format!("{path} holds no export's position: name another file"))?;
        if stored.order != self.order {
            bail!(
                "{path} is the position of another export (of {} since {} to {}): repeat that one, \
                 or name another file",
                stored.order.tenant,
                stored.order.since,
                stored.order.to
            );
        }
        Ok(Some(stored.position))
    }

    /// Whole or not at all.
    pub(crate) fn write(&self, position: Position) -> anyhow::Result<()> {
        let stored = Stored {
            order: self.order.clone(),
            position,
        };
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let written = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(serde_json::to_string_pretty(&stored)?.as_bytes())?;
            file.persist(&self.path)?;
            Ok(())
        };
        written().with_context(|| format!("cannot write {}", self.path.display()))
    }

    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(to: &str) -> Order {
        Order {
            tenant: TenantId::parse("acme").unwrap(),
            table: "stepscope".to_owned(),
            to: to.to_owned(),
            since: "24h".to_owned(),
            until: None,
        }
    }

    #[test]
    fn a_position_is_found_again_by_the_same_order_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("position.json");
        let file = PositionFile::new(path.clone(), order("http://one"));
        assert_eq!(file.read().unwrap(), None);
        let at = Timestamp::from_unix_nanos;
        let mut position = Position::new(at(10), at(90));
        let exported = Exported {
            spans: 7,
            dropped: 1,
        };
        position.pass(at(70), &exported);
        position.pass(at(70), &exported);
        file.write(position).unwrap();
        let found = file.read().unwrap().unwrap();
        assert_eq!(found, position);
        assert_eq!((found.before, found.runs), (at(71), 2));
        assert_eq!((found.spans, found.dropped), (14, 2));

        let other = PositionFile::new(path.clone(), order("http://two"));
        let refusal = other.read().unwrap_err().to_string();
        assert!(refusal.contains("http://one"), "{refusal}");
        fs::write(&path, "{}").unwrap();
        let refusal = file.read().unwrap_err().to_string();
        assert!(refusal.contains("position.json"), "{refusal}");
        file.remove().unwrap();
        file.remove().unwrap();
        assert!(!path.exists());
    }
}
