//! The two ports, as flags ask for them.
//!
//! The lines that say where they are have the original's words: people's scripts wait for them.

use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::service::TowerToHyperService;
use tensorgate_types::Error;

use crate::door::{Door, Handler, Listener, Listening, grpc_service};
use crate::options::{Manner, Port, ServeOptions};

/// What is open.
#[derive(Debug, Default)]
pub(super) struct Ports(Vec<Listening>);

impl Ports {
    /// Opens what `options` ask for.
    ///
    /// # Errors
    /// When a port cannot be had. Under the name of the original, the HTTP port that cannot be
    /// had is a line in the log, as it is there.
    pub(super) fn open<H: Handler>(
        &mut self,
        options: &ServeOptions,
        manner: Manner,
        door: &Arc<Door<H>>,
    ) -> Result<(), Error> {
        if options.port == Port::Off && options.rest_api_port == Port::Off {
            return Err(Error::invalid_argument(
                "At least one of server_options.grpc_port or server_options.grpc_socket_path \
                 must be set.",
            ));
        }
        if let Some(number) = options.port.number() {
            let listener = bind(options, number)?;
            tracing::info!(
                "Running gRPC ModelServer at 0.0.0.0:{} ...",
                listener.port()
            );
            self.0.push(listener.serve(service_fn(grpc_service)));
        }
        let rest = self.open_rest(options, door);
        match (rest, manner) {
            (Err(error), Manner::ModelServer) => tracing::error!("{}", error.message()),
            (rest, _) => rest?,
        }
        Ok(())
    }

    fn open_rest<H: Handler>(
        &mut self,
        options: &ServeOptions,
        door: &Arc<Door<H>>,
    ) -> Result<(), Error> {
        let Some(number) = options.rest_api_port.number() else {
            return Ok(());
        };
        if options.rest_api_port != Port::Auto && options.rest_api_port == options.port {
            return Err(Error::invalid_argument(
                "--rest_api_port cannot be same as --port. Please use a different port for \
                 HTTP/REST API. Skipped exporting HTTP/REST API.",
            ));
        }
        let listener = bind(options, number).map_err(|error| {
            Error::unavailable(format!(
                "Failed to start HTTP Server at localhost:{number}: {}",
                error.message()
            ))
        })?;
        let port = listener.port();
        self.0
            .push(listener.serve(TowerToHyperService::new(door.routes())));
        tracing::info!("Exporting HTTP/REST API at:localhost:{port} ...");
        Ok(())
    }

    /// Closes all at the same time, and waits until what runs is answered, but no longer than
    /// `limit`.
    pub(super) async fn shut_down(self, limit: Duration) {
        let all = async {
            let mut closing = tokio::task::JoinSet::new();
            for port in self.0 {
                closing.spawn(port.shut_down());
            }
            closing.join_all().await;
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("Requests that still run after {limit:?} are cut off");
        }
    }
}

fn bind(options: &ServeOptions, number: u16) -> Result<Listener, Error> {
    Listener::bind(options.bind_address, number).map_err(|error| {
        let address = options
            .bind_address
            .map_or_else(|| "any address".to_owned(), |address| address.to_string());
        Error::unavailable(format!(
            "cannot listen on port {number} of {address}: {error}"
        ))
    })
}
