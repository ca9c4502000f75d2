//! How long a component has been at it, by two clocks.
//!
//! The *deadline* is the client's: it runs on, whatever the request waits for. *Own time* is what
//! the component spends by itself: the time in which its future is being polled (computing, and
//! host calls that it made), and the time in which it sleeps by its own choice. Waiting for a
//! model, or for its turn on the thread, is not its own time.
//!
//! On threads that give way to others, what passes while it is polled is mostly the others' time:
//! there the thread's own clock counts, which only runs while it has a CPU ([`Pace`]).
//!
//! [`Metered`] polls the component's call and keeps both clocks; [`Meter`] is the part that host
//! functions and the epoch callback see.
//!
//! **Ordering:** a `Meter` is only touched by the task that polls the call. It is made of atomics
//! because two owners share it (the store, and the future around the store's call), not because
//! two threads do; relaxed is enough.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tensorgate_types::Deadline;
use tokio::time::Sleep;

/// What a component has after its deadline passed inside a model's run, to word its answer: it
/// was told in time, and its own words are better for clients than ours.
const GRACE: Duration = Duration::from_millis(250);

/// No instant, where an instant is a number of nanoseconds.
const NONE: u64 = u64::MAX;

/// Why a call was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the deadline passed")]
    Deadline,
    #[error("the component's own time is used up")]
    OwnTime,
}

/// How the time is measured in which a component is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Pace {
    /// By the wall. Reading it costs next to nothing.
    #[default]
    Wall,
    /// By the CPU that the thread had. Reading it is a system call.
    Cpu,
}

impl Pace {
    /// Nanoseconds since some beginning; of a thread's own, with [`Pace::Cpu`].
    fn now(self, meter: &Meter) -> u64 {
        match self {
            Self::Wall => meter.now(),
            Self::Cpu => {
                let time = clock_gettime(ClockId::ThreadCPUTime);
                // Neither is ever negative.
                let part = |part: i64| u64::try_from(part).unwrap_or(0);
                part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
            }
        }
    }
}

/// The clocks of one request. All times are nanoseconds since `start`.
#[derive(Debug)]
pub(crate) struct Meter {
    start: Instant,
    deadline: u64,
    limit: u64,
    /// When the call is cut: the deadline, or a little later once the component knows of it.
    cut_at: AtomicU64,
    /// Own time up to the last poll.
    spent: AtomicU64,
    pace: Pace,
    /// When the poll that goes on now began, by `pace`.
    polled_at: AtomicU64,
    /// A model is running for the component.
    in_model: AtomicBool,
    /// The component was interrupted to let others have the thread.
    yielded: AtomicBool,
}

impl Meter {
    pub(crate) fn new(limit: Duration, deadline: Deadline, pace: Pace) -> Arc<Self> {
        let start = Instant::now();
        let deadline = deadline
            .instant()
            .map_or(NONE, |at| nanos(at.saturating_duration_since(start)));
        Arc::new(Self {
            start,
            deadline,
            limit: nanos(limit),
            cut_at: AtomicU64::new(deadline),
            spent: AtomicU64::new(0),
            pace,
            polled_at: AtomicU64::new(NONE),
            in_model: AtomicBool::new(false),
            yielded: AtomicBool::new(false),
        })
    }

    /// Own time up to now.
    pub(crate) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Relaxed))
    }

    /// Whether the component may go on. Asked at each tick.
    pub(crate) fn check(&self) -> Result<(), Cut> {
        if self.now() >= self.cut_at.load(Relaxed) {
            return Err(Cut::Deadline);
        }
        let this_poll = self
            .pace
            .now(self)
            .saturating_sub(self.polled_at.load(Relaxed));
        if self.spent.load(Relaxed).saturating_add(this_poll) >= self.limit {
            return Err(Cut::OwnTime);
        }
        Ok(())
    }

    /// Says that the component is about to let others have the thread.
    pub(crate) fn note_yield(&self) {
        self.yielded.store(true, Relaxed);
    }

    /// Runs a model for the component: `None` when the deadline passes first.
    ///
    /// Once the deadline has passed, the component has some grace to word its answer.
    pub(crate) async fn in_model<F: Future>(&self, run: F) -> Option<F::Output> {
        self.in_model.store(true, Relaxed);
        let result = match self.deadline {
            NONE => Some(run.await),
            at if at <= self.now() => None,
            at => {
                let at = self.start + Duration::from_nanos(at);
                tokio::time::timeout_at(at.into(), run).await.ok()
            }
        };
        self.in_model.store(false, Relaxed);
        if result.is_none() || (self.deadline != NONE && self.now() >= self.deadline) {
            // Measured from the deadline, so that asking again wins nothing.
            let grace = self.deadline.saturating_add(nanos(GRACE));
            self.cut_at.store(grace, Relaxed);
        }
        result
    }

    fn now(&self) -> u64 {
        nanos(self.start.elapsed())
    }

    fn spend(&self, time: u64) {
        self.spent
            .store(self.spent.load(Relaxed).saturating_add(time), Relaxed);
    }

    /// Why and when a component that sleeps must be woken.
    fn alarm(&self, now: u64) -> (u64, Cut) {
        let left = self.limit.saturating_sub(self.spent.load(Relaxed));
        let own = now.saturating_add(left);
        let deadline = self.cut_at.load(Relaxed);
        if deadline <= own {
            (deadline, Cut::Deadline)
        } else {
            (own, Cut::OwnTime)
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    // 584 years: whatever is longer is for ever.
    u64::try_from(duration.as_nanos()).unwrap_or(NONE)
}

/// A component's call with its clocks.
pub(crate) struct Metered<F> {
    call: F,
    meter: Arc<Meter>,
    /// Since when the component sleeps.
    asleep_since: Option<u64>,
    /// Made when a component first sleeps, which an ordinary one never does.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<F> Metered<F> {
    pub(crate) fn new(meter: Arc<Meter>, call: F) -> Self {
        Self {
            call,
            meter,
            asleep_since: None,
            alarm: None,
        }
    }
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = Result<F::Output, Cut>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(since) = this.asleep_since.take() {
            this.meter.spend(this.meter.now().saturating_sub(since));
        }
        let pace = this.meter.pace;
        let began = pace.now(&this.meter);
        this.meter.polled_at.store(began, Relaxed);
        let poll = Pin::new(&mut this.call).poll(context);
        // A poll is on one thread, so that its clock is the same one.
        let took = pace.now(&this.meter).saturating_sub(began);
        this.meter.spend(took);
        match poll {
            Poll::Ready(output) => return Poll::Ready(Ok(output)),
            // Woken already.
            Poll::Pending if this.meter.yielded.swap(false, Relaxed) => return Poll::Pending,
            // `in_model` has a timer of its own.
            Poll::Pending if this.meter.in_model.load(Relaxed) => return Poll::Pending,
            Poll::Pending => {}
        }
        let ended = this.meter.now();
        this.asleep_since = Some(ended);
        let (at, cut) = this.meter.alarm(ended);
        if at <= ended {
            return Poll::Ready(Err(cut));
        }
        let at = this.meter.start + Duration::from_nanos(at.min(nanos(FAR)));
        let alarm = this
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
        alarm.as_mut().reset(at.into());
        alarm.as_mut().poll(context).map(|()| Err(cut))
    }
}

/// As far as a timer needs to look ahead: nobody waits for a year.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::pin::pin;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn cuts_a_sleeper_when_its_own_time_is_used_up() {
        let meter = Meter::new(SECOND, Deadline::NEVER, Pace::Wall);
        let result = Metered::new(meter, pin!(pending::<()>())).await;
        assert_eq!(result, Err(Cut::OwnTime));
    }

    #[tokio::test(start_paused = true)]
    async fn cuts_a_sleeper_at_the_deadline() {
        let meter = Meter::new(10 * SECOND, Deadline::after(SECOND), Pace::Wall);
        let result = Metered::new(meter, pin!(pending::<()>())).await;
        assert_eq!(result, Err(Cut::Deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_model_is_not_the_component_s_own_time() {
        let meter = Meter::new(SECOND, Deadline::NEVER, Pace::Wall);
        let model = tokio::time::sleep(1000 * SECOND);
        let in_model = Arc::clone(&meter);
        let call = async move { in_model.in_model(model).await };
        let result = Metered::new(meter, pin!(call)).await;
        assert_eq!(result, Ok(Some(())));
    }

    #[tokio::test(start_paused = true)]
    async fn tells_the_component_when_the_deadline_passes_in_a_model() {
        let meter = Meter::new(SECOND, Deadline::after(SECOND), Pace::Wall);
        let inner = Arc::clone(&meter);
        let call = async move {
            let answer = inner.in_model(pending::<()>()).await;
            (answer, inner.check())
        };
        let result = Metered::new(meter, pin!(call)).await;
        assert_eq!(result, Ok((None, Ok(()))));
    }

    #[tokio::test]
    async fn a_component_that_computes_spends_its_own_time() {
        let meter = Meter::new(Duration::from_nanos(1), Deadline::NEVER, Pace::Wall);
        let inner = Arc::clone(&meter);
        let call = poll_fn(move |_| {
            std::hint::black_box(std::thread::current());
            Poll::Ready(inner.check())
        });
        let result = Metered::new(meter, pin!(call)).await;
        assert_eq!(result, Ok(Err(Cut::OwnTime)));
    }

    #[tokio::test]
    async fn the_thread_s_clock_stands_still_while_it_has_no_cpu() {
        // It sleeps, which is to both clocks what being kept from the CPU is.
        let starved = |pace| async move {
            let meter = Meter::new(Duration::from_millis(50), Deadline::NEVER, pace);
            let inner = Arc::clone(&meter);
            let call = poll_fn(move |_| {
                std::thread::sleep(Duration::from_millis(60));
                Poll::Ready(inner.check())
            });
            Metered::new(meter, pin!(call)).await
        };
        assert_eq!(starved(Pace::Wall).await, Ok(Err(Cut::OwnTime)));
        assert_eq!(starved(Pace::Cpu).await, Ok(Ok(())));
        let meter = Meter::new(Duration::from_millis(5), Deadline::NEVER, Pace::Cpu);
        let inner = Arc::clone(&meter);
        let call = poll_fn(move |_| {
            // It computes until it is told to stop.
            let mut told = inner.check();
            while told.is_ok() {
                told = inner.check();
            }
            Poll::Ready(told)
        });
        assert_eq!(Metered::new(meter, pin!(call)).await, Ok(Err(Cut::OwnTime)));
    }

    #[test]
    fn a_deadline_that_has_passed_cuts_at_the_next_tick() {
        let meter = Meter::new(SECOND, Deadline::after(Duration::ZERO), Pace::Wall);
        assert_eq!(meter.check(), Err(Cut::Deadline));
    }
}
