//! The feed's own tables and triggers, in the engine's file. A colon cannot be in the name of a
//! DynamoDB table, so no name here meets one of the engine's.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

/// How long DynamoDB Streams keeps a record that nobody read.
const RETENTION: TimeDelta = TimeDelta::hours(24);

pub(crate) const STREAM_LABEL: &str = "local";

/// What a stream's records hold besides the keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StreamView {
    KeysOnly,
    NewImage,
    OldImage,
    NewAndOldImages,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StreamSetting {
    /// Nobody asked: the table feeds, and describes itself without a stream.
    Unset,
    On(StreamView),
    Off,
}

/// Who deletes: consumers tell an expired item from a deleted one by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WriteOrigin {
    Client,
    TimeToLive,
}

impl StreamView {
    const ALL: [Self; 4] = [
        Self::KeysOnly,
        Self::NewImage,
        Self::OldImage,
        Self::NewAndOldImages,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KeysOnly => "KEYS_ONLY",
            Self::NewImage => "NEW_IMAGE",
            Self::OldImage => "OLD_IMAGE",
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.name() == name)
    }
}

impl StreamSetting {
    /// Reads a `StreamSpecification`; the error is DynamoDB's validation message.
    pub(crate) fn from_specification(specification: &Value) -> Result<Self, String> {
        let enabled = specification.get("StreamEnabled").and_then(Value::as_bool).ok_or(
            "Value null at 'streamSpecification.streamEnabled' failed to satisfy constraint: Member must not be null",
        )?;
        if !enabled {
            return Ok(Self::Off);
        }
        let name = specification
            .get("StreamViewType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        StreamView::named(name).map(Self::On).ok_or_else(|| {
            let names = StreamView::ALL.map(StreamView::name).join(", ");
            format!(
                "Value '{name}' at 'streamSpecification.streamViewType' failed to satisfy constraint: \
                 Member must satisfy enum value set: [{names}]"
            )
        })
    }
}

pub(crate) fn stream_arn(table_name: &str) -> String {
    format!(
        "{}/stream/{STREAM_LABEL}",
        dynoxide::streams::table_arn(table_name)
    )
}

/// Times are the database's own clock, in seconds, as DynamoDB stamps its records itself.
/// `AUTOINCREMENT`: a number is never given twice, also after the record it named was dropped.
pub(crate) fn create_schema(feed: &Connection) -> rusqlite::Result<()> {
    feed.execute_batch(
        r#"
        CREATE TABLE IF NOT EXISTS "feed:records" (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            table_name TEXT NOT NULL,
            event_name TEXT NOT NULL,
            view TEXT NOT NULL,
            origin TEXT,
            created_at REAL NOT NULL,
            size INTEGER NOT NULL,
            key_names TEXT NOT NULL,
            keys TEXT,
            new_image TEXT,
            old_image TEXT
        );
        CREATE TABLE IF NOT EXISTS "feed:consumers" (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS "feed:streams" (table_name TEXT PRIMARY KEY, setting TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS "feed:origin" (only INTEGER PRIMARY KEY CHECK (only = 1), origin TEXT);
        INSERT OR IGNORE INTO "feed:origin" VALUES (1, NULL);
        UPDATE "feed:origin" SET origin = NULL WHERE origin IS NOT NULL;
        "#,
    )
}

pub(crate) fn set_write_origin(feed: &Connection, origin: WriteOrigin) -> rusqlite::Result<()> {
    let origin = match origin {
        WriteOrigin::Client => None,
        WriteOrigin::TimeToLive => Some("dynamodb.amazonaws.com"),
    };
    feed.execute(
        r#"UPDATE "feed:origin" SET origin = ?1 WHERE origin IS NOT ?1"#,
        [origin],
    )
    .map(|_| ())
}

pub(crate) fn stream_setting(
    feed: &Connection,
    table_name: &str,
) -> rusqlite::Result<StreamSetting> {
    let setting: Option<String> = feed
        .query_row(
            r#"SELECT setting FROM "feed:streams" WHERE table_name = ?1"#,
            [table_name],
            |row| row.get(0),
        )
        .optional()?;
    Ok(match setting {
        None => StreamSetting::Unset,
        Some(name) => StreamView::named(&name).map_or(StreamSetting::Off, StreamSetting::On),
    })
}

pub(crate) fn set_stream(
    feed: &Connection,
    table_name: &str,
    setting: StreamSetting,
) -> rusqlite::Result<()> {
    let setting = match setting {
        StreamSetting::Unset => None,
        StreamSetting::On(view) => Some(view.name()),
        StreamSetting::Off => Some("OFF"),
    };
    match setting {
        None => feed.execute(
            r#"DELETE FROM "feed:streams" WHERE table_name = ?1"#,
            [table_name],
        ),
        Some(setting) => feed.execute(
            r#"INSERT OR REPLACE INTO "feed:streams" VALUES (?1, ?2)"#,
            params![table_name, setting],
        ),
    }
    .map(|_| ())
}

/// Drops records past their age, read or not.
pub(crate) fn drop_aged(feed: &Connection, now: DateTime<Utc>) -> rusqlite::Result<()> {
    let oldest = (now - RETENTION).timestamp();
    // By the primary key: records are in the order of their times, near enough for an age.
    feed.execute(
        r#"DELETE FROM "feed:records" WHERE sequence <
             COALESCE((SELECT MIN(sequence) FROM "feed:records" WHERE created_at >= ?1), 9223372036854775807)"#,
        [oldest],
    )
    .map(|_| ())
}

/// Puts the triggers of one table in place, unless they are there already.
pub(crate) fn watch_table(
    feed: &Connection,
    table_name: &str,
    key_names: &[String],
) -> rusqlite::Result<()> {
    let view = match stream_setting(feed, table_name)? {
        StreamSetting::Unset => Some(StreamView::NewImage),
        StreamSetting::On(view) => Some(view),
        StreamSetting::Off => None,
    };
    for (trigger, statement) in triggers(table_name, key_names, view) {
        let present: Option<String> = feed
            .query_row(
                "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?1",
                [&trigger],
                |row| row.get(0),
            )
            .optional()?;
        if present == statement {
            continue;
        }
        feed.execute_batch(&format!("DROP TRIGGER IF EXISTS {}", identifier(&trigger)))?;
        if let Some(statement) = statement {
            feed.execute_batch(&statement)?;
        }
    }
    Ok(())
}

/// The engine stores an item with `INSERT OR REPLACE`, so what was there before is read in a
/// `BEFORE` trigger; and a put that changes nothing makes no record, as in DynamoDB.
fn triggers(
    table_name: &str,
    key_names: &[String],
    view: Option<StreamView>,
) -> [(String, Option<String>); 2] {
    let table = identifier(table_name);
    let table_text = text(table_name);
    let key_list = key_names
        .iter()
        .map(|name| text(name))
        .collect::<Vec<_>>()
        .join(", ");
    let key_names = text(&serde_json::to_string(key_names).unwrap_or_default());
    let keys_of = |item: &str| {
        format!(
            "(SELECT json_group_object(key, json(value)) FROM json_each({item}) WHERE key IN ({key_list}))"
        )
    };
    let has_new = matches!(
        view,
        Some(StreamView::NewImage | StreamView::NewAndOldImages)
    );
    let has_old = matches!(
        view,
        Some(StreamView::OldImage | StreamView::NewAndOldImages)
    );
    let view = view.map(|view| text(view.name()));
    let columns = "table_name, event_name, view, origin, created_at, size, key_names, keys, new_image, old_image";

    let put = view.as_ref().map(|view| {
        // With an image, the reader takes the keys from it: no JSON is read while writing.
        let keys = if has_new { "NULL".to_owned() } else { keys_of("NEW.item_json") };
        let new_image = if has_new { "NEW.item_json" } else { "NULL" };
        let old_image = if has_old { "old.item_json" } else { "NULL" };
        format!(
            "CREATE TRIGGER {trigger} BEFORE INSERT ON {table} BEGIN \
               INSERT INTO \"feed:records\" ({columns}) \
               SELECT {table_text}, CASE WHEN old.item_json IS NULL THEN 'INSERT' ELSE 'MODIFY' END, {view}, NULL, \
                 unixepoch('subsec'), NEW.item_size, {key_names}, {keys}, {new_image}, {old_image} \
               FROM (SELECT 1) LEFT JOIN {table} AS old ON old.pk = NEW.pk AND old.sk = NEW.sk \
               WHERE old.item_json IS NOT NEW.item_json; END",
            trigger = identifier(&format!("feed:{table_name}:put")),
        )
    });
    let removal = view.as_ref().map(|view| {
        let keys = keys_of("OLD.item_json");
        let old_image = if has_old { "OLD.item_json" } else { "NULL" };
        format!(
            "CREATE TRIGGER {trigger} AFTER DELETE ON {table} BEGIN \
               INSERT INTO \"feed:records\" ({columns}) \
               SELECT {table_text}, 'REMOVE', {view}, (SELECT origin FROM \"feed:origin\"), unixepoch('subsec'), \
                 OLD.item_size, {key_names}, {keys}, NULL, {old_image}; END",
            trigger = identifier(&format!("feed:{table_name}:removal")),
        )
    });
    [
        (format!("feed:{table_name}:put"), put),
        (format!("feed:{table_name}:removal"), removal),
    ]
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
