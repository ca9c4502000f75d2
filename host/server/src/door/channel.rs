//! `--grpc_channel_arguments`: the original's way to its gRPC library's settings, read for what
//! they mean here.
//!
//! Text in, settings out; what has no meaning here is named, for a warning.

use std::time::Duration;

use super::connection::Http2;
use super::grpc::Encoding;

/// What the arguments say. What none of them names is as it is without.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ChannelArguments {
    /// `grpc.max_receive_message_length`; -1 is as much as a frame can have.
    pub(crate) max_receive: Option<usize>,
    pub(crate) max_send: Option<usize>,
    pub(crate) answers: Encoding,
    pub(crate) http2: Http2,
    /// Names that do nothing here.
    pub(crate) unknown: Vec<String>,
}

/// The least and the most that HTTP/2 allows for a frame.
const FRAMES: std::ops::RangeInclusive<i32> = (16 << 10)..=((1 << 24) - 1);

/// What gRPC's time settings call never.
const NEVER: i32 = i32::MAX;

/// The same for a clock that has to have an end.
const A_YEAR: Duration = Duration::from_hours(365 * 24);

impl ChannelArguments {
    /// Reads `name=value,name=value`.
    ///
    /// # Errors
    /// At an entry without `=`, which crashes the original, and at a value that the setting
    /// cannot have.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut arguments = Self::default();
        for entry in text.split(',').filter(|entry| !entry.is_empty()) {
            let (name, value) = entry.split_once('=').ok_or_else(|| {
                format!("--grpc_channel_arguments: {entry:?} is not of the form name=value")
            })?;
            arguments.set(name, value).map_err(|expected| {
                format!("--grpc_channel_arguments: {name} is {expected}, not {value:?}")
            })?;
        }
        Ok(arguments)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        let http2 = &mut self.http2;
        match name {
            "grpc.max_receive_message_length" | "grpc.max_message_length" => {
                self.max_receive = Some(length(value)?);
            }
            "grpc.max_send_message_length" => self.max_send = Some(length(value)?),
            "grpc.max_concurrent_streams" => http2.max_streams = count(value)?,
            "grpc.keepalive_time_ms" => http2.keepalive = time(value)?,
            "grpc.keepalive_timeout_ms" => {
                http2.keepalive_timeout = time(value)?.unwrap_or(A_YEAR);
            }
            "grpc.max_connection_idle_ms" => http2.max_idle = time(value)?,
            "grpc.max_connection_age_ms" => http2.max_age = time(value)?,
            "grpc.max_connection_age_grace_ms" => http2.max_age_grace = time(value)?,
            "grpc.http2.lookahead_bytes" => {
                http2.stream_window = window(value)?;
                http2.connection_window = http2.connection_window.max(http2.stream_window);
            }
            "grpc.http2.max_frame_size" => {
                http2.max_frame = number(value)
                    .filter(|size| FRAMES.contains(size))
                    .map(i32::cast_unsigned)
                    .ok_or("a number from 16384 to 16777215")?;
            }
            "grpc.http2.bdp_probe" => http2.adaptive_window = number(value) == Some(1),
            "grpc.http2.write_buffer_size" => {
                http2.max_send_buffer = count(value)?.max(16 << 10) as usize;
            }
            "grpc.max_metadata_size" | "grpc.absolute_max_metadata_size" => {
                http2.max_header_list = count(value)?;
            }
            "grpc.default_compression_algorithm" => {
                self.answers = match value {
                    "0" => Encoding::Identity,
                    "1" => Encoding::Deflate,
                    "2" => Encoding::Gzip,
                    _ => return Err("0 for none, 1 for deflate or 2 for gzip"),
                };
            }
            _ => self.unknown.push(name.to_owned()),
        }
        Ok(())
    }
}

fn number(value: &str) -> Option<i32> {
    value.parse().ok()
}

fn count(value: &str) -> Result<u32, &'static str> {
    let found = number(value).and_then(|number| u32::try_from(number).ok());
    found.ok_or("a number, 0 or more")
}

/// HTTP/2 has 31 bits for a window.
fn window(value: &str) -> Result<u32, &'static str> {
    count(value).map(|size| size.max(1 << 16))
}

fn length(value: &str) -> Result<usize, &'static str> {
    match number(value) {
        Some(-1) => Ok(u32::MAX as usize),
        Some(length @ 0..) => Ok(length.unsigned_abs() as usize),
        _ => Err("a number of bytes, or -1 for no limit"),
    }
}

fn time(value: &str) -> Result<Option<Duration>, &'static str> {
    match number(value) {
        Some(NEVER) => Ok(None),
        Some(millis @ 1..) => Ok(Some(Duration::from_millis(millis.unsigned_abs().into()))),
        _ => Err("a number of milliseconds above 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_knows_and_names_what_it_does_not() {
        let text = "grpc.max_receive_message_length=1000,grpc.max_send_message_length=-1,\
                    grpc.max_concurrent_streams=7,grpc.keepalive_time_ms=1500,\
                    grpc.keepalive_timeout_ms=2500,grpc.max_connection_idle_ms=10,\
                    grpc.max_connection_age_ms=20,grpc.max_connection_age_grace_ms=30,\
                    grpc.http2.lookahead_bytes=33554432,grpc.http2.max_frame_size=16384,\
                    grpc.http2.bdp_probe=1,grpc.default_compression_algorithm=2,\
                    grpc.http2.write_buffer_size=1,\
                    grpc.max_metadata_size=9000,grpc.so_reuseport=0,mine=a=b";
        let arguments = ChannelArguments::parse(text).unwrap();
        let millis = Duration::from_millis;
        let expected = ChannelArguments {
            max_receive: Some(1000),
            max_send: Some(u32::MAX as usize),
            answers: Encoding::Gzip,
            http2: Http2 {
                stream_window: 33_554_432,
                connection_window: 33_554_432,
                adaptive_window: true,
                max_frame: 16_384,
                max_streams: 7,
                max_header_list: 9000,
                max_send_buffer: 16_384,
                keepalive: Some(millis(1500)),
                keepalive_timeout: millis(2500),
                max_idle: Some(millis(10)),
                max_age: Some(millis(20)),
                max_age_grace: Some(millis(30)),
            },
            unknown: vec!["grpc.so_reuseport".to_owned(), "mine".to_owned()],
        };
        assert_eq!(arguments, expected);
        assert_eq!(
            ChannelArguments::parse("").unwrap(),
            ChannelArguments::default()
        );
        let never = ChannelArguments::parse("grpc.keepalive_time_ms=2147483647").unwrap();
        assert_eq!(never.http2.keepalive, None);
    }

    #[test]
    fn refuses_by_name_what_crashes_the_original() {
        for (text, words) in [
            (
                "a=1,grpc.keepalive_time_ms",
                "\"grpc.keepalive_time_ms\" is not of the form",
            ),
            (
                "grpc.keepalive_time_ms=soon",
                "milliseconds above 0, not \"soon\"",
            ),
            ("grpc.keepalive_time_ms=0", "milliseconds above 0"),
            ("grpc.max_receive_message_length=-2", "-1 for no limit"),
            ("grpc.http2.max_frame_size=100", "from 16384 to"),
            ("grpc.max_concurrent_streams=-1", "0 or more"),
            ("grpc.default_compression_algorithm=gzip", "2 for gzip"),
        ] {
            let error = ChannelArguments::parse(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
