use serde::Serialize;
use trace_store::Artifact;
use utoipa::ToSchema;

/// What an execution made, in order of when it was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArtifactList {
    pub artifacts: Vec<ArtifactSummary>,
}

/// A file that a node made: the workflow's own product, kept as it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Artifact)]
pub(crate) struct ArtifactSummary {
    pub id: String,
    /// Masked.
    pub name: String,
    /// As the workflow gave it: a browser must not be trusted to it.
    pub content_type: String,
    pub bytes: u64,
    /// Of the bytes, in hex.
    pub sha256: String,
    /// The span of the node that made it.
    pub span_id: String,
    /// RFC 3339.
    pub created_at: String,
}

/// An artifact, and where its bytes can be fetched for a while.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArtifactLink {
    #[serde(flatten)]
    pub artifact: ArtifactSummary,
    /// Gives the bytes to whoever has it, as a download. Not to be stored or passed on.
    pub url: String,
    /// RFC 3339: five minutes from now.
    pub url_expires_at: String,
}

impl From<Artifact> for ArtifactSummary {
    fn from(artifact: Artifact) -> Self {
        Self {
            id: artifact.id,
            name: artifact.name,
            content_type: artifact.content_type,
            bytes: artifact.bytes,
            sha256: artifact.sha256,
            span_id: artifact.span_id.to_string(),
            created_at: artifact.created_at.to_rfc3339(),
        }
    }
}
