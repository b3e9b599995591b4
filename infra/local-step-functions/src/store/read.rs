//! Reading, on connections of its own: the log lets it go on beside the writer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;
use trace_model::Timestamp;

use super::rows::{Execution, Frames, Machine, Revision, RowId, Standing};
use crate::Error;
use crate::history::{EventType, HistoryEvent};
use crate::interpreter::{Frame, FrameId};

/// Rows to skip and to answer with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) limit: usize,
    /// Rows on from this id, which is not among them; `None` starts at the first.
    pub(crate) after: Option<i64>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ExecutionFilter {
    pub(crate) machine: String,
    pub(crate) status: Option<String>,
    pub(crate) redrive: Option<RedriveFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedriveFilter {
    Redriven,
    NotRedriven,
}

/// A running execution as it was stored.
#[derive(Debug)]
pub(crate) struct StoredRun {
    pub(crate) execution: Execution,
    pub(crate) revision: Revision,
    pub(crate) frames: BTreeMap<FrameId, Box<Frame>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

const EXECUTION: &str =
    "SELECT id, arn, name, machine, revision, status, input, output, error, cause,
    started, stopped, last_event_id, next_frame_id, redrive_count, redriven, keeps_frames,
    EXISTS (SELECT 1 FROM machines m WHERE m.name = executions.machine) FROM executions";
const MACHINE: &str =
    "SELECT m.name, m.created, m.tags, r.id, r.revision_id, r.machine, r.definition,
    r.role_arn, r.settings, r.created FROM machines m JOIN revisions r ON r.id = m.revision";
const REVISION: &str = "SELECT id, revision_id, machine, definition, role_arn, settings, created
    FROM revisions WHERE id = ?1";

impl Reader {
    pub(super) fn new(path: PathBuf) -> Self {
        let idle = Mutex::new(Vec::new());
        Self {
            shared: Arc::new(Shared { path, idle }),
        }
    }

    /// Runs a query on a thread where it may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Reading) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.run(query))
            .await
            .map_err(Error::Thread)?
    }

    pub(crate) fn run_blocking<T>(
        &self,
        query: impl FnOnce(&Reading) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.shared.run(query)
    }
}

impl Shared {
    fn run<T>(&self, query: impl FnOnce(&Reading) -> Result<T, Error>) -> Result<T, Error> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let connection = match taken {
            Some(connection) => connection,
            None => super::connect(&self.path)?,
        };
        let reading = Reading { connection };
        let answer = query(&reading);
        idle().push(reading.connection);
        answer
    }
}

/// One connection, borrowed for one query.
#[derive(Debug)]
pub(crate) struct Reading {
    connection: Connection,
}

impl Reading {
    pub(crate) fn machine(&self, name: &str) -> Result<Option<Machine>, Error> {
        self.one(&format!("{MACHINE} WHERE m.name = ?1"), name, machine_row)
    }

    /// By name, on from the one given.
    pub(crate) fn machines(&self, after: &str, limit: usize) -> Result<Vec<Machine>, Error> {
        let sql = format!("{MACHINE} WHERE m.name > ?1 ORDER BY m.name LIMIT ?2");
        self.many(&sql, params![after, limit], machine_row)
    }

    pub(crate) fn revision(&self, id: RowId) -> Result<Option<Revision>, Error> {
        self.one(REVISION, id, |row| revision_row(row, 0))
    }

    pub(crate) fn execution(&self, arn: &str) -> Result<Option<Execution>, Error> {
        self.one(&format!("{EXECUTION} WHERE arn = ?1"), arn, execution_row)
    }

    /// Newest first.
    pub(crate) fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page,
    ) -> Result<Vec<Execution>, Error> {
        let sql = format!(
            "{EXECUTION} WHERE machine = ?1 AND (?2 IS NULL OR status = ?2) AND id < ?3
             AND redrive_count BETWEEN ?5 AND ?6 ORDER BY id DESC LIMIT ?4"
        );
        let (fewest, most) = match filter.redrive {
            None => (0, u32::MAX),
            Some(RedriveFilter::Redriven) => (1, u32::MAX),
            Some(RedriveFilter::NotRedriven) => (0, 0),
        };
        let before = page.after.unwrap_or(i64::MAX);
        self.many(
            &sql,
            params![
                filter.machine,
                filter.status,
                before,
                page.limit,
                fewest,
                most
            ],
            execution_row,
        )
    }

    pub(crate) fn events(
        &self,
        execution: RowId,
        page: Page,
        order: Order,
    ) -> Result<Vec<HistoryEvent>, Error> {
        const COLUMNS: &str = "SELECT id, previous_id, timestamp, type, details FROM events";
        let (sql, start) = match order {
            Order::OldestFirst => (
                format!("{COLUMNS} WHERE execution = ?1 AND id > ?2 ORDER BY id LIMIT ?3"),
                page.after.unwrap_or(0),
            ),
            Order::NewestFirst => (
                format!("{COLUMNS} WHERE execution = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"),
                page.after.unwrap_or(i64::MAX),
            ),
        };
        self.many(&sql, params![execution, start, page.limit], event_row)
    }

    pub(crate) fn last_row_ids(&self) -> Result<(RowId, RowId), Error> {
        self.connection
            .query_row(
                "SELECT (SELECT coalesce(max(id), 0) FROM executions),
                        (SELECT coalesce(max(id), 0) FROM revisions)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(Error::storage("find the last rows"))
    }

    /// Every execution that has not ended, with what it takes to go on.
    pub(crate) fn running(&self) -> Result<Vec<StoredRun>, Error> {
        let sql = format!("{EXECUTION} WHERE status = 'RUNNING' ORDER BY id");
        let executions = self.many(&sql, [], execution_row)?;
        let mut runs = Vec::with_capacity(executions.len());
        for execution in executions {
            runs.extend(self.stored_run(execution)?);
        }
        Ok(runs)
    }

    /// What it takes to go on with an execution.
    pub(crate) fn stored_run(&self, execution: Execution) -> Result<Option<StoredRun>, Error> {
        let frames = self.frames(&execution)?;
        let revision = self.revision(execution.revision)?;
        Ok(revision.map(|revision| StoredRun {
            execution,
            revision,
            frames,
        }))
    }

    /// When an execution was redriven with the token: of the newest redrives, not before a time.
    pub(crate) fn redriven_with(
        &self,
        execution: RowId,
        token: &str,
        newest: u32,
        not_before: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT at FROM (SELECT token, at FROM redrives WHERE execution = ?1
                   ORDER BY number DESC LIMIT ?3) WHERE token = ?2 AND at >= ?4";
        let not_before = i64::try_from(not_before.as_unix_nanos()).unwrap_or(i64::MAX);
        let found: Vec<Timestamp> =
            self.many(sql, params![execution, token, newest, not_before], |row| {
                timestamp(row, 0)
            })?;
        Ok(found.first().copied())
    }

    fn frames(&self, execution: &Execution) -> Result<BTreeMap<FrameId, Box<Frame>>, Error> {
        let sql = "SELECT id, contents FROM frames WHERE execution = ?1";
        let rows: Vec<(FrameId, String)> =
            self.many(sql, [execution.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let parse = |(id, contents): (FrameId, String)| match serde_json::from_str(&contents) {
            Ok(frame) => Ok((id, frame)),
            Err(source) => Err(Error::Stored {
                what: "state",
                execution: execution.arn.clone(),
                source,
            }),
        };
        rows.into_iter().map(parse).collect()
    }

    fn one<T>(
        &self,
        sql: &str,
        key: impl rusqlite::ToSql,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let query = || {
            self.connection
                .prepare_cached(sql)?
                .query_row([key], read)
                .optional()
        };
        query().map_err(Error::storage("read a row"))
    }

    fn many<T>(
        &self,
        sql: &str,
        keys: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let query = || {
            self.connection
                .prepare_cached(sql)?
                .query_map(keys, read)?
                .collect::<rusqlite::Result<Vec<T>>>()
        };
        query().map_err(Error::storage("read rows"))
    }
}

/// Which end of a history comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    OldestFirst,
    NewestFirst,
}

fn machine_row(row: &Row<'_>) -> rusqlite::Result<Machine> {
    Ok(Machine {
        name: row.get(0)?,
        created: timestamp(row, 1)?,
        tags: json(row, 2)?,
        revision: revision_row(row, 3)?,
    })
}

fn revision_row(row: &Row<'_>, first: usize) -> rusqlite::Result<Revision> {
    Ok(Revision {
        id: row.get(first)?,
        uuid: row.get(first + 1)?,
        machine: row.get(first + 2)?,
        definition: row.get(first + 3)?,
        role_arn: row.get(first + 4)?,
        settings: json(row, first + 5)?,
        created: timestamp(row, first + 6)?,
    })
}

fn execution_row(row: &Row<'_>) -> rusqlite::Result<Execution> {
    Ok(Execution {
        id: row.get(0)?,
        arn: row.get(1)?,
        name: row.get(2)?,
        machine: row.get(3)?,
        revision: row.get(4)?,
        status: row.get(5)?,
        input: row.get(6)?,
        output: row.get(7)?,
        error: row.get(8)?,
        cause: row.get(9)?,
        started: timestamp(row, 10)?,
        stopped: row.get::<_, Option<i64>>(11)?.map(from_nanos),
        last_event_id: row.get(12)?,
        next_frame_id: row.get(13)?,
        redrive_count: row.get(14)?,
        redriven: row.get::<_, Option<i64>>(15)?.map(from_nanos),
        frames: if row.get(16)? {
            Frames::Kept
        } else {
            Frames::Dropped
        },
        machine_is: if row.get(17)? {
            Standing::There
        } else {
            Standing::Deleted
        },
    })
}

fn event_row(row: &Row<'_>) -> rusqlite::Result<HistoryEvent> {
    let name: String = row.get(3)?;
    let event_type = EventType::parse(&name)
        .ok_or_else(|| corrupt(3, format!("the event type {name:?} is unknown").into()))?;
    Ok(HistoryEvent {
        id: row.get(0)?,
        previous_event_id: row.get(1)?,
        timestamp: timestamp(row, 2)?,
        event_type,
        details: match row.get::<_, Option<String>>(4)? {
            Some(_) => json(row, 4)?,
            None => Value::Null,
        },
    })
}

fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<Value> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|source| corrupt(column, source.into()))
}

fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Ok(from_nanos(row.get(column)?))
}

fn from_nanos(nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(u64::try_from(nanos).unwrap_or(0))
}

fn corrupt(column: usize, source: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, source)
}
