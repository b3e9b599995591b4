use serde::Serialize;
use utoipa::ToSchema;

/// A part of one of a span's bodies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContentPage {
    pub span_id: String,
    pub field: String,
    /// Of the whole body, in UTF-8.
    pub bytes: u64,
    /// Where this part begins, in bytes.
    pub offset: u64,
    /// Masked; cut between characters.
    pub text: String,
    /// The `offset` of the next part; null at the end.
    pub next_offset: Option<u64>,
}
