//! Bounds on each call: size and time of its request, time until its answer, and what all calls of
//! one institution may have in flight.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use metrics::counter;
use quittance_ledger::ids::InstitutionId;
use tokio::time::{Sleep, sleep, timeout};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::count::Call;
use super::peer::Peer;
use super::quota::{Quota, Share};
use crate::limits::{self, Limits, MethodLimit};
use crate::metrics::GRPC_CALLS_REFUSED;

/// Bytes before each gRPC message: a flag and the length.
const PREFIX: usize = 5;

/// Wraps a server's routes.
#[derive(Clone)]
pub(super) struct Meter {
    in_flight: Arc<Quota<InstitutionId>>,
    body_time: Duration,
    request_time: Duration,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            in_flight: Quota::new(u64::MAX, limits.bytes_in_flight),
            body_time: limits.body_time,
            request_time: limits.request_time,
        }
    }
}

impl<S> Layer<S> for Meter {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Metered<S> {
        Metered { inner, meter: self.clone() }
    }
}

/// Routes with bounds on each call.
#[derive(Clone)]
pub(super) struct Metered<S> {
    inner: S,
    meter: Meter,
}

/// The bookings of one call, each held until the last part that may need it is gone.
type Booking = Arc<Share<InstitutionId>>;

impl Meter {
    /// Books `bytes` for the caller of `request`.
    fn book(&self, request: &Request<Body>, bytes: usize) -> Result<Booking, Status> {
        let peer = request.extensions().get::<Peer>();
        let peer = peer.ok_or_else(|| Status::unauthenticated("the caller is not known"))?;
        let institution = peer.identity.institution();
        self.in_flight.take(institution, bytes as u64).map(Arc::new).map_err(|_| {
            Status::resource_exhausted(format!(
                "{institution} has too many calls in flight; wait for some to end"
            ))
        })
    }
}

impl<S> Service<Request<Body>> for Metered<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut call = Call::begin(request.uri().path());
        let limit = limits::of_path(request.uri().path());
        let booked = self.meter.book(&request, limit.request).and_then(|incoming| {
            self.meter.book(&request, limit.response).map(|outgoing| (incoming, outgoing))
        });
        let (incoming, outgoing) = match booked {
            Ok(booked) => booked,
            Err(status) => {
                counter!(GRPC_CALLS_REFUSED).increment(1);
                let response = status.into_http();
                call.answered(&response);
                return Box::pin(async move { Ok(response) });
            }
        };
        let body_time = self.meter.body_time;
        let held = incoming.clone();
        let request = request.map(|body| Body::new(Incoming::new(body, limit, body_time, held)));
        let answer = timeout(self.meter.request_time, self.inner.call(request));
        let request_time = self.meter.request_time;
        Box::pin(async move {
            let response = match answer.await {
                Ok(Ok(response)) => response,
                Err(_) => Status::deadline_exceeded(format!("no answer within {request_time:?}"))
                    .into_http(),
            };
            call.answered(&response);
            // The handler is done with a request that is no stream; a stream is held by its body.
            drop(incoming);
            Ok(response.map(|body| Body::new(Outgoing { body, call, _booking: outgoing })))
        })
    }
}

/// A request body under its method's bounds.
struct Incoming {
    body: Body,
    limit: &'static MethodLimit,
    read: usize,
    deadline: Option<Pin<Box<Sleep>>>,
    _booking: Booking,
}

impl Incoming {
    fn new(body: Body, limit: &'static MethodLimit, body_time: Duration, booking: Booking) -> Self {
        // A stream may last, and its codec bounds each message.
        let deadline = (!limit.streams_requests).then(|| Box::pin(sleep(body_time)));
        Self { body, limit, read: 0, deadline, _booking: booking }
    }

    /// Refuses the frame with which a single request outgrows its limit.
    fn count(&mut self, frame: &Frame<tonic::codegen::Bytes>) -> Result<(), Status> {
        self.read = self.read.saturating_add(frame.data_ref().map_or(0, |data| data.len()));
        if self.limit.streams_requests || self.read <= self.limit.request + PREFIX {
            return Ok(());
        }
        Err(Status::out_of_range(format!(
            "the request is larger than the limit of {} bytes for {}",
            self.limit.request, self.limit.method
        )))
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        match self.deadline.as_mut().map(|deadline| deadline.as_mut().poll(context)) {
            Some(Poll::Ready(())) => {
                Err(Status::deadline_exceeded("the request did not arrive in time"))
            }
            _ => Ok(()),
        }
    }
}

impl HttpBody for Incoming {
    type Data = tonic::codegen::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(frame) = frame else {
            return match self.poll_deadline(context) {
                Ok(()) => Poll::Pending,
                Err(status) => Poll::Ready(Some(Err(status))),
            };
        };
        let checked = frame.map(|frame| {
            let frame = frame?;
            // Also when frames keep coming, such as empty ones.
            self.poll_deadline(context)?;
            self.count(&frame)?;
            Ok(frame)
        });
        Poll::Ready(checked)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body that holds its booking until it is sent or given up.
struct Outgoing {
    body: Body,
    call: Call,
    _booking: Booking,
}

impl HttpBody for Outgoing {
    type Data = tonic::codegen::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            self.call.ended(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
