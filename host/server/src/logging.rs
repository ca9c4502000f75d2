//! Log lines on standard error, in the layout of the original's:
//! `2026-01-01 00:00:00.000000: I target] message`.
//!
//! TensorFlow writes its own lines to the same descriptor, and they are taken in by a pipe; so
//! ours go to a duplicate of it that was made before.

use std::fmt;
use std::io::Write;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use tensorgate_tensorflow::{LogCapture, capture_logs};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Where the filter is read from when no flag says one.
const VARIABLE: &str = "TENSORGATE_LOG";

/// Logs what `filter` lets through from now on, TensorFlow's lines among it. Dropping what it
/// returns gives standard error back.
///
/// # Errors
/// What is wrong with the filter.
pub(crate) fn start(filter: Option<&str>) -> Result<Option<LogCapture>, String> {
    let from_environment = std::env::var(VARIABLE).ok();
    let directives = filter.or(from_environment.as_deref()).unwrap_or("info");
    let filter = EnvFilter::try_new(directives)
        .map_err(|error| format!("the log filter '{directives}' cannot be used: {error}"))?;
    let captured = capture_logs().and_then(|capture| Ok((capture.stderr()?, capture)));
    let (out, capture, problem): (Box<dyn Write + Send>, _, _) = match captured {
        Ok((stderr, capture)) => (Box::new(stderr), Some(capture), None),
        // TensorFlow's lines then come as they are, between ours.
        Err(error) => (Box::new(std::io::stderr()), None, Some(error)),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .event_format(Layout)
        .with_env_filter(filter)
        .with_writer(Mutex::new(out))
        .finish();
    // Fails when there is one already: then whoever set it gets the lines.
    let _ = tracing::subscriber::set_global_default(subscriber);
    // Else a panic would be a line of somebody else's on the standard error that is taken in, of no
    // importance, and a filter would keep it from being seen.
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("without a name");
        tracing::error!("the thread {thread} {}", one_line(&panic.to_string()));
    }));
    if let Some(error) = problem {
        tracing::warn!("cannot take in TensorFlow's log: {error}");
    }
    Ok(capture)
}

/// Logs what a worker says to standard error, which is the server's and which the server makes
/// lines of its own log of.
pub(crate) fn start_in_worker() {
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .event_format(WorkerLayout)
        .with_max_level(Level::INFO)
        .with_writer(std::io::stderr)
        .finish();
    // Fails when there is one already: then whoever set it gets the lines.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

struct Layout;

impl<S, N> FormatEvent<S, N> for Layout
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (seconds, micros) = (now.as_secs(), now.subsec_micros());
        write!(
            writer,
            "{}.{micros:06}: {} {}] ",
            Utc(seconds),
            letter(*metadata.level()),
            metadata.target()
        )?;
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                write!(writer, "{}{{{fields}}} ", span.name())?;
            }
        }
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// As [`Layout`], but information is a plain line: with a level it would be taken for TensorFlow's
/// own, which is shown to nobody who does not ask for it.
struct WorkerLayout;

impl<S, N> FormatEvent<S, N> for WorkerLayout
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if *event.metadata().level() != Level::INFO {
            return Layout.format_event(context, writer, event);
        }
        let id = std::process::id();
        write!(writer, "worker process {id}: ")?;
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// The original has I, W, E and F; finer levels are ours.
fn letter(level: Level) -> char {
    match level {
        Level::ERROR => 'E',
        Level::WARN => 'W',
        Level::INFO => 'I',
        Level::DEBUG => 'D',
        Level::TRACE => 'T',
    }
}

/// Seconds since 1970 as `2026-01-01 00:00:00`, in UTC.
pub(crate) struct Utc(pub(crate) u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        )
    }
}

/// Year, month and day of a day since 1970-01-01. Counts from 1 March of the year 0, so that the
/// leap day is a year's last, and in eras of 400 years, after which the calendar repeats.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_767_225_599, "2025-12-31 23:59:59"),
            (1_772_323_200, "2026-03-01 00:00:00"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(Utc(seconds).to_string(), expected);
        }
    }

    #[test]
    fn lines_have_the_layout_of_the_original() {
        use std::sync::Arc;

        #[derive(Clone, Default)]
        struct Buffer(Arc<Mutex<Vec<u8>>>);
        impl Write for Buffer {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        let buffer = Buffer::default();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Layout)
            .with_writer(Mutex::new(buffer.clone()))
            .finish();
        tracing::subscriber::with_default(subscriber, || tracing::warn!("it is {}", "late"));
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        let (time, rest) = text.split_at("2026-01-01 00:00:00.000000".len());
        assert!(time.starts_with("20"), "{text}");
        assert_eq!(rest, ": W tensorgate_server::logging::tests] it is late\n");
    }
}
