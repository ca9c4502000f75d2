//! Who computed for how long: a server with all its processes, this program, and the machine.
//!
//! The kernel counts in `/proc`, in ticks of mostly 10 ms. Over a window of a second and more that
//! is exact enough, and reading it costs the server nothing.
//!
//! Invariant: what a process has used only rises while it lives; a process that ends takes its
//! share away, so servers must keep their processes through a window.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// One process, by its `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    id: u32,
    parent: u32,
    group: u32,
    /// In user mode and in the kernel for it, of all its threads.
    ticks: u64,
}

/// The parts that are wanted of a line of `/proc/PID/stat`.
///
/// The name, in brackets, may hold blanks and brackets; everything else is after the last one.
fn parse_process(line: &str) -> Option<Process> {
    let (id, _) = line.split_once(' ')?;
    let (_, rest) = line.rsplit_once(')')?;
    // From field 3, the state.
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| -> Option<u64> { fields.get(field - 3)?.parse().ok() };
    let small = |field: usize| u32::try_from(number(field)?).ok();
    Some(Process {
        id: id.parse().ok()?,
        parent: small(4)?,
        group: small(5)?,
        ticks: number(14)? + number(15)?,
    })
}

/// The ticks in which any CPU of the machine computed, from the text of `/proc/stat`: everything
/// but idling and waiting for disks. What a hypervisor took counts: nobody here had it.
fn parse_machine(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("cpu "))?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map_while(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; what guests used is in user.
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields[..] else {
        return None;
    };
    Some(user + nice + system + irq + softirq + steal)
}

/// `root`, those that it started, those that these started, and whoever shares its group.
fn family(processes: &[Process], root: u32) -> Vec<Process> {
    let mut ids = BTreeSet::from([root]);
    loop {
        let before = ids.len();
        for process in processes {
            if ids.contains(&process.parent) || process.group == root {
                ids.insert(process.id);
            }
        }
        if ids.len() == before {
            break;
        }
    }
    let mut family = processes.to_vec();
    family.retain(|process| ids.contains(&process.id));
    family
}

fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit())
        // Whoever ended since is none.
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .filter_map(|line| parse_process(&line))
        .collect()
}

/// The ids of a process, of its descendants, and of its group.
pub(crate) fn family_ids(root: u32) -> Vec<u32> {
    let family = family(&processes(), root);
    family.iter().map(|process| process.id).collect()
}

/// CPU time, summed over threads and processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// By the server and what it started.
    pub(crate) server: Duration,
    /// By this program.
    pub(crate) client: Duration,
    /// By everything that runs on the machine; zero where the system does not count it, as in some
    /// containers.
    pub(crate) machine: Duration,
}

impl Usage {
    /// Up to now, of the server whose first process is `server`.
    pub(crate) fn of(server: u32) -> Self {
        let all = processes();
        let sum = |processes: &[Process]| processes.iter().map(|process| process.ticks).sum();
        let own: Vec<Process> = all
            .iter()
            .filter(|process| process.id == std::process::id())
            .copied()
            .collect();
        let machine = fs::read_to_string("/proc/stat").ok();
        Self {
            server: time(sum(&family(&all, server))),
            client: time(sum(&own)),
            machine: time(machine.as_deref().and_then(parse_machine).unwrap_or(0)),
        }
    }

    /// Between `before` and this.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            client: self.client.saturating_sub(before.client),
            machine: self.machine.saturating_sub(before.machine),
        }
    }

    /// What neither the server nor this program used: how busy others kept the machine. `None`
    /// where the system does not count what the machine does.
    pub(crate) fn others(self) -> Option<Duration> {
        (!self.machine.is_zero()).then(|| self.machine.saturating_sub(self.server + self.client))
    }
}

fn time(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "4242 (a (b) c) S 17 99 99 0 -1 4194560 16171 33 0 0 612 88 1 2 20 0 9 0 \
                        123456 2000000 3000 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0";

    fn process(id: u32, parent: u32, group: u32, ticks: u64) -> Process {
        Process {
            id,
            parent,
            group,
            ticks,
        }
    }

    #[test]
    fn reads_what_stands_after_a_name_with_brackets() {
        assert_eq!(parse_process(LINE), Some(process(4242, 17, 99, 700)));
    }

    #[test]
    fn takes_no_line_that_is_cut_off() {
        assert_eq!(parse_process("4242 (a) S 17 99"), None);
        assert_eq!(parse_process(""), None);
    }

    #[test]
    fn leaves_idling_out_of_the_machine() {
        let text = "cpu  100 10 50 9000 800 5 6 7 70 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_machine(text), Some(178));
        assert_eq!(parse_machine("cpu  1 2\n"), None);
    }

    #[test]
    fn sums_children_of_children_and_the_group() {
        let all = [
            process(40, 30, 77, 8),
            process(10, 1, 10, 1),
            process(20, 10, 10, 2),
            process(30, 20, 77, 4),
            // Its parent is gone.
            process(50, 1, 10, 16),
            process(60, 1, 60, 32),
        ];
        let family = family(&all, 10);
        assert_eq!(family.iter().map(|process| process.ticks).sum::<u64>(), 31);
    }

    #[test]
    fn sees_this_process_compute() {
        let before = Usage::of(std::process::id());
        let mut number = 1u64;
        let mut used = Usage::default();
        for _ in 0..1_000 {
            for _ in 0..1_000_000 {
                number = std::hint::black_box(number.wrapping_mul(3));
            }
            used = Usage::of(std::process::id()).since(before);
            if used.client >= Duration::from_millis(20) {
                break;
            }
        }
        assert!(used.client >= Duration::from_millis(20));
        assert!(family_ids(std::process::id()).contains(&std::process::id()));
    }

    #[test]
    fn says_nothing_of_others_where_the_machine_is_not_counted() {
        let used = Usage {
            server: Duration::from_millis(500),
            client: Duration::from_millis(300),
            machine: Duration::ZERO,
        };
        assert_eq!(used.others(), None);
        let machine = Duration::from_millis(900);
        let used = Usage { machine, ..used };
        assert_eq!(used.others(), Some(Duration::from_millis(100)));
    }
}
