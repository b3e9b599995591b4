//! Time to live: items whose time has passed are deleted when someone asks for it.
//!
//! The engine has a sweep of its own, which reads the system's clock; this one takes the time,
//! and lets other requests in between its pages.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::params;
use serde_json::{Value, json};

use super::{EmbeddedDynamoDb, Tables, key_names};
use crate::LocalStorageError;
use crate::change_feed::{self, WriteOrigin};

/// Rows read while other requests wait.
const PAGE_ROWS: usize = 500;

/// DynamoDB leaves items alone whose time is more than five years past: such a number is more
/// likely a mistake (milliseconds read as seconds the other way round) than an old item.
const OLDEST: TimeDelta = TimeDelta::days(5 * 365);

pub(super) async fn sweep(
    database: &EmbeddedDynamoDb,
    now: DateTime<Utc>,
) -> Result<usize, LocalStorageError> {
    let mut deleted = 0;
    for table in database.run(tables_with_expiry).await?? {
        let mut after = Some((String::new(), String::new()));
        while let Some(position) = after {
            let table = table.clone();
            let page = database
                .run(move |tables| sweep_page(tables, &table, &position, now))
                .await??;
            deleted += page.deleted;
            after = page.next;
        }
    }
    if deleted > 0 {
        database.announce_write();
    }
    database
        .run(move |tables| {
            change_feed::drop_aged(&tables.feed, now).map_err(|source| failed(tables, source))
        })
        .await??;
    Ok(deleted)
}

#[derive(Clone)]
struct ExpiringTable {
    name: String,
    key_names: Vec<String>,
    expiry_attribute: String,
}

struct Page {
    deleted: usize,
    next: Option<(String, String)>,
}

fn tables_with_expiry(tables: &mut Tables) -> Result<Vec<ExpiringTable>, LocalStorageError> {
    let engine = |source| LocalStorageError::engine("read", &tables.path, source);
    let mut found = Vec::new();
    for table in tables.database.table_stats().map_err(engine)? {
        let Some(metadata) = tables
            .database
            .get_table_metadata(&table.table_name)
            .map_err(engine)?
        else {
            continue;
        };
        if let (true, Some(expiry_attribute)) = (metadata.ttl_enabled, metadata.ttl_attribute) {
            let key_names = key_names(&metadata.key_schema);
            found.push(ExpiringTable {
                name: table.table_name,
                key_names,
                expiry_attribute,
            });
        }
    }
    Ok(found)
}

fn sweep_page(
    tables: &mut Tables,
    table: &ExpiringTable,
    after: &(String, String),
    now: DateTime<Utc>,
) -> Result<Page, LocalStorageError> {
    let rows = read_page(tables, table, after).map_err(|source| failed(tables, source))?;
    let next = if rows.len() == PAGE_ROWS {
        rows.last()
            .map(|row| (row.partition_key.clone(), row.sort_key.clone()))
    } else {
        None
    };
    let (oldest, newest) = ((now - OLDEST).timestamp(), now.timestamp());
    let expired = rows.iter().filter_map(|row| {
        let expires = row.expires?;
        (oldest..newest)
            .contains(&expires)
            .then_some((expires, row.key.as_deref()?))
    });
    change_feed::set_write_origin(&tables.feed, WriteOrigin::TimeToLive)
        .map_err(|source| failed(tables, source))?;
    let deleted = expired
        .map(|(expires, key)| delete(tables, table, expires, key))
        .collect::<dynoxide::Result<Vec<_>>>();
    change_feed::set_write_origin(&tables.feed, WriteOrigin::Client)
        .map_err(|source| failed(tables, source))?;
    let deleted = deleted.map_err(|source| {
        LocalStorageError::engine("delete expired items from", &tables.path, source)
    })?;
    Ok(Page {
        deleted: deleted.len(),
        next,
    })
}

struct Row {
    partition_key: String,
    sort_key: String,
    /// Seconds since the epoch; `None` when the item has no such number.
    expires: Option<i64>,
    /// The key as DynamoDB JSON.
    key: Option<String>,
}

fn read_page(
    tables: &Tables,
    table: &ExpiringTable,
    after: &(String, String),
) -> rusqlite::Result<Vec<Row>> {
    let name = table.name.replace('"', "\"\"");
    let keys = serde_json::to_string(&table.key_names).unwrap_or_default();
    let mut statement = tables.feed.prepare_cached(&format!(
        "SELECT pk, sk, \
           (SELECT CAST(json_extract(value, '$.N') AS INTEGER) FROM json_each(item_json) \
             WHERE key = ?3 AND json_extract(value, '$.N') IS NOT NULL), \
           (SELECT json_group_object(key, json(value)) FROM json_each(item_json) \
             WHERE key IN (SELECT value FROM json_each(?4))) \
         FROM \"{name}\" WHERE (pk, sk) > (?1, ?2) ORDER BY pk, sk LIMIT ?5"
    ))?;
    let rows = statement.query_map(
        params![after.0, after.1, table.expiry_attribute, keys, PAGE_ROWS],
        |row| {
            Ok(Row {
                partition_key: row.get(0)?,
                sort_key: row.get(1)?,
                expires: row.get(2)?,
                key: row.get(3)?,
            })
        },
    )?;
    rows.collect()
}

/// Through the engine, so that the indexes follow.
fn delete(tables: &Tables, table: &ExpiringTable, expires: i64, key: &str) -> dynoxide::Result<()> {
    let invalid =
        |error: serde_json::Error| dynoxide::DynoxideError::InternalServerError(error.to_string());
    let key: Value = serde_json::from_str(key).map_err(invalid)?;
    let request = json!({
        "TableName": table.name,
        "Key": key,
        "ConditionExpression": "#expires <= :expires",
        "ExpressionAttributeNames": { "#expires": table.expiry_attribute },
        "ExpressionAttributeValues": { ":expires": { "N": expires.to_string() } },
    });
    tables
        .database
        .delete_item(serde_json::from_value(request).map_err(invalid)?)
        .map(|_| ())
}

fn failed(tables: &Tables, source: rusqlite::Error) -> LocalStorageError {
    LocalStorageError::database("delete expired items from", &tables.path, source)
}
