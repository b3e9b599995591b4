//! What is remembered between visits: notes in the trace store.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use trace_store::{Note, NoteWrite, TraceStore};

use crate::WatchError;

const OWNER: &str = "watch-traces";

/// Notes that are written or deleted at once.
const AT_ONCE: usize = 16;

pub(crate) struct Memory {
    store: TraceStore,
    notes: BTreeMap<String, String>,
}

impl Memory {
    pub(crate) async fn read(store: TraceStore) -> Result<Self, WatchError> {
        let notes = store.notes(OWNER).await?.into_iter();
        Ok(Self {
            store,
            notes: notes.map(|note| (note.name, note.text)).collect(),
        })
    }

    /// `None` for what was never written, and for what another version wrote in a way that this
    /// one cannot read: it is begun anew.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let text = self.notes.get(name)?;
        let read = serde_json::from_str(text).ok();
        if read.is_none() {
            tracing::warn!(note = name, "a note is not as written, and is begun anew");
        }
        read
    }

    /// Names without the prefix, and what was noted.
    pub(crate) fn all<T: DeserializeOwned>(&self, prefix: &str) -> Vec<(String, T)> {
        let notes = self.notes.range(prefix.to_owned()..);
        let names = notes.map_while(|(name, _)| name.strip_prefix(prefix).map(|rest| (name, rest)));
        names
            .filter_map(|(name, rest)| Some((rest.to_owned(), self.get(name)?)))
            .collect()
    }

    /// Costs nothing when it says what it said.
    pub(crate) async fn put(
        &mut self,
        name: &str,
        noted: &impl Serialize,
    ) -> Result<(), WatchError> {
        let text = text(noted);
        self.write(vec![(name.to_owned(), Some(text))]).await
    }

    /// Writes, and deletes where there is no text.
    pub(crate) async fn write(
        &mut self,
        notes: Vec<(String, Option<String>)>,
    ) -> Result<(), WatchError> {
        let changed = notes.into_iter();
        let changed: Vec<_> = changed
            .filter(|(name, text)| self.notes.get(name) != text.as_ref())
            .collect();
        let writes: Vec<_> = changed
            .iter()
            .map(|(name, text)| self.write_one(name, text.as_deref()))
            .collect();
        let mut writes = stream::iter(writes).buffer_unordered(AT_ONCE);
        while writes.try_next().await?.is_some() {}
        drop(writes);
        for (name, text) in changed {
            match text {
                Some(text) => self.notes.insert(name, text),
                None => self.notes.remove(&name),
            };
        }
        Ok(())
    }

    async fn write_one(&self, name: &str, text: Option<&str>) -> Result<(), WatchError> {
        let Some(text) = text else {
            return Ok(self.store.delete_note(OWNER, name).await?);
        };
        let note = Note {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let known = self.notes.get(name).map(String::as_str);
        match self.store.write_note(OWNER, &note, known).await? {
            NoteWrite::Written => Ok(()),
            NoteWrite::Overtaken => Err(WatchError::Overtaken),
        }
    }
}

pub(crate) fn text(noted: &impl Serialize) -> String {
    serde_json::to_string(noted).expect("text, numbers and ids are JSON")
}
