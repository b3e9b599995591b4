//! The one writing connection.

use rusqlite::{Connection, Transaction, params};
use trace_model::Timestamp;

use super::rows::{Execution, Machine, Revision, RowId};
use crate::Error;
use crate::history::HistoryEvent;

/// One change, complete in itself: it can be tried again after a failed commit.
#[derive(Debug)]
pub(crate) enum Write {
    /// A new machine, or a new revision of one.
    Machine(Machine),
    Tags {
        machine: String,
        tags: String,
    },
    DeleteMachine {
        machine: String,
    },
    StartExecution(Execution),
    Event {
        execution: RowId,
        event: HistoryEvent,
    },
    Frame {
        execution: RowId,
        id: i64,
        contents: String,
    },
    DeleteFrame {
        execution: RowId,
        id: i64,
    },
    Progress {
        execution: RowId,
        last_event_id: i64,
        next_frame_id: i64,
    },
    EndExecution {
        execution: RowId,
        status: &'static str,
        output: Option<String>,
        error: Option<String>,
        cause: Option<String>,
        stopped: Timestamp,
    },
    DeleteFrames {
        execution: RowId,
    },
    /// The execution runs again.
    Redrive {
        execution: RowId,
        count: u32,
        at: Timestamp,
        token: Option<String>,
    },
    /// What nobody can redrive any more.
    DeleteFramesOfEndedBefore(Timestamp),
}

#[derive(Debug)]
pub(crate) struct Writer {
    connection: Connection,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// All of it or nothing.
    pub(crate) fn commit(&mut self, writes: &[Write]) -> Result<(), Error> {
        let mut apply = || {
            let transaction = self.connection.transaction()?;
            for write in writes {
                apply_one(&transaction, write)?;
            }
            transaction.commit()
        };
        apply().map_err(Error::storage("commit a step"))
    }

    /// Moves the log into the database file, so that what is left behind is one file.
    pub(crate) fn checkpoint(&self) -> Result<(), Error> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(Error::storage("checkpoint the log"))
    }
}

fn apply_one(transaction: &Transaction<'_>, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::Machine(machine) => apply_machine(transaction, machine),
        Write::Tags { machine, tags } => transaction
            .prepare_cached("UPDATE machines SET tags = ?2 WHERE name = ?1")?
            .execute(params![machine, tags])
            .map(drop),
        Write::DeleteMachine { machine } => transaction
            .prepare_cached("DELETE FROM machines WHERE name = ?1")?
            .execute([machine])
            .map(drop),
        Write::StartExecution(execution) => apply_start(transaction, execution),
        Write::Event { execution, event } => transaction
            .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                execution,
                event.id,
                event.previous_event_id,
                nanos(event.timestamp),
                event.event_type.as_str(),
                (!event.details.is_null()).then(|| event.details.to_string()),
            ])
            .map(drop),
        Write::Frame { execution, id, contents } => transaction
            .prepare_cached("INSERT OR REPLACE INTO frames VALUES (?1, ?2, ?3)")?
            .execute(params![execution, id, contents])
            .map(drop),
        Write::DeleteFrame { execution, id } => transaction
            .prepare_cached("DELETE FROM frames WHERE execution = ?1 AND id = ?2")?
            .execute(params![execution, id])
            .map(drop),
        Write::Progress { execution, last_event_id, next_frame_id } => transaction
            .prepare_cached(
                "UPDATE executions SET last_event_id = ?2, next_frame_id = ?3 WHERE id = ?1",
            )?
            .execute(params![execution, last_event_id, next_frame_id])
            .map(drop),
        Write::EndExecution { execution, status, output, error, cause, stopped } => transaction
            .prepare_cached(
                "UPDATE executions SET status = ?2, output = ?3, error = ?4, cause = ?5, stopped = ?6
                 WHERE id = ?1",
            )?
            .execute(params![execution, status, output, error, cause, nanos(*stopped)])
            .map(drop),
        Write::DeleteFrames { execution } => transaction
            .prepare_cached("DELETE FROM frames WHERE execution = ?1")?
            .execute([execution])
            .map(drop),
        Write::Redrive { execution, count, at, token } => {
            transaction
                .prepare_cached(
                    "UPDATE executions SET status = 'RUNNING', output = NULL, error = NULL,
                     cause = NULL, stopped = NULL, redrive_count = ?2, redriven = ?3 WHERE id = ?1",
                )?
                .execute(params![execution, count, nanos(*at)])?;
            transaction
                .prepare_cached("INSERT INTO redrives VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![execution, count, token, nanos(*at)])
                .map(drop)
        }
        Write::DeleteFramesOfEndedBefore(time) => transaction
            .prepare_cached(
                "DELETE FROM frames WHERE execution IN
                 (SELECT id FROM executions WHERE status <> 'RUNNING' AND stopped < ?1)",
            )?
            .execute([nanos(*time)])
            .map(drop),
    }
}

fn apply_machine(transaction: &Transaction<'_>, machine: &Machine) -> rusqlite::Result<()> {
    let Revision {
        id,
        uuid,
        machine: name,
        definition,
        role_arn,
        settings,
        created,
    } = &machine.revision;
    transaction
        .prepare_cached("INSERT OR IGNORE INTO revisions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            id,
            uuid,
            name,
            definition,
            role_arn,
            settings.to_string(),
            nanos(*created)
        ])?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO machines VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            machine.name,
            id,
            nanos(machine.created),
            machine.tags.to_string()
        ])
        .map(drop)
}

fn apply_start(transaction: &Transaction<'_>, execution: &Execution) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO executions
             (id, arn, name, machine, revision, status, input, started, last_event_id, next_frame_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            execution.id,
            execution.arn,
            execution.name,
            execution.machine,
            execution.revision,
            execution.status,
            execution.input,
            nanos(execution.started),
            execution.last_event_id,
            execution.next_frame_id,
        ])
        .map(drop)
}

fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_unix_nanos()).unwrap_or(i64::MAX)
}
