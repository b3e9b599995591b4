-- The first version of the tables, as folders written then have them.
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
PRAGMA user_version = 1;
