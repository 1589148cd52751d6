//! Sessions in memory: all parties in one thread, in an order drawn from a seed.

use std::collections::{BTreeMap, VecDeque};

use std::future::Future;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use crate::engine::Engine;
use crate::parties::PartiesError;
use crate::session::{Abort, Binding, Frame, Machine, Progress, Refusal, Traffic};

/// What became of a session.
pub struct Outcome<T> {
    /// In order of the active parties: each party's result.
    pub results: Vec<Result<T, Abort>>,
    /// In this order: what each party sent.
    pub traffic: Vec<Traffic>,
    /// In this order: every frame that was delivered to the party, in order; empty unless recorded.
    pub views: Vec<Vec<Frame>>,
    /// Frames that their receiver refused, by its number.
    pub refusals: Vec<(u8, Refusal)>,
}

/// A network of parties. Frames between two parties arrive in order; which pair is served next is
/// drawn from the seed.
pub struct Network<'a, T> {
    machines: Vec<Machine<T>>,
    schedule: ChaCha20Rng,
    record: bool,
    interfere: Interference<'a>,
    arrive: Arrival<'a>,
}

/// Sees each frame on its way and says which frames arrive in its place.
type Interference<'a> = Box<dyn FnMut(Frame) -> Vec<Frame> + 'a>;

/// Sees each frame at the end of its channel, and says whether it arrives before the deadline.
type Arrival<'a> = Box<dyn FnMut(&mut Frame) -> bool + 'a>;

impl<'a, T> Network<'a, T> {
    /// A network of all active parties of a session, each running `protocol` on its engine. Their
    /// entropy is derived from the seed as well: for simulation only.
    pub fn of_engines<F, P>(binding: &Binding, seed: u64, protocol: P) -> Result<Self, PartiesError>
    where
        F: Future<Output = Result<T, Abort>> + Send + 'static,
        P: FnOnce(Engine) -> F + Clone + Send + 'static,
        T: 'static,
    {
        let mut machines = vec![];
        for party in binding.parties()?.ids() {
            let mut entropy = ChaCha20Rng::seed_from_u64(seed);
            entropy.set_stream(u64::from(party.number()));
            let machine = Machine::new(binding, party.number(), |session| {
                let protocol = protocol.clone();
                async move { protocol(Engine::start(session, entropy).await?).await }
            })?;
            machines.push(machine);
        }
        Ok(Self::new(machines, seed))
    }

    /// A network of these parties, in order of their numbers.
    pub fn new(machines: Vec<Machine<T>>, seed: u64) -> Self {
        let schedule = ChaCha20Rng::seed_from_u64(seed);
        let (interfere, arrive) = (Box::new(|frame| vec![frame]), Box::new(|_: &mut Frame| true));
        Self { machines, schedule, record: false, interfere, arrive }
    }

    /// Keeps every delivered frame in [`Outcome::views`].
    pub fn recording(mut self) -> Self {
        self.record = true;
        self
    }

    /// Puts somebody on the wire: each frame that is sent is replaced by what the function
    /// returns, which may have been held back before. A frame comes from whom it names, as over
    /// authenticated channels, so this plays parties that lie if it changes frames of theirs alone.
    pub fn interfering(mut self, interfere: impl FnMut(Frame) -> Vec<Frame> + 'a) -> Self {
        self.interfere = Box::new(interfere);
        self
    }

    /// Changes frames where they leave their channels: whatever a frame says then, it comes over the
    /// channel of those whom it named before. If the function returns false, the frame arrives
    /// after the deadline.
    pub fn arriving(mut self, arrive: impl FnMut(&mut Frame) -> bool + 'a) -> Self {
        self.arrive = Box::new(arrive);
        self
    }

    /// Runs until nothing moves any more, which is when the deadline comes: parties that still wait
    /// are ended. Frames that are late arrive then.
    pub fn run(mut self) -> Outcome<T> {
        let count = self.machines.len();
        let mut results: Vec<Option<Result<T, Abort>>> = (0..count).map(|_| None).collect();
        let mut late = vec![];
        let mut views = vec![vec![]; count];
        let mut refusals = vec![];
        let mut links = BTreeMap::<(u8, u8), VecDeque<Frame>>::new();

        let mut due: VecDeque<usize> = (0..count).collect();
        loop {
            while let Some(place) = due.pop_front() {
                let poll = self.machines[place].poll();
                for frame in poll.outgoing {
                    for frame in (self.interfere)(frame) {
                        links.entry((frame.from, frame.to)).or_default().push_back(frame);
                    }
                }
                match poll.progress {
                    Progress::Waiting(_) => {}
                    Progress::Done(result) => results[place] = Some(Ok(result)),
                    Progress::Aborted(abort) => {
                        results[place].get_or_insert(Err(abort));
                    }
                }
            }
            let Some(((from, to), mut frame)) = self.next_frame(&mut links) else { break };
            let Some(place) = self.machines.iter().position(|it| it.me().number() == to) else {
                continue;
            };
            if !(self.arrive)(&mut frame) {
                late.push((from, to, frame));
                continue;
            }
            if self.record {
                views[place].push(frame.clone());
            }
            match self.machines[place].deliver(from, frame) {
                Ok(()) => due.push_back(place),
                Err(refusal) => refusals.push((to, refusal)),
            }
        }
        let results = results.into_iter().zip(&mut self.machines);
        let mut results: Vec<_> =
            results.map(|(result, machine)| result.unwrap_or_else(|| Err(machine.end()))).collect();
        for (from, to, frame) in late {
            let position = usize::from(to) - 1;
            if let Err(refusal) = self.machines[position].deliver(from, frame) {
                refusals.push((to, refusal));
            }
            if let Progress::Done(result) = self.machines[position].poll().progress {
                results[position] = Ok(result);
            }
        }
        Outcome {
            results,
            traffic: self.machines.iter().map(Machine::traffic).collect(),
            views,
            refusals,
        }
    }

    fn next_frame(
        &mut self,
        links: &mut BTreeMap<(u8, u8), VecDeque<Frame>>,
    ) -> Option<((u8, u8), Frame)> {
        links.retain(|_, frames| !frames.is_empty());
        if links.is_empty() {
            return None;
        }
        let choice = self.schedule.next_u32() as usize % links.len();
        let (link, frames) = links.iter_mut().nth(choice)?;
        frames.pop_front().map(|frame| (*link, frame))
    }
}
