//! The embedded services as AWS's own SDK clients see them.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod change_feed;
mod dynamodb;
mod fixture;
mod opening;
mod s3;
