use std::cell::Cell;
use std::task::Waker;

use super::*;

thread_local! {
    static TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Processor time that passes when a test says so.
fn clock() -> Duration {
    TIME.get()
}

fn work(time: Duration) {
    TIME.set(TIME.get() + time);
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn us(microseconds: u64) -> Duration {
    Duration::from_micros(microseconds)
}

fn budgets(share: Duration, burst: Duration) -> Budgets {
    Budgets::new(&Limits { reading_share: share, reading_burst: burst, ..Limits::default() })
}

/// One that nobody overdraws and that does not become full during a test: what is charged moves
/// its time by as much.
fn ample() -> (Arc<Budget>, Instant) {
    let hour = Duration::from_secs(3600);
    let now = Instant::now();
    let budget = budgets(Duration::from_secs(1), hour).of("BANKDEFF".parse().unwrap(), now);
    budget.charge(now, hour / 2);
    let full_at = *budget.lock();
    (budget, full_at)
}

fn begin(reading: &mut Reading) -> Poll<()> {
    reading.poll_begin(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_burst_is_lent_and_the_rest_comes_with_time() {
    let now = Instant::now();
    let budget = budgets(ms(200), ms(20)).of("BANKDEFF".parse().unwrap(), now);
    budget.charge(now, ms(20));
    assert_eq!(budget.book(now, ms(1)), None, "used up, not overdrawn");
    budget.charge(now, ms(1));
    // A fifth of a processor: 1 ms comes in 5 ms.
    assert_eq!(budget.book(now, ms(1)), Some(now + ms(5)));
    // Whoever comes later has its turn later, whether or not the first has come already.
    assert_eq!(budget.book(now + ms(1), ms(2)), Some(now + ms(10)));
    assert_eq!(budget.book(now + ms(7), ms(1)), Some(now + ms(20)));
    budget.give_back(ms(1));
    assert_eq!(budget.book(now + ms(7), ms(1)), Some(now + ms(20)));
    // However long nothing is taken, no more than the burst is saved.
    let later = now + ms(60_000);
    budget.charge(later, ms(21));
    assert_eq!(budget.book(later, ms(1)), Some(later + ms(5)));
}

#[test]
fn siblings_share_and_others_do_not_and_debts_survive_a_hangup() {
    let now = Instant::now();
    let budgets = budgets(ms(200), ms(20));
    let [bank, other] = ["BANKDEFF", "BANKFRPP"].map(|id| id.parse().unwrap());
    let first = budgets.of(bank, now);
    first.charge(now, ms(30));
    assert!(budgets.of(bank, now).book(now, LEAST).is_some(), "its sibling waits");
    assert!(budgets.of(other, now).book(now, LEAST).is_none(), "another institution does not");
    drop(first);
    assert!(budgets.of(bank, now + ms(1)).book(now + ms(1), LEAST).is_some(), "it came again");
    // Nobody who has paid and gone is remembered.
    let later = now + ms(60_000);
    drop(budgets.of(other, later));
    let all = budgets.by_institution.lock().unwrap();
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), [other]);
}

#[test]
fn work_is_charged_and_waiting_is_not() {
    let (budget, before) = ample();
    let mut reading = Reading::new(budget.clone(), clock);
    for _ in 0..3 {
        // Two pieces, and a read that finds no more.
        assert!(begin(&mut reading).is_ready());
        reading.has_read();
        work(ms(1));
        assert!(begin(&mut reading).is_ready());
        reading.has_read();
        work(ms(2));
        assert!(begin(&mut reading).is_ready());
        work(us(5));
        reading.end();
        // The thread does something else.
        work(ms(500));
    }
    assert_eq!(*budget.lock(), before + ms(9) + us(15));
    // Its turn is over, or its buffer is full: the same.
    for pending_write in [false, true] {
        assert!(begin(&mut reading).is_ready());
        work(ms(1));
        if pending_write {
            let alone = reading.begin_write();
            reading.end_write(alone, true);
        } else {
            reading.pause();
        }
        work(ms(500));
    }
    assert!(begin(&mut reading).is_ready());
    reading.end();
    assert_eq!(*budget.lock(), before + ms(11) + us(15));
}

#[test]
fn no_piece_costs_more_than_so_much() {
    let (budget, before) = ample();
    let mut reading = Reading::new(budget.clone(), clock);
    assert!(begin(&mut reading).is_ready());
    work(ms(60_000));
    reading.end();
    assert_eq!(*budget.lock(), before + LONGEST);
}

#[test]
fn answers_of_http2_are_charged_and_responses_are_not() {
    let (budget, before) = ample();
    let mut reading = Reading::new(budget.clone(), clock);
    let write = |reading: &mut Reading, time| {
        let alone = reading.begin_write();
        work(time);
        reading.end_write(alone, false);
    };
    let flush = |reading: &mut Reading, time| {
        write(reading, time);
        reading.has_answered();
    };
    assert!(begin(&mut reading).is_ready());
    reading.has_read();
    // Between two reads, as one piece with them.
    work(ms(1));
    write(&mut reading, ms(1));
    flush(&mut reading, ms(1));
    assert!(begin(&mut reading).is_ready());
    reading.end();
    // What is left to be said after the last read.
    write(&mut reading, ms(2));
    work(ms(500));
    flush(&mut reading, ms(1));
    assert_eq!(*budget.lock(), before + ms(6));
    // A call's response, later.
    write(&mut reading, ms(3));
    flush(&mut reading, ms(3));
    assert_eq!(*budget.lock(), before + ms(6));
}

#[test]
fn connections_of_one_institution_wake_one_after_the_other() {
    let budgets = budgets(ms(200), ms(20));
    let budget = budgets.of("BANKDEFF".parse().unwrap(), Instant::now());
    let now = Instant::now();
    budget.charge(now, ms(22));
    let mut readings: Vec<_> = (0..32).map(|_| Reading::new(budget.clone(), clock)).collect();
    for reading in &mut readings {
        reading.dearest = ms(1);
    }
    let dues: Vec<_> = readings.iter_mut().filter_map(|reading| reading.due(now)).collect();
    let expected: Vec<_> = (0..32).map(|place| now + ms(10) + place * ms(5)).collect();
    assert_eq!(dues, expected);
    // Those that hang up leave their places.
    let before = *budget.lock();
    readings.truncate(30);
    assert_eq!(*budget.lock(), before - ms(10));
    // One that uses less than it has booked pays for that much.
    let reading = &mut readings[0];
    assert!(begin(reading).is_ready(), "what is booked is there");
    work(us(200));
    assert!(begin(reading).is_ready(), "there is some of it left");
    work(us(100));
    reading.end();
    assert_eq!(*budget.lock(), before - ms(10) - us(700) * 5);
}

#[tokio::test]
async fn an_overdrawn_institution_waits_and_another_does_not() {
    let budgets = budgets(ms(100), ms(5));
    let now = Instant::now();
    let of = |institution: &str| Reading::new(budgets.of(institution.parse().unwrap(), now), clock);
    let (mut first, mut sibling, mut other) = (of("BANKDEFF"), of("BANKDEFF"), of("BANKFRPP"));
    assert!(begin(&mut first).is_ready());
    work(ms(9));
    first.end();
    // 4 ms too much, at a tenth of a processor.
    assert!(begin(&mut sibling).is_pending());
    assert!(begin(&mut other).is_ready());
    std::future::poll_fn(|context| sibling.poll_begin(context)).await;
    let waited = now.elapsed();
    assert!(waited >= ms(35) && waited < ms(2_000), "{waited:?}");
}

/// How long who reads `pieces` that cost `each` waits in all, if they come as fast as they are
/// read.
fn wait(pieces: u32, each: Duration) -> Duration {
    let limits = Limits::default();
    let start = Instant::now();
    let budget = Budgets::new(&limits).of("BANKDEFF".parse().unwrap(), start);
    let mut reading = Reading::new(budget.clone(), clock);
    let mut now = start;
    for _ in 0..pieces {
        now = reading.due(now).unwrap_or(now);
        now += each;
        // As at the end of a piece, at a time of ours.
        let covered = each.min(reading.booked);
        reading.booked -= covered;
        budget.charge(now, each - covered);
    }
    now - start - pieces * each
}

#[test]
fn a_dealing_of_8_mib_hardly_waits() {
    let pieces = (8 << 20) / Limits::default().turn_bytes as u32;
    assert_eq!(wait(pieces, us(20)), Duration::ZERO);
    let twice = wait(pieces, us(40));
    assert!(twice > ms(40) && twice < ms(80), "{twice:?}");
    // Frames made to cost much: a second of work takes five.
    let flood = wait(1_000, ms(1));
    assert!(flood > ms(3_800) && flood < ms(4_000), "{flood:?}");
}

#[test]
fn a_bank_that_submits_3000_transfers_a_second_never_waits() {
    let limits = Limits::default();
    let mut now = Instant::now();
    let budget = Budgets::new(&limits).of("BANKDEFF".parse().unwrap(), now);
    for call in 0..9_000 {
        // In flocks of 300, ten in a second.
        if call % 300 == 0 {
            now += ms(100);
        }
        assert_eq!(budget.book(now, LEAST), None, "call {call}");
        budget.charge(now, us(30));
    }
}
