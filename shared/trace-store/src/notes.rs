//! What a scheduled function remembers from one time to the next: texts under names.

use std::time::Duration;

use crate::item::{self, StoredItem, number, primary_key, text};
use crate::keys::{FORMAT_VERSION, notes_partition};
use crate::service::{failed, retrying};
use crate::{StoreError, TABLE, TraceStore};

const WHAT: &str = "note";
const TEXT: &str = "text";

/// From its last writing; longer than any schedule pauses.
const LIVES: Duration = Duration::from_hours(400 * 24);

/// The text is its owner's to understand, and holds nothing of a trace but ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub name: String,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteWrite {
    Written,
    /// Somebody else has written it meanwhile.
    Overtaken,
}

impl TraceStore {
    /// All notes of one owner, in order of their names.
    pub async fn notes(&self, owner: &str) -> Result<Vec<Note>, StoreError> {
        let mut notes = Vec::new();
        let mut start = None;
        loop {
            let page = retrying(|| async {
                self.dynamodb
                    .query()
                    .table_name(&self.config.table)
                    .consistent_read(true)
                    .key_condition_expression("#pk = :pk")
                    .expression_attribute_names("#pk", TABLE.partition_key)
                    .expression_attribute_values(":pk", text(notes_partition(owner)))
                    .set_exclusive_start_key(start.clone())
                    .send()
                    .await
                    .map_err(failed("Query", WHAT))
            })
            .await?;
            for item in page.items.unwrap_or_default() {
                if let Some(stored) = StoredItem::open(item.into(), WHAT, self.clock.now())? {
                    notes.push(Note {
                        name: stored.text(TABLE.sort_key)?.to_owned(),
                        text: stored.text(TEXT)?.to_owned(),
                    });
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(notes);
            }
        }
    }

    /// Writes the note if it still says what `known` says, `None` standing for no note. The same
    /// text again is written too.
    pub async fn write_note(
        &self,
        owner: &str,
        note: &Note,
        known: Option<&str>,
    ) -> Result<NoteWrite, StoreError> {
        let expires_at = self.clock.now().plus(LIVES).as_unix_seconds();
        let mut item = primary_key(notes_partition(owner), note.name.as_str());
        item.insert(item::VERSION.to_owned(), number(u64::from(FORMAT_VERSION)));
        item.insert(TABLE.ttl_attribute.to_owned(), number(expires_at));
        item.insert(TEXT.to_owned(), text(note.text.as_str()));
        retrying(|| async {
            let put = self
                .dynamodb
                .put_item()
                .table_name(&self.config.table)
                .set_item(Some(item.clone()))
                .expression_attribute_names("#text", TEXT)
                .expression_attribute_values(":new", text(note.text.as_str()));
            // The new text is taken for the known one: an answer that was lost is asked again.
            let put = match known {
                Some(known) => put
                    .condition_expression("#text IN (:known, :new)")
                    .expression_attribute_values(":known", text(known)),
                None => put.condition_expression("attribute_not_exists(#text) OR #text = :new"),
            };
            match put.send().await {
                Ok(_) => Ok(NoteWrite::Written),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(aws_sdk_dynamodb::operation::put_item::PutItemError::is_conditional_check_failed_exception) =>
                {
                    Ok(NoteWrite::Overtaken)
                }
                Err(error) => Err(failed("PutItem", WHAT)(error)),
            }
        })
        .await
    }

    /// A note that is not there is no error.
    pub async fn delete_note(&self, owner: &str, name: &str) -> Result<(), StoreError> {
        let key = primary_key(notes_partition(owner), name);
        retrying(|| async {
            self.dynamodb
                .delete_item()
                .table_name(&self.config.table)
                .set_key(Some(key.clone()))
                .send()
                .await
                .map(drop)
                .map_err(failed("DeleteItem", WHAT))
        })
        .await
    }
}
