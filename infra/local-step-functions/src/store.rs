//! Executions on disk: one SQLite database. Everything the engine must not
//! lose goes through [`Writer::commit`]; what the API answers with is read by
//! [`Reader`], beside the writing.

mod read;
mod rows;
mod write;

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

pub(crate) use self::read::{ExecutionFilter, Order, Page, Reader, RedriveFilter, StoredRun};
pub(crate) use self::rows::{Execution, Frames, Machine, Revision, RowId, Standing};
pub(crate) use self::write::{Write, Writer};
use crate::Error;

/// What [`SCHEMA`] and [`UPGRADES`] make; written into the file as `user_version`.
const SCHEMA_VERSION: i64 = 2;

const FILE_NAME: &str = "step-functions.db";

const SCHEMA: &str = "
CREATE TABLE revisions (
    id INTEGER PRIMARY KEY,
    revision_id TEXT NOT NULL,
    machine TEXT NOT NULL,
    definition TEXT NOT NULL,
    role_arn TEXT NOT NULL,
    settings TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE TABLE machines (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL REFERENCES revisions (id),
    created INTEGER NOT NULL,
    tags TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE executions (
    id INTEGER PRIMARY KEY,
    arn TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    machine TEXT NOT NULL,
    revision INTEGER NOT NULL REFERENCES revisions (id),
    status TEXT NOT NULL,
    input TEXT NOT NULL,
    output TEXT,
    error TEXT,
    cause TEXT,
    started INTEGER NOT NULL,
    stopped INTEGER,
    last_event_id INTEGER NOT NULL,
    next_frame_id INTEGER NOT NULL,
    redrive_count INTEGER NOT NULL DEFAULT 0,
    redriven INTEGER,
    keeps_frames INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX executions_by_machine ON executions (machine, id);
CREATE INDEX executions_running ON executions (id) WHERE status = 'RUNNING';
CREATE TABLE events (
    execution INTEGER NOT NULL REFERENCES executions (id),
    id INTEGER NOT NULL,
    previous_id INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    type TEXT NOT NULL,
    details TEXT,
    PRIMARY KEY (execution, id)
) WITHOUT ROWID;
CREATE TABLE frames (
    execution INTEGER NOT NULL REFERENCES executions (id),
    id INTEGER NOT NULL,
    contents TEXT NOT NULL,
    PRIMARY KEY (execution, id)
) WITHOUT ROWID;
CREATE TABLE redrives (
    execution INTEGER NOT NULL REFERENCES executions (id),
    number INTEGER NOT NULL,
    token TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (execution, number)
) WITHOUT ROWID;
";

/// From version 1 on, each from one version to the next.
///
/// 2: what an execution that ended badly stood at is kept for a redrive. Version 1 did not keep it.
const UPGRADES: [&str; 1] = ["
ALTER TABLE executions ADD COLUMN redrive_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN redriven INTEGER;
ALTER TABLE executions ADD COLUMN keeps_frames INTEGER NOT NULL DEFAULT 1;
UPDATE executions SET keeps_frames = 0 WHERE status <> 'RUNNING';
CREATE TABLE redrives (
    execution INTEGER NOT NULL REFERENCES executions (id),
    number INTEGER NOT NULL,
    token TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (execution, number)
) WITHOUT ROWID;
"];

/// Opens the database of a data folder, which is made when it is not there.
pub(crate) fn open(folder: &Path) -> Result<(Writer, Reader), Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Folder {
        path: folder.to_owned(),
        source,
    })?;
    let path = folder.join(FILE_NAME);
    let mut connection = connect(&path)?;
    migrate(&mut connection, &path)?;
    Ok((Writer::new(connection), Reader::new(path)))
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|source| Error::Open {
        path: path.to_owned(),
        source,
    })
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let failed = Error::storage("prepare the database");
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    match found {
        SCHEMA_VERSION => Ok(()),
        0 => {
            let mut create = || {
                let transaction = connection.transaction()?;
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
                transaction.commit()
            };
            create().map_err(Error::storage("create the tables"))
        }
        older @ 1..SCHEMA_VERSION => {
            let done = usize::try_from(older - 1).unwrap_or_default();
            let mut upgrade = || {
                let transaction = connection.transaction()?;
                for step in UPGRADES.iter().skip(done) {
                    transaction.execute_batch(step)?;
                }
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
                transaction.commit()
            };
            upgrade().map_err(Error::storage("upgrade the tables"))
        }
        _ => Err(Error::NewerSchema {
            path: path.to_owned(),
            found,
            known: SCHEMA_VERSION,
        }),
    }
}
