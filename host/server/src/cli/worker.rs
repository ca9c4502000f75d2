//! `tensorgate worker`: what `tensorgate serve --workers` starts. Nobody types it.

use std::process::ExitCode;

use tensorgate_workers::{end_with_the_server, inherited_socket};
use tokio::signal::unix::{SignalKind, signal};

use crate::logging;
use crate::wiring::work;

use super::complain;

/// Works for the server at the other end of standard input.
pub(super) fn run(args: &[String]) -> ExitCode {
    if !args.is_empty() {
        return complain("a worker takes no arguments: `tensorgate serve --workers` starts it");
    }
    let socket = match inherited_socket() {
        Ok(socket) => socket,
        Err(error) => {
            return complain(&format!(
                "a worker is started by `tensorgate serve --workers`, with a socket as its \
                 standard input: {error}"
            ));
        }
    };
    if let Err(error) = end_with_the_server() {
        return complain(&format!("cannot end with the server: {error}"));
    }
    if let Err(error) = outlive_signals() {
        return complain(&format!("cannot hear signals: {error}"));
    }
    logging::start_in_worker();
    match work(socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("a worker ends: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A terminal, or a service manager, sends its signal to all processes at once. The server ends
/// its workers when its requests have ended, and not before.
fn outlive_signals() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _entered = runtime.enter();
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ] {
        // The handler stays when nobody listens any more.
        drop(signal(kind)?);
    }
    Ok(())
}
