use trace_model::Clock;

use crate::StoreConfig;

/// The traces of all tenants. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TraceStore {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) config: StoreConfig,
    pub(crate) clock: Clock,
}

impl TraceStore {
    pub const fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        s3: aws_sdk_s3::Client,
        config: StoreConfig,
        clock: Clock,
    ) -> Self {
        Self {
            dynamodb,
            s3,
            config,
            clock,
        }
    }
}
