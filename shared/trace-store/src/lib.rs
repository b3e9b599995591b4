//! Traces in DynamoDB and S3: keys, item versions, expiry. The only crate that names their calls.
//!
//! Takes masked spans only, and masks nothing itself; knows no wire JSON, authorizes nobody,
//! and computes no totals. Every call is for one tenant, whose id begins every key.

mod abandon;
mod body;
mod chunk;
mod compression;
mod config;
mod error;
mod item;
mod keys;
mod list;
mod merge;
mod objects;
mod read;
mod run_item;
mod runs;
mod service;
mod shard;
mod store;
mod stream;
mod table;
mod write;

pub use abandon::AbandonedSpans;
pub use config::StoreConfig;
pub use error::StoreError;
pub use list::{RunCursor, RunFilter, RunPage};
pub use read::{SpanPosition, StoredSpan, StructurePage, TraceStructure};
pub use runs::{RunWrite, Summary, SummaryWrite};
pub use store::TraceStore;
pub use stream::{Chunk, ChunkKey};
pub use table::{IndexDescription, TABLE, TableDescription};
pub use write::WriteReceipt;
