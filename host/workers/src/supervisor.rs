//! The life of one worker: a process is started when there is a model for it, and again when it
//! has ended by itself; it is ended when there is no model for it any more, so that its memory
//! goes back to the machine and to the GPU.
//!
//! ```text
//!   Asleep ──a model──▶ Starting ──all loaded──▶ Up ──no model──▶ Asleep
//!                          ▲  └──── ended ────┐  │ ended
//!                          └──── a while ── Down ◀┘
//! ```
//!
//! **Invariant:** a process is started and waited for by one thread: the system ends it with the
//! thread that has started it.
//!
//! **Ordering:** a restarted worker loads what it held before it is given a run.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tensorgate_types::{Error, ErrorCode};

use crate::link::{Link, Lost};
use crate::message;
use crate::state::{End, Seat, SeatStage, Shared, WorkerStage};

/// Between an end and the next start, when the worker has hardly lived: doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// And no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Who has lived so long had no trouble in starting.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// Between two attempts to load again what could not be loaded after a restart.
const AGAIN: Duration = Duration::from_secs(10);

/// A model that has ended its worker so often while it was loaded again is left out for a while,
/// for the sake of the others.
const MAX_KILLS: u32 = 2;

/// And for no longer than this.
const LONGEST_LEFT_OUT: Duration = Duration::from_secs(300);

/// Keeps the worker alive while it is needed; returns when the fleet is closed.
pub(crate) fn supervise(shared: &Shared, worker: usize) {
    let mut failures = 0;
    while until_wanted(shared, worker) {
        let started = Instant::now();
        let Some(end) = live(shared, worker) else {
            failures = 0;
            continue;
        };
        failures = match started.elapsed() {
            long if long >= LONG_LIFE => 1,
            _ => failures + 1,
        };
        let pause = pause(failures);
        let name = shared.name(worker);
        tracing::error!("{name} {}; it is started again in {pause:?}", end.how);
        down(shared, worker, end, pause);
        if !rest(shared, worker, pause) {
            failures = 0;
        }
    }
}

fn pause(failures: u32) -> Duration {
    match failures {
        // It may have been killed by mistake, or run out of memory once.
        0 | 1 => Duration::ZERO,
        more => FIRST_PAUSE
            .saturating_mul(1 << (more - 2).min(16))
            .min(LONGEST_PAUSE),
    }
}

/// How long a model is left out that has ended its worker so often; `first` after [`MAX_KILLS`].
fn left_out(first: Duration, kills: u32) -> Duration {
    first
        .saturating_mul(1 << kills.saturating_sub(MAX_KILLS).min(16))
        .min(LONGEST_LEFT_OUT)
}

/// Returns when there is a model for it; `false` when there will be none.
fn until_wanted(shared: &Shared, worker: usize) -> bool {
    let mut state = shared.lock();
    loop {
        if state.closing {
            return false;
        }
        let of = &mut state.workers[worker];
        if !of.seats.is_empty() {
            of.stage = WorkerStage::Starting;
            shared.notify();
            return true;
        }
        of.stage = WorkerStage::Asleep;
        of.back_at = None;
        state = shared.wait(state, None);
    }
}

/// Waits before the next start; `false` when it is not wanted any more.
fn rest(shared: &Shared, worker: usize, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    let mut state = shared.lock();
    loop {
        if state.closing || state.workers[worker].seats.is_empty() {
            return false;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        state = shared.wait(state, Some(left));
    }
}

/// The process has ended: what it held is to be loaded again.
fn down(shared: &Shared, worker: usize, end: End, pause: Duration) {
    let mut state = shared.lock();
    let of = &mut state.workers[worker];
    of.stage = WorkerStage::Down;
    of.back_at = Some(Instant::now() + pause + of.start_took);
    of.ends += 1;
    of.last_end = Some(end);
    for seat in of.seats.values_mut() {
        if matches!(seat.stage, SeatStage::Ready) {
            seat.stage = SeatStage::Due;
        }
    }
    shared.notify();
}

/// One process, from its start to its end; none when it was told to end.
fn live(shared: &Shared, worker: usize) -> Option<End> {
    let failed = |problem: &dyn std::fmt::Display| {
        Some(End {
            how: format!("cannot be started: {problem}"),
            refused: None,
        })
    };
    let started = Instant::now();
    let (socket, mut process) = match shared.specs[worker].launch.launch() {
        Ok(launched) => launched,
        Err(error) => return failed(&error),
    };
    shared.lock().workers[worker].pid = Some(process.id());
    let traffic = Arc::clone(&shared.lock().workers[worker].traffic);
    let end = match Link::new(socket, traffic) {
        Ok(link) => {
            let link = Arc::new(link);
            let mut state = shared.lock();
            state.workers[worker].any_link = Some(Arc::clone(&link));
            let closing = state.closing;
            drop(state);
            if closing {
                None
            } else {
                use_link(shared, worker, &link, started)
            }
        }
        Err(error) => failed(&error),
    };
    process.kill();
    let how = process.wait();
    let mut state = shared.lock();
    state.workers[worker].pid = None;
    state.workers[worker].any_link = None;
    shared.notify();
    drop(state);
    end.map(|end| match end.how.is_empty() {
        true => End {
            how: format!("ended with {how}"),
            ..end
        },
        false => end,
    })
}

/// Uses the process until it ends, or is not needed any more. An end without words is one of the
/// process's own.
fn use_link(shared: &Shared, worker: usize, link: &Arc<Link>, started: Instant) -> Option<End> {
    thread::scope(|scope| {
        let reader = thread::Builder::new()
            .name(format!("tg-answers-{worker}"))
            .spawn_scoped(scope, || {
                link.hand_out();
                // Under the lock, so that nobody looks before it and sleeps after it.
                let _state = shared.lock();
                shared.notify();
            });
        let end = match reader {
            Err(error) => Some(End {
                how: format!("cannot be started: {error}"),
                refused: None,
            }),
            Ok(_) => match start(shared, worker, link) {
                Err(Lost) => Some(End {
                    how: String::new(),
                    refused: None,
                }),
                Ok(Err(error)) => Some(End {
                    how: format!("cannot work: {}", error.message()),
                    refused: Some(error),
                }),
                Ok(Ok(())) => stay(shared, worker, link, started),
            },
        };
        // Lets the reader go, too.
        link.close();
        end
    })
}

/// Says hello, and has everything loaded that should be there.
fn start(shared: &Shared, worker: usize, link: &Link) -> Result<Result<(), Error>, Lost> {
    let spec = &shared.specs[worker];
    let hello = |number| message::hello(number, shared.threads, &spec.settings);
    match link.call_within(spec.start_limit, hello)? {
        Some(Ok(_)) => {}
        Some(Err(error)) => return Ok(Err(error)),
        None => {
            let message = format!("it was not ready after {:?}", spec.start_limit);
            return Ok(Err(Error::new(ErrorCode::Unavailable, message)));
        }
    }
    reload(shared, worker, link, |seat| {
        matches!(seat.stage, SeatStage::Due)
    })?;
    Ok(Ok(()))
}

/// Loads the models whose seats are meant.
fn reload(
    shared: &Shared,
    worker: usize,
    link: &Link,
    is_meant: impl Fn(&Seat) -> bool,
) -> Result<(), Lost> {
    let state = shared.lock();
    let seats = state.workers[worker].seats.iter();
    let due: Vec<_> = seats
        .filter(|(_, seat)| is_meant(seat))
        .map(|(number, seat)| (*number, seat.path.clone(), seat.how.clone()))
        .collect();
    drop(state);
    for (number, path, how) in due {
        let answer = link.call(|call| message::load(call, number, &path, &how));
        let mut state = shared.lock();
        // Somebody may have unloaded it meanwhile, from a worker that did not have it yet.
        let Some(seat) = state.workers[worker].seats.get_mut(&number) else {
            drop(state);
            link.call(|call| message::unload(call, number))?.ok();
            continue;
        };
        let name = shared.name(worker);
        match answer {
            Ok(Ok(_)) => {
                seat.stage = SeatStage::Ready;
                seat.kills = 0;
            }
            Ok(Err(error)) => {
                tracing::error!("{name} cannot load {} again: {error}", seat.name);
                let again_at = Instant::now() + AGAIN;
                seat.stage = SeatStage::Failed { error, again_at };
            }
            Err(Lost) => {
                seat.kills += 1;
                if seat.kills >= MAX_KILLS {
                    let pause = left_out(shared.specs[worker].left_out, seat.kills);
                    let message = format!(
                        "its process has ended {} times while it did so; it is left out for \
                         {pause:?}",
                        seat.kills
                    );
                    tracing::error!("{name} cannot load {} again: {message}", seat.name);
                    seat.stage = SeatStage::Failed {
                        error: Error::unavailable(message),
                        again_at: Instant::now() + pause,
                    };
                }
                return Err(Lost);
            }
        }
    }
    Ok(())
}

/// Lets runs come, until the process ends or is not needed any more.
fn stay(shared: &Shared, worker: usize, link: &Arc<Link>, started: Instant) -> Option<End> {
    let mut state = shared.lock();
    let of = &mut state.workers[worker];
    of.stage = WorkerStage::Up;
    of.link = Some(Arc::clone(link));
    of.back_at = None;
    of.start_took = started.elapsed();
    let (name, pid) = (shared.name(worker), of.pid.unwrap_or_default());
    tracing::info!("{name} is up: process {pid}, after {:?}", of.start_took);
    shared.notify();
    loop {
        let closing = state.closing;
        let of = &mut state.workers[worker];
        if link.is_closed() {
            of.link = None;
            return Some(End {
                how: String::new(),
                refused: None,
            });
        }
        if closing || of.seats.is_empty() {
            of.link = None;
            of.stage = WorkerStage::Asleep;
            tracing::info!("{name} has no model any more: process {pid} is ended");
            return None;
        }
        let again_at = of.seats.values().filter_map(Seat::again_at).min();
        let now = Instant::now();
        if again_at.is_some_and(|again_at| again_at <= now) {
            drop(state);
            // Lost: seen above.
            let _lost = reload(shared, worker, link, |seat| {
                seat.again_at().is_some_and(|again_at| again_at <= now)
            });
            state = shared.lock();
            shared.notify();
            continue;
        }
        let limit = again_at.map(|again_at| again_at.saturating_duration_since(now));
        state = shared.wait(state, limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hardly_lives_is_started_later_and_later() {
        let pauses: Vec<u128> = (1..=9).map(|n| pause(n).as_millis()).collect();
        assert_eq!(
            pauses,
            [0, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]
        );
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_model_that_ends_its_worker_is_left_out_for_longer_and_longer() {
        let first = Duration::from_secs(30);
        let pauses: Vec<u64> = (2..=7).map(|n| left_out(first, n).as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 300, 300]);
        assert_eq!(left_out(first, u32::MAX), LONGEST_LEFT_OUT);
    }
}
