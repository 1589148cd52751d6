//! Refusing what there is no room for now, in one way for every server.

use std::fmt::Display;
use std::time::Duration;

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

/// When to try again what there was no room for.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The trailer that says so, as gRPC's own retries understand it (proposal A6, "pushback"); in
/// milliseconds.
pub const TRAILER: &str = "grpc-retry-pushback-ms";

/// `RESOURCE_EXHAUSTED`: nothing has been done, and the same call may succeed after
/// [`RETRY_AFTER`].
pub fn overloaded(reason: impl Display) -> Status {
    let pause = u64::try_from(RETRY_AFTER.as_millis()).unwrap_or(u64::MAX);
    let mut metadata = MetadataMap::new();
    metadata.insert(TRAILER, MetadataValue::from(pause));
    Status::with_metadata(Code::ResourceExhausted, reason.to_string(), metadata)
}
