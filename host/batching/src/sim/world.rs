//! What a machine, a model and its clients are like.

/// Seconds that a run of so many rows takes.
pub(super) type Run = fn(usize) -> f64;

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Load {
    /// So many clients, each with one request under way.
    Closed(usize),
    /// So many requests a second, at random times.
    Open(f64),
}

/// Times are seconds of a core.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) cores: usize,
    /// Threads that parse and answer.
    pub(crate) workers: usize,
    pub(crate) load: Load,
    /// Rows of a request.
    pub(crate) rows: usize,
    /// A request for the client.
    pub(crate) client: f64,
    /// A request for the server, without the run.
    pub(crate) request: f64,
    /// A batch, beside the run.
    pub(crate) batch: f64,
    /// To wake a thread.
    pub(crate) wake: f64,
    pub(crate) run: Run,
    /// Seconds that others use a core for at a time, and leave it alone, on average; 0 where
    /// there are none.
    pub(crate) others: [f64; 2],
    /// Of the random numbers.
    pub(crate) seed: u64,
    /// By how much of it work is shorter or longer.
    pub(crate) jitter: f64,
}

const MICROS: f64 = 1e-6;

impl World {
    /// Nearly nothing to compute.
    pub(crate) fn half_plus_two(load: Load) -> Self {
        Self {
            cores: 2,
            workers: 2,
            load,
            rows: 1,
            client: 17.0 * MICROS,
            request: 75.0 * MICROS,
            batch: 20.0 * MICROS,
            wake: 40.0 * MICROS,
            run: |_| 18.0 * MICROS,
            others: [0.0; 2],
            seed: 1,
            jitter: 0.5,
        }
    }

    /// The tutorial's network.
    pub(crate) fn cnn(load: Load) -> Self {
        Self {
            request: 85.0 * MICROS,
            run: cnn,
            ..Self::half_plus_two(load)
        }
    }

    /// The same with 16 rows in a request.
    pub(crate) fn cnn_16(load: Load) -> Self {
        Self {
            rows: 16,
            client: 30.0 * MICROS,
            request: 250.0 * MICROS,
            ..Self::cnn(load)
        }
    }

    /// The network on one kernel thread, where a single row is cheap.
    pub(crate) fn cnn_one(load: Load) -> Self {
        Self {
            run: |rows| (50.0 + 46.0 * rows as f64) * MICROS,
            ..Self::cnn(load)
        }
    }
}

/// Through what was measured; beyond it in proportion.
fn cnn(rows: usize) -> f64 {
    let rows = rows as f64;
    let line = |from: (f64, f64), to: (f64, f64)| {
        from.1 + (to.1 - from.1) * (rows - from.0) / (to.0 - from.0)
    };
    let (one, many, most) = ((1.0, 335.0), (32.0, 1_334.0), (64.0, 3_000.0));
    let micros = if rows <= many.0 {
        line(one, many)
    } else if rows <= most.0 {
        line(many, most)
    } else {
        most.1 * rows / most.0
    };
    micros * MICROS
}
