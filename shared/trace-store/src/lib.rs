//! Traces in DynamoDB and S3: keys, item versions, expiry; and spans that these refuse, in SQS
//! until they take them. The only crate that names their calls.
//!
//! Takes masked spans only, and masks nothing itself; artifacts and payloads are a workflow's
//! own data and kept as they are, apart from what the trace says of them. Knows no wire JSON, authorizes nobody,
//! and computes no totals. Every call is for one tenant, whose id begins every key;
//! but for those of who looks after the whole store: the list of tenants, notes, orphaned objects.

mod abandon;
mod announce;
mod api_keys;
mod artifacts;
mod body;
mod chunk;
mod compression;
mod config;
mod error;
mod item;
mod keys;
mod list;
mod merge;
mod notes;
mod objects;
mod orphans;
mod payloads;
mod queued_spans;
mod read;
mod run_item;
mod runs;
mod service;
mod shard;
mod span_queue;
mod store;
mod stream;
mod table;
mod tenants;
mod watching;
mod write;

pub use abandon::AbandonedSpans;
pub use api_keys::{Revocation, StoredApiKey};
pub use artifacts::{Artifact, ArtifactWrite, NewArtifact};
pub use config::StoreConfig;
pub use error::StoreError;
pub use list::{RunCursor, RunFilter, RunPage};
pub use notes::{Note, NoteWrite};
pub use orphans::{ORPHAN_GRACE, ObjectPage, TraceObject};
pub use payloads::Payload;
pub use queued_spans::{LargeTexts, QueuedSpans};
pub use read::{SpanPosition, StoredSpan, StructurePage, TraceStructure};
pub use runs::{RunWrite, Summary, SummaryWrite};
pub use span_queue::{QueueReceipt, SpanQueue};
pub use store::TraceStore;
pub use stream::{Chunk, ChunkKey, written_at};
pub use table::{IndexDescription, TABLE, TableDescription};
pub use write::WriteReceipt;
