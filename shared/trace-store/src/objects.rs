//! Large bodies in the bucket.

use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use trace_model::{TenantId, TraceId};

use crate::body::{Body, unfold};
use crate::compression::decompress;
use crate::keys::{object_prefix, sha256_hex};
use crate::service::{failed, retrying};
use crate::{StoreError, TraceStore};

const WHAT: &str = "object";
const ENCODING: &str = "zstd";

/// An object younger than this is not written again for an equal body. Kept short, because
/// the bucket's lifecycle counts from the writing.
pub(crate) const FRESH: Duration = Duration::from_hours(24);

impl TraceStore {
    /// Writes the body unless an equal one was written lately.
    pub(crate) async fn put_object(&self, key: &str, body: &Body) -> Result<(), StoreError> {
        if self.has_fresh_object(key).await? {
            return Ok(());
        }
        retrying(|| async {
            self.s3
                .put_object()
                .bucket(&self.config.bucket)
                .key(key)
                .content_type(&body.media_type)
                .content_encoding(ENCODING)
                .body(ByteStream::from(body.compressed.clone()))
                .send()
                .await
                .map_err(failed("PutObject", WHAT))
        })
        .await?;
        Ok(())
    }

    pub(crate) async fn head_object(
        &self,
        key: &str,
    ) -> Result<Option<HeadObjectOutput>, StoreError> {
        retrying(|| async {
            let head = self.s3.head_object().bucket(&self.config.bucket).key(key);
            match head.send().await {
                Ok(head) => Ok(Some(head)),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(failed("HeadObject", WHAT)(error)),
            }
        })
        .await
    }

    async fn has_fresh_object(&self, key: &str) -> Result<bool, StoreError> {
        let found = self.head_object(key).await?;
        let oldest = self.clock.now().minus(FRESH).as_unix_seconds();
        let written =
            found.and_then(|head| head.last_modified().map(aws_smithy_types::DateTime::secs));
        Ok(written.is_some_and(|written| u64::try_from(written).is_ok_and(|at| at >= oldest)))
    }

    /// A body's text, checked against the hash in its key. `None` when the object is gone.
    pub(crate) async fn object_text(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        key: &str,
        bytes: u64,
    ) -> Result<Option<String>, StoreError> {
        let id = object_id(tenant, trace_id, key)?;
        match self.object_bytes(key).await? {
            Some(compressed) => unfold(&compressed, bytes, id, WHAT).map(Some),
            None => Ok(None),
        }
    }

    /// The structure of a chunk that fits no item.
    pub(crate) async fn object_structure(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        key: &str,
        bytes: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let id = object_id(tenant, trace_id, key)?;
        let compressed = self.object_bytes(key).await?;
        let compressed = compressed
            .ok_or_else(|| StoreError::damaged(WHAT, "a chunk's structure is not in the bucket"))?;
        let structure = decompress(&compressed, bytes, WHAT)?;
        if sha256_hex(&structure) != id {
            return Err(StoreError::damaged(
                WHAT,
                "it does not have the hash it is stored under",
            ));
        }
        Ok(structure)
    }

    pub(crate) async fn object_bytes(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        retrying(|| async {
            let get = self.s3.get_object().bucket(&self.config.bucket).key(key);
            let object = match get.send().await {
                Ok(object) => object,
                Err(error)
                    if error.as_service_error().is_some_and(
                        aws_sdk_s3::operation::get_object::GetObjectError::is_no_such_key,
                    ) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(failed("GetObject", WHAT)(error)),
            };
            let body = object.body.collect().await;
            body.map(|body| Some(body.to_vec()))
                .map_err(|error| StoreError::Service {
                    operation: "GetObject",
                    what: WHAT,
                    retryable: true,
                    source: Box::new(error),
                })
        })
        .await
    }
}

/// Whether the object is not there, as far as this role may know: without leave to list the
/// bucket, which one tenant's role has not, S3 answers 403 for it. If it is there after all,
/// writing it again does no harm.
fn is_absent(error: &SdkError<HeadObjectError, HttpResponse>) -> bool {
    let forbidden = error
        .raw_response()
        .is_some_and(|answer| answer.status().as_u16() == 403);
    forbidden
        || error
            .as_service_error()
            .is_some_and(HeadObjectError::is_not_found)
}

/// The hash at the end of an object's key; refuses a key outside the trace's own prefix, so
/// that no item can point into another tenant's.
fn object_id<'a>(
    tenant: &TenantId,
    trace_id: TraceId,
    key: &'a str,
) -> Result<&'a str, StoreError> {
    key.strip_prefix(&object_prefix(tenant, trace_id))
        .filter(|id| !id.contains('/'))
        .ok_or_else(|| StoreError::damaged(WHAT, "its key lies outside the trace's own folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_another_tenant_is_refused() {
        let acme = TenantId::parse("acme").unwrap();
        let trace_id: TraceId = "0af7651916cd43dd8448eb211c80319c".parse().unwrap();
        let key = |tenant: &str| format!("t/{tenant}/{trace_id}/abc");
        assert_eq!(object_id(&acme, trace_id, &key("acme")).unwrap(), "abc");
        assert!(object_id(&acme, trace_id, &key("globex")).is_err());
        assert!(object_id(&acme, trace_id, &key("acme/../globex")).is_err());
        assert!(object_id(&acme, trace_id, &format!("{}/x", key("acme"))).is_err());
    }
}
