//! Everything that waits and runs, behind one lock that is held for a push or a pick, never while
//! a model runs.
//!
//! **Fairness:** threads go to the queue whose first request has the highest priority; among
//! those, to the model that has had the least of them so far, by time divided by weight; within a
//! model, to who has waited longest. A model that was idle starts where the others are: time that
//! nobody used cannot be saved up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tensorgate_types::{Deadline, Priority};

use crate::key::Key;
use crate::lane::Lane;
use crate::queue::Queue;
use crate::task::Task;
use crate::tuner::Setting;

pub(crate) struct State<H> {
    /// Lanes with somebody waiting or riding.
    lanes: BTreeMap<u64, Busy<H>>,
    /// What each model has had of the threads: seconds, divided by its weight. One entry per model
    /// that was ever asked.
    shares: HashMap<String, f64>,
    /// Until when somebody waits for what each thread runs; None for a thread that is idle.
    threads: Vec<Option<Deadline>>,
    /// Threads that wait to be woken.
    idle: usize,
    /// Of these, how many have been woken and did not get the lock yet.
    woken: usize,
    pub(crate) closed: bool,
    /// Whether nobody is to wait for others any more.
    hurry: bool,
    /// What the model with work that had least has had: where newcomers start.
    now_at: f64,
}

/// A lane with work.
struct Busy<H> {
    lane: Arc<Lane>,
    queues: Vec<Queue<H>>,
    running: usize,
    setting: Setting,
}

/// A batch on its way to a thread.
pub(crate) struct Batch<H> {
    pub(crate) lane: Arc<Lane>,
    pub(crate) riders: Vec<Task<H>>,
    /// None where they are run alone.
    pub(crate) batched: bool,
    /// What the lane was charged in advance.
    pub(crate) charged: Duration,
}

/// What a thread is to do.
pub(crate) enum Pick<H> {
    /// Run this.
    Run(Batch<H>),
    /// Nothing is ready before this instant; none: nothing waits.
    Wait(Option<Instant>),
    /// Ends.
    End,
}

/// Why a request was not taken.
pub(crate) enum Refused {
    /// The queue has so many batches of so many there may be.
    Full { enqueued: usize, limit: usize },
    /// As `Full`, where requests may be split: it has room for so many rows.
    FullForParts {
        capacity: usize,
        enqueued: usize,
        limit: usize,
        open: usize,
        size: usize,
    },
    /// Too many requests that cannot be batched wait.
    Alone { limit: usize },
    /// Those who go first take longer than it has.
    TooLate,
}

impl<H: Clone> State<H> {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            lanes: BTreeMap::new(),
            shares: HashMap::new(),
            threads: vec![None; threads],
            idle: 0,
            woken: 0,
            closed: false,
            hurry: false,
            now_at: 0.0,
        }
    }

    /// Adds a request, and says whether an idle thread should look at it. `fit` is the hash of its
    /// key, or none where it rides alone. Those who lost their places to it are put in `shed`,
    /// those who must not ride any more in `stayed`.
    pub(crate) fn push(
        &mut self,
        lane: &Arc<Lane>,
        task: Task<H>,
        fit: Option<u64>,
        alone_limit: usize,
        out: &mut Out<H>,
    ) -> Result<bool, Refused> {
        let threads = self.threads.len();
        let shares = &mut self.shares;
        let now_at = self.now_at;
        let busy = self.lanes.entry(lane.number()).or_insert_with(|| {
            let name = &lane.id().name;
            let had = match shares.get_mut(name) {
                Some(had) => had,
                None => shares.entry(name.clone()).or_default(),
            };
            // What it left unused while it was idle is gone.
            *had = had.max(now_at);
            Busy {
                lane: Arc::clone(lane),
                queues: Vec::new(),
                running: 0,
                setting: lane.setting(threads),
            }
        });
        let padded = lane.options().pad_variable_length_inputs;
        let found = busy.queues.iter().position(|queue| match fit {
            None => queue.key == Key::Alone,
            Some(hash) => queue.hash == hash && queue.key.fits(&task.calls[0], padded),
        });
        let index = found.unwrap_or_else(|| {
            let key = match fit {
                None => Key::Alone,
                Some(_) => Key::of(&task.calls[0], padded),
            };
            busy.queues.push(Queue::new(key, fit.unwrap_or(0)));
            busy.queues.len() - 1
        });
        let queue = &mut busy.queues[index];
        let now = task.arrived;
        let size = fit.map_or(1, |_| busy.setting.size);
        let at_once = size * busy.setting.parallel.min(threads);
        if !has_time(queue.rows(), lane, &task, size, at_once) {
            // The rows were a quick look: of those who will not ride, or whom it goes before, too.
            out.stayed
                .extend(queue.sweep(|task| must_stay(task, now, None)));
            let ahead = queue.rows_before(task.priority);
            if !has_time(ahead, lane, &task, size, at_once) {
                self.tidy(lane.number());
                out.refused = Some(task);
                return Err(Refused::TooLate);
            }
        }
        if let Err(refused) = room(queue, lane, &task, alone_limit) {
            // Before anybody is refused or shed: places of those who will not ride.
            out.stayed
                .extend(queue.sweep(|task| must_stay(task, now, None)));
            let mut refused = room(queue, lane, &task, alone_limit).err().map(|_| refused);
            while refused.is_some() {
                let Some(lower) = queue.shed(task.priority) else {
                    break;
                };
                out.shed.push(lower);
                refused = room(queue, lane, &task, alone_limit).err();
            }
            if let Some(refused) = refused {
                self.tidy(lane.number());
                out.refused = Some(task);
                return Err(refused);
            }
        }
        queue.push(task);
        let setting = &busy.setting;
        // A thread that waits for this queue to be full, or for its time, knows of it already.
        let news = queue.len() == 1
            || self.hurry
            || setting.wait.is_zero()
            || queue.key == Key::Alone
            || queue.rows() >= setting.enough;
        Ok(news && busy.running < setting.parallel && self.wake_one())
    }

    /// From now on nobody waits for others.
    pub(crate) fn hurry(&mut self) {
        self.hurry = true;
    }

    /// Whether there is an idle thread that nobody has woken yet; it counts as woken now.
    fn wake_one(&mut self) -> bool {
        let asleep = self.idle > self.woken;
        self.woken += usize::from(asleep);
        asleep
    }

    /// A thread lies down.
    pub(crate) fn lie_down(&mut self) {
        self.idle += 1;
    }

    /// A thread is up again: woken, or its time has come. Whoever gets up first takes the call;
    /// the other looks round in vain.
    pub(crate) fn get_up(&mut self) {
        self.idle -= 1;
        self.woken = self.woken.saturating_sub(1);
    }

    /// Whether there may be work for a thread that is idle; it counts as woken then.
    pub(crate) fn has_more(&mut self) -> bool {
        let has_work =
            |busy: &Busy<H>| busy.running < busy.setting.parallel && !busy.queues.is_empty();
        self.idle > self.woken && self.lanes.values().any(has_work) && self.wake_one()
    }

    /// The next batch for a thread.
    pub(crate) fn pick(&mut self, thread: usize, now: Instant, out: &mut Out<H>) -> Pick<H> {
        if self.closed {
            return Pick::End;
        }
        loop {
            let mut best: Option<(Rank, u64, usize)> = None;
            let mut earliest: Option<Instant> = None;
            let mut floor = f64::INFINITY;
            for (number, busy) in &self.lanes {
                let had = self.had(&busy.lane.id().name);
                floor = floor.min(had);
                if busy.running >= busy.setting.parallel {
                    continue;
                }
                for (index, queue) in busy.queues.iter().enumerate() {
                    let (Some(priority), Some(oldest)) = (queue.priority(), queue.oldest()) else {
                        continue;
                    };
                    let ready = oldest + busy.setting.wait;
                    let full = queue.key == Key::Alone || queue.rows() >= busy.setting.enough;
                    if !full && ready > now && !self.hurry {
                        earliest = Some(earliest.map_or(ready, |at| at.min(ready)));
                        continue;
                    }
                    let rank = Rank {
                        priority,
                        had,
                        oldest,
                    };
                    if best.as_ref().is_none_or(|(best, ..)| rank.is_before(best)) {
                        best = Some((rank, *number, index));
                    }
                }
            }
            if floor.is_finite() {
                self.now_at = self.now_at.max(floor);
            }
            let Some((_, number, index)) = best else {
                return Pick::Wait(earliest);
            };
            if let Some(batch) = self.cut(number, index, now, out) {
                self.threads[thread] = Some(last(&batch.riders));
                return Pick::Run(batch);
            }
            // All of them had to stay. Each turn takes somebody out, so this ends.
        }
    }

    fn cut(
        &mut self,
        number: u64,
        index: usize,
        now: Instant,
        out: &mut Out<H>,
    ) -> Option<Batch<H>> {
        let busy = self.lanes.get_mut(&number)?;
        let queue = &mut busy.queues[index];
        let batched = queue.key != Key::Alone;
        let lane = &busy.lane;
        let size = if batched { busy.setting.size } else { 1 };
        let split = batched && lane.options().splitting.is_some();
        let at_best = lane.at_best(now, 1);
        let cut = queue.cut(size, split, |task| must_stay(task, now, at_best));
        if queue.is_empty() {
            busy.queues.swap_remove(index);
        }
        out.stayed.extend(cut.stayed);
        if cut.riders.is_empty() {
            self.tidy(number);
            return None;
        }
        let rows = cut.riders.iter().map(|rider| rider.rows).sum();
        let batch = Batch {
            charged: lane.expects(rows).unwrap_or_default(),
            lane: Arc::clone(lane),
            riders: cut.riders,
            batched,
        };
        busy.running += 1;
        lane.note_cut();
        let lane = Arc::clone(lane);
        self.charge(&lane, batch.charged.as_secs_f64());
        Some(batch)
    }

    /// A thread has run a batch, which took so long; `setting` is what rules from now on.
    pub(crate) fn finish(
        &mut self,
        thread: usize,
        lane: &Arc<Lane>,
        charged: Duration,
        took: Duration,
        setting: Option<Setting>,
    ) {
        self.threads[thread] = None;
        self.charge(lane, took.as_secs_f64() - charged.as_secs_f64());
        if let Some(busy) = self.lanes.get_mut(&lane.number()) {
            busy.running -= 1;
            if let Some(setting) = setting {
                busy.setting = setting;
            }
        }
        self.tidy(lane.number());
    }

    fn charge(&mut self, lane: &Lane, seconds: f64) {
        if let Some(had) = self.shares.get_mut(&lane.id().name) {
            *had += seconds / lane.options().weight.max(1e-3);
        }
    }

    fn had(&self, model: &str) -> f64 {
        self.shares.get(model).copied().unwrap_or_default()
    }

    /// Forgets a lane that has nothing to do.
    fn tidy(&mut self, number: u64) {
        let Some(busy) = self.lanes.get_mut(&number) else {
            return;
        };
        busy.queues.retain(|queue| !queue.is_empty());
        if busy.running == 0 && busy.queues.is_empty() {
            busy.lane.rest();
            self.lanes.remove(&number);
        }
    }

    /// Threads that run for nobody: every rider's time is up.
    pub(crate) fn overdue(&self, now: Instant) -> usize {
        let deadlines = self.threads.iter().flatten();
        let overdue = deadlines.filter(|deadline| deadline.instant().is_some_and(|at| at <= now));
        overdue.count()
    }

    /// Whether all threads are.
    pub(crate) fn is_stuck(&self, now: Instant) -> bool {
        self.overdue(now) == self.threads.len()
    }

    /// Requests that wait, and threads that run.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        let queues = self.lanes.values().flat_map(|busy| &busy.queues);
        let running = self.threads.iter().flatten().count();
        (queues.map(Queue::len).sum(), running)
    }
}

impl<H> State<H> {
    /// Ends: gives back everybody who waits, and which threads are busy.
    pub(crate) fn close(&mut self) -> (Vec<Task<H>>, Vec<bool>) {
        self.closed = true;
        let queues = self.lanes.values_mut().flat_map(|busy| &mut busy.queues);
        let waiting = queues.flat_map(Queue::drain).collect();
        (waiting, self.threads.iter().map(Option::is_some).collect())
    }
}

/// Those who were taken out of queues under the lock, to be answered outside of it.
pub(crate) struct Out<H> {
    /// Their callers have gone or they cannot be answered in time.
    pub(crate) stayed: Vec<Task<H>>,
    /// They lost their places to a higher priority.
    pub(crate) shed: Vec<Task<H>>,
    /// It was not taken; its caller is told otherwise.
    pub(crate) refused: Option<Task<H>>,
}

impl<H> Default for Out<H> {
    fn default() -> Self {
        Self {
            stayed: Vec::new(),
            shed: Vec::new(),
            refused: None,
        }
    }
}

/// Who goes first.
#[derive(Clone, Copy)]
struct Rank {
    priority: Priority,
    had: f64,
    oldest: Instant,
}

impl Rank {
    fn is_before(&self, other: &Self) -> bool {
        other
            .priority
            .cmp(&self.priority)
            .then(self.had.total_cmp(&other.had))
            .then(self.oldest.cmp(&other.oldest))
            .is_lt()
    }
}

/// Whether a request must not ride: nobody waits for it, its time is up, or it will be before a
/// run can have ended.
pub(crate) fn must_stay<H>(task: &Task<H>, now: Instant, at_best: Option<Duration>) -> bool {
    let too_late = |at: Instant| at <= now + at_best.unwrap_or_default();
    task.reply.is_abandoned() || task.deadline.instant().is_some_and(too_late)
}

/// Until when somebody waits for one of these.
pub(crate) fn last<H>(riders: &[Task<H>]) -> Deadline {
    let instants = riders.iter().map(|rider| rider.deadline.instant());
    instants
        .reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b)))
        .flatten()
        .map_or(Deadline::NEVER, Deadline::at)
}

/// Whether a request can be answered in time when so many rows go before it, `size` of them in a
/// run and `at_once` in all runs at once: as far as past runs tell, and at best.
fn has_time<H>(ahead: usize, lane: &Lane, task: &Task<H>, size: usize, at_once: usize) -> bool {
    let rounds = ahead.checked_div(at_once).unwrap_or(0);
    let Some(at) = task.deadline.instant().filter(|_| rounds > 0) else {
        return true;
    };
    let now = task.arrived;
    let Some(run) = lane.at_best(now, size) else {
        return true;
    };
    let own = lane.at_best(now, task.rows).unwrap_or_default();
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    at.saturating_duration_since(now) > run.saturating_mul(rounds).saturating_add(own)
}

/// Whether a queue has room for a request.
fn room<H: Clone>(
    queue: &Queue<H>,
    lane: &Lane,
    task: &Task<H>,
    alone_limit: usize,
) -> Result<(), Refused> {
    if queue.key == Key::Alone {
        return if queue.len() < alone_limit {
            Ok(())
        } else {
            Err(Refused::Alone { limit: alone_limit })
        };
    }
    let options = lane.options();
    let size = options.execution_batch_size();
    let limit = options.max_enqueued_batches.max(1);
    let capacity = limit.saturating_mul(size);
    // Whatever its size, a request that finds nobody waits for nobody.
    if queue.is_empty() || queue.rows().saturating_add(task.rows) <= capacity {
        return Ok(());
    }
    let enqueued = queue.rows().div_ceil(size);
    if options.splitting.is_some() {
        return Err(Refused::FullForParts {
            capacity: capacity.saturating_sub(queue.rows()),
            enqueued,
            limit,
            open: queue.rows() % size,
            size,
        });
    }
    Err(Refused::Full { enqueued, limit })
}
