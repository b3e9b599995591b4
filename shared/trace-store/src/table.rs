use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use crate::service::failed;
use crate::{StoreError, TraceStore};

/// What the table must look like, for local mode and the template alike. Billing is on demand;
/// keys are strings unless named numbers; every index projects all attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDescription {
    pub partition_key: &'static str,
    pub sort_key: &'static str,
    /// Epoch seconds; every item has it.
    pub ttl_attribute: &'static str,
    pub indexes: &'static [IndexDescription],
}

/// Sparse: only run items carry the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexDescription {
    pub name: &'static str,
    /// Begins with the tenant.
    pub partition_key: &'static str,
    /// A number: nanoseconds since the Unix epoch.
    pub sort_key: &'static str,
}

pub(crate) const RUNS_BY_START: IndexDescription = IndexDescription {
    name: "runs-by-start",
    partition_key: "tenant",
    sort_key: "started_at",
};

pub(crate) const RUNS_BY_WORKFLOW: IndexDescription = IndexDescription {
    name: "runs-by-workflow",
    partition_key: "tenant_workflow",
    sort_key: "started_at",
};

pub const TABLE: TableDescription = TableDescription {
    partition_key: "pk",
    sort_key: "sk",
    ttl_attribute: "expires_at",
    indexes: &[RUNS_BY_START, RUNS_BY_WORKFLOW],
};

const WHAT: &str = "table";
const BUCKET: &str = "bucket";

/// How long a new table may take to become active: some seconds on AWS, none locally.
const ACTIVE_WITHIN: u32 = 240;
const ACTIVE_POLL: Duration = Duration::from_millis(250);

impl TraceStore {
    /// Creates the table with its time to live, and the bucket, where they are missing. For
    /// local mode and tests: on AWS the template does it.
    pub async fn create_table_if_missing(&self) -> Result<(), StoreError> {
        self.create_table().await?;
        self.wait_until_active().await?;
        self.enable_time_to_live().await?;
        self.create_bucket().await
    }

    async fn create_table(&self) -> Result<(), StoreError> {
        let strings = [TABLE.partition_key, TABLE.sort_key].into_iter();
        let strings = strings.chain(TABLE.indexes.iter().map(|index| index.partition_key));
        let mut definitions: Vec<_> = strings
            .map(|name| definition(name, ScalarAttributeType::S))
            .collect();
        let mut numbers: Vec<_> = TABLE.indexes.iter().map(|index| index.sort_key).collect();
        numbers.dedup();
        definitions.extend(
            numbers
                .into_iter()
                .map(|name| definition(name, ScalarAttributeType::N)),
        );
        let created = self
            .dynamodb
            .create_table()
            .table_name(&self.config.table)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(key_schema(TABLE.partition_key, TABLE.sort_key)))
            .set_attribute_definitions(Some(definitions))
            .set_global_secondary_indexes(Some(TABLE.indexes.iter().map(index).collect()))
            .send()
            .await;
        match created {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_dynamodb::operation::create_table::CreateTableError::is_resource_in_use_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(failed("CreateTable", WHAT)(error)),
        }
    }

    async fn wait_until_active(&self) -> Result<(), StoreError> {
        for _ in 0..ACTIVE_WITHIN {
            let described = self
                .dynamodb
                .describe_table()
                .table_name(&self.config.table)
                .send()
                .await
                .map_err(failed("DescribeTable", WHAT))?;
            let status = described.table.and_then(|table| table.table_status);
            if status == Some(TableStatus::Active) {
                return Ok(());
            }
            tokio::time::sleep(ACTIVE_POLL).await;
        }
        Err(StoreError::Contended(WHAT))
    }

    async fn enable_time_to_live(&self) -> Result<(), StoreError> {
        let described = self
            .dynamodb
            .describe_time_to_live()
            .table_name(&self.config.table)
            .send()
            .await
            .map_err(failed("DescribeTimeToLive", WHAT))?;
        let status = described
            .time_to_live_description
            .and_then(|description| description.time_to_live_status);
        if matches!(
            status,
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
        ) {
            return Ok(());
        }
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(TABLE.ttl_attribute)
            .enabled(true)
            .build()
            .expect("name and state are set");
        self.dynamodb
            .update_time_to_live()
            .table_name(&self.config.table)
            .time_to_live_specification(specification)
            .send()
            .await
            .map_err(failed("UpdateTimeToLive", WHAT))?;
        Ok(())
    }

    async fn create_bucket(&self) -> Result<(), StoreError> {
        let head = self.s3.head_bucket().bucket(&self.config.bucket);
        if head.send().await.is_ok() {
            return Ok(());
        }
        let region = self.s3.config().region().map(ToString::to_string);
        // us-east-1 is the one region that must not be named.
        let elsewhere = region.filter(|region| region != "us-east-1").map(|region| {
            let constraint = BucketLocationConstraint::from(region.as_str());
            CreateBucketConfiguration::builder()
                .location_constraint(constraint)
                .build()
        });
        let created = self
            .s3
            .create_bucket()
            .bucket(&self.config.bucket)
            .set_create_bucket_configuration(elsewhere)
            .send()
            .await;
        match created {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_s3::operation::create_bucket::CreateBucketError::is_bucket_already_owned_by_you) =>
            {
                Ok(())
            }
            Err(error) => Err(failed("CreateBucket", BUCKET)(error)),
        }
    }
}

fn definition(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(kind)
        .build()
        .expect("name and type are set")
}

fn key_schema(partition_key: &str, sort_key: &str) -> Vec<KeySchemaElement> {
    [(partition_key, KeyType::Hash), (sort_key, KeyType::Range)]
        .map(|(name, kind)| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()
                .expect("name and kind are set")
        })
        .to_vec()
}

fn index(description: &IndexDescription) -> GlobalSecondaryIndex {
    GlobalSecondaryIndex::builder()
        .index_name(description.name)
        .set_key_schema(Some(key_schema(
            description.partition_key,
            description.sort_key,
        )))
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::All)
                .build(),
        )
        .build()
        .expect("name and keys are set")
}
