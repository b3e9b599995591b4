//! What a workflow made: named, with a content type and a hash. The bytes lie in the bucket as
//! they are; an item in the run's partition says what they are.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use redaction::RedactedText;
use trace_model::{SpanId, TenantId, Timestamp, TraceId};

use crate::item::{self, SdkItem, StoredItem, number, primary_key, text};
use crate::keys::{
    ARTIFACT_PREFIX, FORMAT_VERSION, artifact_object_key, run_partition, sha256_hex,
};
use crate::service::{failed, retrying};
use crate::write::ItemWrite;
use crate::{StoreError, TABLE, TraceStore};

/// Hex digits of an artifact's id: 128 bits of a hash.
const ID_DIGITS: usize = 32;

/// Longest life of a link: who may read is asked again after it.
const LONGEST_LINK: Duration = Duration::from_mins(5);

const WHAT: &str = "artifact";
const NAME: &str = "name";
const CONTENT_TYPE: &str = "content_type";
const BYTES: &str = "bytes";
const SHA256: &str = "sha256";
const SPAN_ID: &str = "span_id";
const CREATED_AT: &str = "created_at";

/// What the trace says of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    pub id: String,
    /// Masked, as all text of a trace.
    pub name: String,
    pub content_type: String,
    pub bytes: u64,
    /// In hex; of the bytes as they are stored.
    pub sha256: String,
    /// The span of the node that made it.
    pub span_id: SpanId,
    pub created_at: Timestamp,
}

/// An artifact on its way to the store.
#[derive(Clone, Debug)]
pub struct NewArtifact {
    pub name: RedactedText,
    pub content_type: String,
    pub body: Vec<u8>,
    /// The attempt that makes it; with the name and the bytes it decides the id, so that the
    /// same attempt makes the same artifact, however often it is made.
    pub attempt: Option<SpanId>,
    pub span_id: SpanId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactWrite {
    pub id: String,
    pub bytes: u64,
    pub sha256: String,
}

impl TraceStore {
    /// Stores the bytes, then the item that points to them: a write that breaks off leaves at
    /// most an object that nothing points to, and that expires. Safe to repeat.
    pub async fn write_artifact(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        artifact: NewArtifact,
    ) -> Result<ArtifactWrite, StoreError> {
        let sha256 = sha256_hex(&artifact.body);
        let written = ArtifactWrite {
            id: artifact_id(&artifact, &sha256),
            bytes: artifact.body.len() as u64,
            sha256,
        };
        let item = self.artifact_item(tenant, trace_id, &artifact, &written);
        let key = artifact_object_key(tenant, trace_id, &written.sha256);
        self.put_artifact_object(&key, artifact).await?;
        match self.put_once(&item, WHAT).await? {
            ItemWrite::New | ItemWrite::AlreadyStored => Ok(written),
        }
    }

    /// In order of when they were made.
    pub async fn list_artifacts(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<Vec<Artifact>, StoreError> {
        let generation = self.generation(tenant, trace_id).await?;
        let mut artifacts = self.all_artifacts(tenant, trace_id).await?;
        artifacts.retain(|artifact| generation.holds(artifact.created_at));
        artifacts
            .sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(artifacts)
    }

    /// Those of earlier runs of the name too, in no order.
    pub(crate) async fn all_artifacts(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<Vec<Artifact>, StoreError> {
        let mut artifacts = Vec::new();
        let mut start = None;
        loop {
            let page = retrying(|| async {
                self.dynamodb
                    .query()
                    .table_name(&self.config.table)
                    .consistent_read(true)
                    .key_condition_expression("#pk = :pk AND begins_with(#sk, :prefix)")
                    .expression_attribute_names("#pk", TABLE.partition_key)
                    .expression_attribute_names("#sk", TABLE.sort_key)
                    .expression_attribute_values(":pk", text(run_partition(tenant, trace_id)))
                    .expression_attribute_values(":prefix", text(ARTIFACT_PREFIX))
                    .set_exclusive_start_key(start.clone())
                    .send()
                    .await
                    .map_err(failed("Query", WHAT))
            })
            .await?;
            for item in page.items.unwrap_or_default() {
                artifacts.extend(self.artifact_of(item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(artifacts);
            }
        }
    }

    pub async fn artifact(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        id: &str,
    ) -> Result<Option<Artifact>, StoreError> {
        let key = primary_key(run_partition(tenant, trace_id), sort_key(id));
        let artifact = match self.item(&key, WHAT).await? {
            Some(item) => self.artifact_of(item)?,
            None => None,
        };
        let generation = self.generation(tenant, trace_id).await?;
        Ok(artifact.filter(|artifact| generation.holds(artifact.created_at)))
    }

    /// The bytes, their hash checked; `None` when they are gone.
    pub async fn read_artifact(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        artifact: &Artifact,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let key = artifact_object_key(tenant, trace_id, &artifact.sha256);
        let Some(bytes) = self.object_bytes(&key).await? else {
            return Ok(None);
        };
        if sha256_hex(&bytes) != artifact.sha256 {
            let problem = "it does not have the hash it is stored under";
            return Err(StoreError::damaged(WHAT, problem));
        }
        Ok(Some(bytes))
    }

    /// A URL that gives the bytes to whoever has it, for five minutes at most. A browser saves
    /// what comes and never shows it: it is the workflow's, and may be HTML with a script.
    pub async fn artifact_link(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        artifact: &Artifact,
        lives: Duration,
    ) -> Result<String, StoreError> {
        if lives > LONGEST_LINK {
            return Err(StoreError::LinkTooLong);
        }
        let signing = PresigningConfig::expires_in(lives).map_err(|_| StoreError::LinkTooLong)?;
        let link = self
            .link_signer()
            .get_object()
            .bucket(&self.config.bucket)
            .key(artifact_object_key(tenant, trace_id, &artifact.sha256))
            .response_content_type(&artifact.content_type)
            .response_content_disposition(attachment(&artifact.name))
            .presigned(signing)
            .await
            .map_err(failed("GetObject", WHAT))?;
        Ok(link.uri().to_owned())
    }

    async fn put_artifact_object(
        &self,
        key: &str,
        artifact: NewArtifact,
    ) -> Result<(), StoreError> {
        let body = ByteStream::from(artifact.body).into_inner();
        retrying(|| async {
            let body = body.try_clone().map(ByteStream::new).unwrap_or_default();
            self.s3
                .put_object()
                .bucket(&self.config.bucket)
                .key(key)
                .content_type(&artifact.content_type)
                .body(body)
                .send()
                .await
                .map_err(failed("PutObject", WHAT))
        })
        .await?;
        Ok(())
    }

    fn artifact_item(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        artifact: &NewArtifact,
        written: &ArtifactWrite,
    ) -> SdkItem {
        let now = self.clock.now();
        let expires_at = now.plus(self.config.retention);
        let mut item = primary_key(run_partition(tenant, trace_id), sort_key(&written.id));
        let attributes = [
            (item::VERSION, number(u64::from(FORMAT_VERSION))),
            (TABLE.ttl_attribute, number(expires_at.as_unix_seconds())),
            (NAME, text(artifact.name.as_str())),
            (CONTENT_TYPE, text(artifact.content_type.as_str())),
            (BYTES, number(written.bytes)),
            (SHA256, text(written.sha256.as_str())),
            (SPAN_ID, text(artifact.span_id.to_string())),
            (CREATED_AT, number(now.as_unix_nanos())),
        ];
        item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
        item
    }

    fn artifact_of(&self, item: SdkItem) -> Result<Option<Artifact>, StoreError> {
        let Some(stored) = StoredItem::open(item.into(), WHAT, self.clock.now())? else {
            return Ok(None);
        };
        let id = stored.text(TABLE.sort_key)?.strip_prefix(ARTIFACT_PREFIX);
        let span_id = stored.text(SPAN_ID)?.parse();
        Ok(Some(Artifact {
            id: id.ok_or_else(|| stored.damaged(TABLE.sort_key))?.to_owned(),
            name: stored.text(NAME)?.to_owned(),
            content_type: stored.text(CONTENT_TYPE)?.to_owned(),
            bytes: stored.number(BYTES)?,
            sha256: stored.text(SHA256)?.to_owned(),
            span_id: span_id.map_err(|_| stored.damaged(SPAN_ID))?,
            created_at: Timestamp::from_unix_nanos(stored.number(CREATED_AT)?),
        }))
    }
}

fn sort_key(id: &str) -> String {
    format!("{ARTIFACT_PREFIX}{id}")
}

fn artifact_id(artifact: &NewArtifact, sha256: &str) -> String {
    let attempt = artifact.attempt.map(|attempt| attempt.to_string());
    let attempt = attempt.as_deref().unwrap_or("-");
    let mut id = sha256_hex(format!("{attempt}#{sha256}#{}", artifact.name.as_str()).as_bytes());
    id.truncate(ID_DIGITS);
    id
}

/// RFC 6266: the name in ASCII for old readers, and as it is.
fn attachment(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|character| match character {
            '"' | '\\' => '_',
            ' '..='~' => character,
            _ => '_',
        })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: &str) {
        assert_eq!(attachment(name), expected);
    }

    #[test]
    fn hard_case_8_a_link_s_file_name_breaks_no_header() {
        check(
            "reply.html",
            "attachment; filename=\"reply.html\"; filename*=UTF-8''reply.html",
        );
        check(
            "a \"b\"\r\nX: é",
            "attachment; filename=\"a _b___X: _\"; filename*=UTF-8''a%20%22b%22%0D%0AX%3A%20%C3%A9",
        );
    }
}
