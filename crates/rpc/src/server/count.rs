//! Counting calls: how many are open, how long each takes to be answered, and how it ends.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use http::{HeaderMap, Response};
use metrics::{counter, gauge, histogram};
use prost::Message;
use tonic::Code;

use crate::metrics::{GRPC_CALL_TIME, GRPC_CALLS, GRPC_CALLS_OPEN};

/// The label of all methods that there are not.
const UNKNOWN: &str = "unknown";

/// Every method that a server here may have. What a caller asks for becomes a label only if it is
/// one of them: else strangers could make up labels without end.
static METHODS: LazyLock<BTreeSet<Arc<str>>> = LazyLock::new(|| {
    let sets = [crate::proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET];
    let reflection = ["v1", "v1alpha"]
        .map(|version| format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"));
    let mut methods: BTreeSet<Arc<str>> = reflection.into_iter().map(Arc::from).collect();
    // Descriptors that did not decode would have been noticed when reflection was set up.
    for set in sets.into_iter().filter_map(|set| prost_types::FileDescriptorSet::decode(set).ok()) {
        for file in &set.file {
            for service in &file.service {
                let of = format!("{}.{}", file.package(), service.name());
                let names = service.method.iter().map(|method| method.name());
                methods.extend(names.map(|name| Arc::from(format!("{of}/{name}"))));
            }
        }
    }
    methods
});

fn method(path: &str) -> Arc<str> {
    let name = path.strip_prefix('/').unwrap_or(path);
    METHODS.get(name).cloned().unwrap_or_else(|| Arc::from(UNKNOWN))
}

/// One call, from its headers to the end of its answer. Counted when dropped.
pub(super) struct Call {
    method: Arc<str>,
    began: Instant,
    code: Code,
}

impl Call {
    /// A call of the method at an HTTP/2 path begins.
    pub(super) fn begin(path: &str) -> Self {
        gauge!(GRPC_CALLS_OPEN).increment(1.0);
        // The caller goes away, unless something else is said.
        Self { method: method(path), began: Instant::now(), code: Code::Cancelled }
    }

    /// The answer begins. If it is an error, that is all of it.
    pub(super) fn answered<B>(&mut self, response: &Response<B>) {
        let time = self.began.elapsed();
        histogram!(GRPC_CALL_TIME, "method" => self.method.clone()).record(time.as_secs_f64());
        self.ended(response.headers());
    }

    /// Takes the status if these headers or trailers have it.
    pub(super) fn ended(&mut self, trailers: &HeaderMap) {
        if let Some(status) = trailers.get("grpc-status") {
            self.code = Code::from_bytes(status.as_bytes());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        gauge!(GRPC_CALLS_OPEN).decrement(1.0);
        counter!(GRPC_CALLS, "method" => self.method.clone(), "code" => name(self.code))
            .increment(1);
    }
}

/// A code's name in the specification of gRPC.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_methods_that_exist_become_labels() {
        assert_eq!(&*method("/quittance.node.v1.Node/Submit"), "quittance.node.v1.Node/Submit");
        assert_eq!(&*method("/grpc.health.v1.Health/Check"), "grpc.health.v1.Health/Check");
        for odd in ["", "/", "/quittance.node.v1.Node/Submit/", "/../etc", "//x"] {
            assert_eq!(&*method(odd), UNKNOWN);
        }
        for limit in crate::limits::METHODS {
            assert_eq!(&*method(limit.method), limit.method);
        }
    }
}
