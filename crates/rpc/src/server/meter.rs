//! Bounds on each call: size and time of its request, time until its answer, and what all calls of
//! one institution may have in flight.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep, timeout};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::booking::{Booked, Booking, Books};
use super::count::Call;
use super::peer::Peer;
use crate::limits::{self, Limits, MethodLimit};

/// Bytes before each gRPC message: a flag and the length.
const PREFIX: usize = 5;

/// Wraps a server's routes.
#[derive(Clone)]
pub(super) struct Meter {
    books: Books,
    body_time: Duration,
    request_time: Duration,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            books: Books::new(limits),
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

impl Meter {
    /// Books what a call of this method needs at first, for the caller of `request`.
    fn book(&self, request: &Request<Body>, limit: &MethodLimit) -> Result<Booked, Status> {
        let peer = request.extensions().get::<Peer>();
        let peer = peer.ok_or_else(|| Status::unauthenticated("the caller is not known"))?;
        self.books.begin(peer.identity.institution(), limit)
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
        let Booked { incoming, outgoing } = match self.meter.book(&request, limit) {
            Ok(booked) => booked,
            Err(status) => {
                let response = status.into_http();
                call.answered(&response);
                return Box::pin(async move { Ok(response) });
            }
        };
        let (meter, held) = (&self.meter, incoming.clone());
        let request = request.map(|body| Body::new(Incoming::new(body, limit, meter, held)));
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
    /// The first bytes of a single request: they say how long its message is.
    prefix: [u8; PREFIX],
    /// What is booked for a single request.
    booked: usize,
    deadline: Option<Pin<Box<Sleep>>>,
    books: Books,
    booking: Booking,
}

impl Incoming {
    fn new(body: Body, limit: &'static MethodLimit, meter: &Meter, booking: Booking) -> Self {
        // A stream may last, and its codec bounds each message.
        let deadline = (!limit.streams_requests).then(|| Box::pin(sleep(meter.body_time)));
        let (books, booked) = (meter.books.clone(), meter.books.first(limit));
        Self { body, limit, read: 0, prefix: [0; PREFIX], booked, deadline, books, booking }
    }

    /// Refuses the frame with which a single request outgrows its limit, or what its institution
    /// may have in flight.
    fn count(&mut self, frame: &Frame<tonic::codegen::Bytes>) -> Result<(), Status> {
        let data = frame.data_ref().map_or(&[][..], |data| data);
        let missing = self.prefix.iter_mut().skip(self.read);
        missing.zip(data).for_each(|(place, byte)| *place = *byte);
        self.read = self.read.saturating_add(data.len());
        if self.limit.streams_requests {
            return Ok(());
        }
        if self.read <= self.limit.request + PREFIX {
            let needed = self.read.max(self.promised());
            self.booked = self.books.grow(&self.booking, self.booked, needed, self.limit)?;
            return Ok(());
        }
        Err(Status::out_of_range(format!(
            "the request is larger than the limit of {} bytes for {}",
            self.limit.request, self.limit.method
        )))
    }

    /// The length of the message, once that has come: tonic allocates as much at once.
    fn promised(&self) -> usize {
        match self.prefix {
            [_, length @ ..] if self.read >= PREFIX => u32::from_be_bytes(length) as usize,
            _ => 0,
        }
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
