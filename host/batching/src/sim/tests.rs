//! The adaptive mode against every setting of a grid, on the same machine in virtual time.

use std::collections::BTreeSet;

use super::*;
use crate::options::Adaptive;

const SIZES: [usize; 5] = [8, 16, 32, 64, 128];
const MICROS: [u64; 5] = [0, 500, 1_000, 2_000, 5_000];
const CLIENTS: [usize; 5] = [1, 4, 16, 64, 256];

/// Which part of the grid's best is asked of the adaptive mode, its trials included.
const PART: f64 = 0.9;
/// How long it may take to come to that, from a cold start or after a change.
const SECONDS: f64 = 2.0;

fn options(size: usize, wait: Duration) -> LaneOptions {
    LaneOptions {
        max_batch_size: size,
        batch_timeout: wait,
        max_enqueued_batches: 1_000,
        ..LaneOptions::default()
    }
}

fn adaptive(world: World) -> Sim {
    aiming_at(world, Duration::from_millis(100))
}

fn aiming_at(world: World, latency_target: Duration) -> Sim {
    let options = LaneOptions {
        adaptive: Some(Adaptive { latency_target }),
        ..options(1_024, Duration::ZERO)
    };
    Sim::new(world, options, world.cores)
}

fn fixed(world: World, size: usize, wait: Duration, threads: usize) -> Report {
    let mut sim = Sim::new(world, options(size, wait), threads);
    sim.run(0.1);
    sim.run(0.2)
}

/// What does no harm: batches of 32, cut as soon as a thread is free.
fn plain(world: World) -> Report {
    fixed(world, 32, Duration::ZERO, world.cores)
}

/// What every setting of the grid comes to; of sizes that no batch can have, the smallest stands
/// for all.
fn grid(world: World) -> Vec<(String, Report)> {
    let most = match world.load {
        Load::Closed(clients) => clients * world.rows,
        Load::Open(_) => usize::MAX,
    };
    let mut all = Vec::new();
    for size in SIZES.into_iter().filter(|size| size / 2 < most.max(8)) {
        for micros in MICROS {
            for threads in BTreeSet::from([1, 2, world.cores]) {
                let report = fixed(world, size, Duration::from_micros(micros), threads);
                all.push((format!("b{size} t{micros} x{threads}"), report));
            }
        }
    }
    all
}

/// The most rows per second, and which setting that was.
fn fastest(world: World) -> (String, Report) {
    let rate = |tried: &(String, Report)| tried.1.rows_per_s;
    let all = grid(world).into_iter();
    all.max_by(|one, other| rate(one).total_cmp(&rate(other)))
        .unwrap()
}

fn show(what: &str, report: &Report) {
    println!(
        "  {what}: {:.0} rows/s, p50 {:?}, p99 {:?}, {:.1} rows a run",
        report.rows_per_s, report.p50, report.p99, report.rows_per_run
    );
}

/// Closed loops from a cold start.
fn keeps_up(world: fn(Load) -> World) {
    let loads = CLIENTS.map(Load::Closed);
    keeps_up_with(&loads.map(world));
}

fn keeps_up_with(worlds: &[World]) {
    for world in worlds.iter().copied() {
        let (name, best) = fastest(world);
        let plain = plain(world);
        let mut sim = adaptive(world);
        let (cold, warm) = (sim.run(SECONDS), sim.run(4.0));
        println!("{:?}; the best of the grid is {name}", world.load);
        for (what, report) in [("best", &best), ("plain", &plain)] {
            show(what, report);
        }
        show("cold", &cold);
        show("warm", &warm);
        assert!(warm.rows_per_s > PART * best.rows_per_s, "{world:?}");
        assert!(cold.rows_per_s > 0.95 * plain.rows_per_s, "{world:?}");
    }
}

#[test]
fn keeps_up_with_the_grid_where_nothing_is_computed() {
    keeps_up(World::half_plus_two);
}

#[test]
fn keeps_up_with_the_grid_where_single_rows_are_dear() {
    keeps_up(World::cnn);
}

#[test]
fn keeps_up_with_the_grid_where_single_rows_are_cheap() {
    keeps_up(World::cnn_one);
}

#[test]
fn keeps_up_with_the_grid_with_sixteen_rows_a_request() {
    keeps_up(World::cnn_16);
}

/// More cores, and clients that cost next to nothing.
#[test]
fn keeps_up_with_the_grid_on_eight_cores() {
    let large = |world: World| World {
        cores: 8,
        workers: 8,
        client: world.client / 8.0,
        ..world
    };
    keeps_up_with(&[
        large(World::half_plus_two(Load::Closed(16))),
        large(World::cnn(Load::Closed(64))),
    ]);
}

/// What comes at random is served whatever is set, so only the times count. Trials may make the
/// 99th percentile half as long again as with what waits for nobody, in the first seconds twice as
/// long. A setting of the grid that spares the machine can do better than either: what requests
/// take outside of the belt the belt cannot see.
#[test]
fn answers_in_time_when_requests_come_at_random() {
    let worlds = [
        World::half_plus_two,
        World::cnn,
        World::cnn_one,
        World::cnn_16,
    ];
    for world in worlds {
        let closed = world(Load::Closed(256));
        let half = fastest(closed).1.rows_per_s / closed.rows as f64 / 2.0;
        let world = world(Load::Open(half));
        let all = grid(world);
        let (name, best) = all.iter().min_by_key(|(_, report)| report.p99).unwrap();
        let plain = plain(world);
        let mut sim = adaptive(world);
        let (cold, warm) = (sim.run(SECONDS), sim.run(6.0));
        println!("{half:.0} requests/s; the best of the grid is {name}");
        for (what, report) in [("best", best), ("plain", &plain)] {
            show(what, report);
        }
        show("cold", &cold);
        show("warm", &warm);
        assert!(warm.rows_per_s > 0.95 * plain.rows_per_s);
        assert!(cold.p99 < plain.p99 * 2, "{cold:?}");
        assert!(warm.p99 < plain.p99 * 3 / 2, "{warm:?}");
        assert!(warm.p99 < best.p99 * 5 / 2, "{warm:?}");
    }
}

/// One server for all of it: what it learnt from one load must not stand in the next one's way.
#[test]
fn follows_every_change_of_the_load() {
    let closed = Load::Closed;
    let turns = [
        ("one client", World::cnn(closed(1)), 0.0),
        ("many", World::cnn(closed(64)), 0.0),
        ("one again", World::cnn(closed(1)), 0.0),
        ("some", World::cnn(closed(16)), 0.0),
        ("very many", World::cnn(closed(256)), 0.0),
        ("many", World::cnn(closed(64)), 0.0),
        ("sixteen rows each", World::cnn_16(closed(64)), 0.0),
        ("one row each", World::cnn(closed(64)), 0.0),
        ("many after a pause", World::cnn(closed(64)), 5.0),
        ("one after a pause", World::cnn(closed(1)), 5.0),
        ("many, cheap runs", World::half_plus_two(closed(64)), 0.0),
        ("dear runs", World::cnn(closed(64)), 0.0),
        ("cheaper runs", World::cnn_one(closed(64)), 0.0),
        ("few", World::cnn_one(closed(4)), 0.0),
        ("many, cheap runs", World::half_plus_two(closed(64)), 0.0),
        ("one", World::half_plus_two(closed(1)), 0.0),
    ];
    let mut sim = adaptive(turns[0].1);
    for (what, world, pause) in turns {
        if pause > 0.0 {
            sim.put(Load::Closed(0));
            sim.run(pause);
        }
        sim.turn_to(world);
        let (name, best) = fastest(world);
        let (first, then) = (sim.run(SECONDS), sim.run(2.0));
        println!("{what}; the best of the grid is {name}");
        show("best", &best);
        show("first", &first);
        show("then", &then);
        assert!(then.rows_per_s > PART * best.rows_per_s, "{what}");
    }
}

/// Runs that take long to begin, and a load that one thread could not serve: no trial may make a
/// queue that takes seconds to go away.
#[test]
fn trials_keep_to_the_target() {
    let world = World {
        run: |rows| 0.010 + 0.000_1 * rows as f64,
        ..World::cnn(Load::Open(3_000.0))
    };
    let mut sim = Sim::new(world, options(32, Duration::ZERO), 2);
    let plain = sim.run(6.0);
    show("plain", &plain);
    for target in [40, 100, 1_000] {
        let mut sim = aiming_at(world, Duration::from_millis(target));
        let (cold, warm) = (sim.run(SECONDS), sim.run(6.0));
        println!("a target of {target} ms");
        show("cold", &cold);
        show("warm", &warm);
        assert!(warm.rows_per_s > 0.95 * plain.rows_per_s, "{warm:?}");
        // Waits of a hundredth of the target are tried whatever they cost, so a tenth is in sight.
        let most = (plain.p99 * 3 / 2).max(Duration::from_millis(target) / 10);
        for report in [cold, warm] {
            assert!(report.p99 < most, "{report:?}");
        }
    }
}

/// Slices in which somebody else used a core must not be taken for what a setting does.
#[test]
fn is_not_led_astray_by_others_on_the_machine() {
    for world in [World::half_plus_two, World::cnn, World::cnn_16] {
        let mut world = world(Load::Closed(64));
        world.others = [0.01, 0.09];
        let mut rates = Vec::new();
        for size in [8, 32, 64] {
            for micros in [0, 2_000] {
                let wait = Duration::from_micros(micros);
                let mut sim = Sim::new(world, options(size, wait), 2);
                rates.push(sim.run(1.0).rows_per_s);
            }
        }
        let best = rates.iter().copied().reduce(f64::max).unwrap();
        let mut sim = adaptive(world);
        let (cold, warm) = (sim.run(SECONDS), sim.run(6.0));
        println!("others at work: the best has {best:.0} rows/s");
        show("cold", &cold);
        show("warm", &warm);
        assert!(warm.rows_per_s > 0.8 * best, "{warm:?}");
    }
}

#[test]
fn gives_the_same_figures_every_time() {
    let run = || adaptive(World::cnn(Load::Closed(16))).run(0.5);
    let (one, other) = (run(), run());
    assert_eq!((one.rows_per_s, one.p99), (other.rows_per_s, other.p99));
}
