use aws_lambda_events::event::dynamodb::{Event, EventRecord, StreamViewType, UserIdentity};
use chrono::DateTime;

use super::schema::{StreamView, stream_arn};

/// Turns a sequence into DynamoDB's form: 21 digits, so that text order is number order.
const SEQUENCE_NUMBER_DIGITS: usize = 21;

/// One change of one item, as a Lambda function behind DynamoDB Streams receives it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeRecord {
    /// Rises with every record of the store; what [`super::Consumer::commit`] takes.
    pub sequence: u64,
    /// The table that was written.
    pub table_name: String,
    pub event: EventRecord,
}

impl ChangeRecord {
    /// The event that a handler of `aws_lambda_events` takes.
    pub fn into_event(records: impl IntoIterator<Item = Self>) -> Event {
        let mut event = Event::default();
        event.records = records.into_iter().map(|record| record.event).collect();
        event
    }
}

/// A row of `feed:records`.
pub(super) struct StoredRecord {
    pub(super) sequence: u64,
    pub(super) table_name: String,
    pub(super) event_name: String,
    pub(super) view: String,
    pub(super) origin: Option<String>,
    pub(super) created_at: f64,
    pub(super) size: i64,
    pub(super) key_names: String,
    pub(super) keys: Option<String>,
    pub(super) new_image: Option<String>,
    pub(super) old_image: Option<String>,
}

impl StoredRecord {
    pub(super) fn bytes(&self) -> usize {
        [&self.keys, &self.new_image, &self.old_image]
            .into_iter()
            .flatten()
            .map(String::len)
            .sum()
    }

    pub(super) fn read(self) -> Result<ChangeRecord, serde_json::Error> {
        let mut event = EventRecord::default();
        dynoxide::streams::LOCAL_REGION.clone_into(&mut event.aws_region);
        event.event_id = format!("{:032x}", self.sequence);
        event.event_name = self.event_name;
        event.event_source = Some("aws:dynamodb".to_owned());
        event.event_version = Some("1.1".to_owned());
        event.event_source_arn = Some(stream_arn(&self.table_name));
        event.table_name = Some(self.table_name.clone());
        event.user_identity = self.origin.map(|principal| {
            let mut identity = UserIdentity::default();
            "Service".clone_into(&mut identity.type_);
            identity.principal_id = principal;
            identity
        });

        let change = &mut event.change;
        if let Some(image) = &self.new_image {
            change.new_image = serde_json::from_str(image)?;
        }
        if let Some(image) = &self.old_image {
            change.old_image = serde_json::from_str(image)?;
        }
        if let Some(keys) = &self.keys {
            change.keys = serde_json::from_str(keys)?;
        } else {
            let image: &std::collections::HashMap<_, _> = change.new_image.inner();
            let names: Vec<String> = serde_json::from_str(&self.key_names)?;
            let keys = names
                .into_iter()
                .filter_map(|name| image.get(&name).cloned().map(|value| (name, value)));
            change.keys = keys.collect::<std::collections::HashMap<_, _>>().into();
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "microseconds of this age fit in 64 bits"
        )]
        let created_at = DateTime::from_timestamp_micros((self.created_at * 1e6) as i64);
        change.approximate_creation_date_time = created_at.unwrap_or_default();
        change.sequence_number = Some(format!("{:0SEQUENCE_NUMBER_DIGITS$}", self.sequence));
        change.size_bytes = self.size;
        change.stream_view_type = StreamView::named(&self.view).map(|view| match view {
            StreamView::KeysOnly => StreamViewType::KeysOnly,
            StreamView::NewImage => StreamViewType::NewImage,
            StreamView::OldImage => StreamViewType::OldImage,
            StreamView::NewAndOldImages => StreamViewType::NewAndOldImages,
        });
        Ok(ChangeRecord {
            sequence: self.sequence,
            table_name: self.table_name,
            event,
        })
    }
}
