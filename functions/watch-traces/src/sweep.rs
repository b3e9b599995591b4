//! Objects that a broken write left in the bucket, once a day.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trace_model::Timestamp;
use trace_store::{ORPHAN_GRACE, TraceObject};

use crate::visit::Visit;
use crate::{StatusQueue, WatchError};

/// Listing costs by the 1,000 objects; an orphan costs next to nothing for a day.
const EVERY: Duration = Duration::from_hours(24);

const NOTE: &str = "sweep";

/// Each object is looked at by one sweep: by the first after it has come of age.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sweep {
    began: Timestamp,
    /// Objects written from then on, inclusive.
    from: Timestamp,
    /// And before then.
    until: Timestamp,
    /// The last key that was listed.
    after: Option<String>,
    is_done: bool,
}

impl<Queue: StatusQueue> Visit<'_, Queue> {
    pub(crate) async fn sweep(&mut self) -> Result<(), WatchError> {
        let now = self.now();
        // Older ones may have outlived what pointed to them; they expire.
        let oldest = now.minus(self.watcher.store.config().retention);
        let mut sweep = match self.memory.get::<Sweep>(NOTE) {
            Some(known) if !known.is_done => known,
            Some(known) if now.since(known.began) < EVERY => return Ok(()),
            known => Sweep {
                began: now,
                from: known.map_or(oldest, |known| known.until.max(oldest)),
                until: now.minus(ORPHAN_GRACE),
                after: None,
                is_done: false,
            },
        };
        loop {
            self.check_time()?;
            let listing = self
                .watcher
                .store
                .list_trace_objects(sweep.after.as_deref());
            let page = listing.await?;
            let of_age: Vec<_> = page
                .objects
                .into_iter()
                .filter(|object| (sweep.from..sweep.until).contains(&object.written_at))
                .collect();
            let is_same = |one: &TraceObject, other: &TraceObject| {
                (&one.tenant, one.trace_id) == (&other.tenant, other.trace_id)
            };
            for objects in of_age.chunk_by(is_same) {
                if let Err(out_of_time) = self.check_time() {
                    self.memory.put(NOTE, &sweep).await?;
                    return Err(out_of_time);
                }
                self.delete_orphans(objects).await?;
                sweep.after = objects.last().map(|object| object.key.clone());
            }
            sweep.is_done = page.next.is_none();
            sweep.after = page.next;
            self.memory.put(NOTE, &sweep).await?;
            if sweep.is_done {
                return Ok(());
            }
        }
    }

    async fn delete_orphans(&mut self, objects: &[TraceObject]) -> Result<(), WatchError> {
        let Some(TraceObject {
            tenant, trace_id, ..
        }) = objects.first()
        else {
            return Ok(());
        };
        let store = &self.watcher.store;
        match store.delete_orphans(tenant, *trace_id, objects).await {
            Ok(deleted) => {
                self.report.orphans += deleted as u64;
                Ok(())
            }
            // What cannot be read may point to anything.
            Err(error) if error.is_of_what_is_stored() => {
                let error: &dyn Error = &error;
                tracing::error!(%tenant, %trace_id, error, "a trace's objects stay");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
