//! Executions on disk: one SQLite database. Everything the engine must not
//! lose goes through [`Writer::commit`]; what the API answers with is read by
//! [`Reader`], beside the writing.

mod read;
mod rows;
mod write;

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

pub(crate) use self::read::{ExecutionFilter, Order, Page, Reader, StoredRun};
pub(crate) use self::rows::{Execution, Machine, Revision, RowId};
pub(crate) use self::write::{Write, Writer};
use crate::Error;

/// What [`SCHEMA`] makes; written into the file as `user_version`.
const SCHEMA_VERSION: i64 = 1;

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
    next_frame_id INTEGER NOT NULL
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
";

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
        _ => Err(Error::NewerSchema {
            path: path.to_owned(),
            found,
            known: SCHEMA_VERSION,
        }),
    }
}
