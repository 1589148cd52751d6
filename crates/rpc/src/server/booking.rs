//! What the calls of each institution may hold of our memory while they are under way.

use std::sync::Arc;

use metrics::counter;
use quittance_ledger::ids::InstitutionId;
use tonic::Status;

use super::quota::{Full, Quota, Share};
use crate::limits::{Limits, MethodLimit};
use crate::metrics::GRPC_CALLS_REFUSED;
use crate::pushback::overloaded;

/// The bytes of all institutions.
#[derive(Clone)]
pub(super) struct Books {
    in_flight: Arc<Quota<InstitutionId>>,
    /// For small calls when there is no room above: questions are answered all the same.
    reserved: Arc<Quota<InstitutionId>>,
    step: usize,
}

/// A part of a call's bytes, given back when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Booking(Arc<Share<InstitutionId>>);

/// What one call has booked.
pub(super) struct Booked {
    /// For its request; held until the last part that may need it is gone.
    pub(super) incoming: Booking,
    /// For its response.
    pub(super) outgoing: Booking,
}

impl Books {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            in_flight: Quota::new(u64::MAX, limits.bytes_in_flight),
            reserved: Quota::new(u64::MAX, limits.bytes_reserved),
            step: limits.request_step,
        }
    }

    /// The first booking of a call: the whole response, since it is complete before it is sent;
    /// of a single request the first step, of a stream a whole message.
    pub(super) fn begin(
        &self,
        caller: InstitutionId,
        limit: &MethodLimit,
    ) -> Result<Booked, Status> {
        let request = if limit.streams_requests { limit.request } else { self.first(limit) };
        let mut booked = pair(&self.in_flight, caller, request, limit.response);
        if booked.is_err() && limit.is_small() {
            booked = pair(&self.reserved, caller, request, limit.response);
        }
        booked.map_err(|_| refuse(caller))
    }

    /// Books for a single request that needs `needed` bytes and has `booked`; how many are booked
    /// then. By steps: not each frame is worth a lock.
    pub(super) fn grow(
        &self,
        booking: &Booking,
        booked: usize,
        needed: usize,
        limit: &MethodLimit,
    ) -> Result<usize, Status> {
        // The prefix of a message is no part of its limit.
        if needed.min(limit.request) <= booked {
            return Ok(booked);
        }
        let wanted = needed.div_ceil(self.step.max(1)).saturating_mul(self.step).min(limit.request);
        let more = wanted.saturating_sub(booked) as u64;
        booking.0.grow(more).map_err(|_| refuse(booking.0.key()))?;
        Ok(wanted)
    }

    /// How much of a single request is booked at first.
    pub(super) fn first(&self, limit: &MethodLimit) -> usize {
        self.step.min(limit.request)
    }
}

/// Both parts, or none.
fn pair(
    quota: &Arc<Quota<InstitutionId>>,
    caller: InstitutionId,
    request: usize,
    response: usize,
) -> Result<Booked, Full> {
    let book =
        |bytes: usize| quota.take(caller, bytes as u64).map(|share| Booking(Arc::new(share)));
    Ok(Booked { incoming: book(request)?, outgoing: book(response)? })
}

fn refuse(caller: InstitutionId) -> Status {
    counter!(GRPC_CALLS_REFUSED).increment(1);
    overloaded(format!("{caller} has too many calls in flight; wait for some to end"))
}
