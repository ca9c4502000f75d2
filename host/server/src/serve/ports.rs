//! The ports and the socket, as flags ask for them.
//!
//! The lines that say where they are have the original's words: people's scripts wait for them.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tensorgate_types::Error;

use crate::door::{
    self, ChannelArguments, Connections, Door, GrpcOptions, Handler, Http2, Listener, Listening,
};
use crate::options::{Manner, Port, ServeOptions};

/// How long the last answers may take to be sent when time was up for the requests.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What is open, and what is known before anything is.
pub(super) struct Ports {
    open: Vec<Listening>,
    grpc: GrpcOptions,
    grpc_connections: Arc<Connections>,
}

impl Ports {
    /// Looks at everything that flags say, so that a mistake is an error at the start and not
    /// when all models are loaded.
    ///
    /// # Errors
    /// When flags contradict each other or themselves.
    pub(super) fn new(options: &ServeOptions, manner: Manner) -> Result<Self, Error> {
        let no_grpc = options.port == Port::Off && options.grpc_socket_path.is_none();
        // The original knows no server without gRPC; ours may be for REST alone.
        let no_rest = options.rest_api_port == Port::Off || manner == Manner::ModelServer;
        if no_grpc && no_rest {
            return Err(Error::invalid_argument(
                "At least one of server_options.grpc_port or server_options.grpc_socket_path \
                 must be set.",
            ));
        }
        let arguments = ChannelArguments::parse(&options.grpc_channel_arguments)
            .map_err(Error::invalid_argument)?;
        for name in &arguments.unknown {
            tracing::warn!("--grpc_channel_arguments: {name} has no effect");
        }
        Ok(Self {
            open: Vec::new(),
            grpc: GrpcOptions {
                max_receive_bytes: arguments
                    .max_receive
                    .unwrap_or(options.grpc_max_message_bytes),
                max_send_bytes: arguments.max_send,
                answers: arguments.answers,
                concurrent_calls: (options.grpc_max_threads > 0)
                    .then_some(options.grpc_max_threads),
                health: options.enable_grpc_healthcheck_service,
                descriptors: vec![tensorgate_proto::DESCRIPTORS],
            },
            grpc_connections: Arc::new(Connections {
                tls: credentials(options)?,
                idle: door::IDLE,
                http2: arguments.http2,
            }),
        })
    }

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
        let routes = door::grpc_routes(door, self.grpc.clone())?;
        // All are had before one is served or spoken of: a start that fails has opened nothing.
        let grpc = options.port.number().map(|number| bind(options, number));
        let grpc = grpc.transpose()?;
        let socket = options.grpc_socket_path.as_deref();
        let socket = socket.map(|path| bind_unix(path).map(|listener| (listener, path)));
        let socket = socket.transpose()?;
        let rest = match (bind_rest(options), manner) {
            (Err(error), Manner::ModelServer) => {
                tracing::error!("{}", error.message());
                None
            }
            (rest, _) => rest?,
        };
        if let Some(listener) = grpc {
            let port = listener.port();
            self.serve_grpc(listener, &routes);
            tracing::info!("Running gRPC ModelServer at 0.0.0.0:{port} ...");
        }
        if let Some((listener, path)) = socket {
            self.serve_grpc(listener, &routes);
            let path = path.display();
            tracing::info!("Running gRPC ModelServer at UNIX socket {path} ...");
        }
        if let Some(listener) = rest {
            self.serve_rest(listener, door);
        }
        Ok(())
    }

    /// Opens the admin port, where a flag asks for it.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) fn open_admin(
        &mut self,
        options: &ServeOptions,
        admin: Option<axum::Router>,
    ) -> Result<(), Error> {
        let (Some(number), Some(routes)) = (options.components.admin_port.number(), admin) else {
            return Ok(());
        };
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = options.bind_address.unwrap_or(here);
        let listener = Listener::bind(Some(address), number).map_err(|error| {
            Error::unavailable(format!(
                "cannot listen on the admin port {number} of {address}: {error}"
            ))
        })?;
        tracing::info!("Admin port at {address}:{} ...", listener.port());
        let how = Connections {
            tls: None,
            idle: door::IDLE,
            http2: Http2::default(),
        };
        self.open.push(listener.serve(routes, Arc::new(how)));
        Ok(())
    }

    fn serve_grpc(&mut self, listener: Listener, routes: &axum::Router) {
        let how = Arc::clone(&self.grpc_connections);
        self.open.push(listener.serve(routes.clone(), how));
    }

    fn serve_rest<H: Handler>(&mut self, listener: Listener, door: &Arc<Door<H>>) {
        let port = listener.port();
        let how = Connections {
            tls: None,
            idle: door::IDLE,
            http2: Http2::default(),
        };
        self.open.push(listener.serve(door.routes(), Arc::new(how)));
        tracing::info!("Exporting HTTP/REST API at:localhost:{port} ...");
    }

    /// Says that the server is not ready any more, and goes on for `delay`: whoever sends requests
    /// here learns of it only at its next look.
    pub(super) async fn leave<H: Handler>(&self, delay: Duration, door: &Door<H>) {
        if delay.is_zero() {
            return;
        }
        tracing::info!("Not ready any more, and closing in {delay:?}");
        door.leave();
        for port in &self.open {
            port.leave();
        }
        tokio::time::sleep(delay).await;
    }

    /// Says that the server is not ready any more, closes all ports at the same time, and waits
    /// until what runs is answered. What still runs at the `limit` is answered with an error.
    pub(super) async fn shut_down<H: Handler>(self, limit: Duration, door: &Door<H>) {
        door.drain();
        let mut closing = tokio::task::JoinSet::new();
        for port in self.open {
            closing.spawn(port.shut_down());
        }
        let all = async { while closing.join_next().await.is_some() {} };
        let mut all = std::pin::pin!(all);
        if tokio::time::timeout(limit, &mut all).await.is_ok() {
            return;
        }
        tracing::warn!("Requests that still run after {limit:?} are cut off");
        door.cut();
        // Clients that take no answer end with the process.
        let _ = tokio::time::timeout(LAST_ANSWERS, all).await;
    }
}

/// How the gRPC port is secured.
fn credentials(options: &ServeOptions) -> Result<Option<door::Tls>, Error> {
    if options.use_alts_credentials && options.ssl_config_file.is_some() {
        return Err(Error::invalid_argument(
            "Either use_alts_credentials must be false or ssl_config_file must be empty.",
        ));
    }
    if options.use_alts_credentials {
        return Err(Error::invalid_argument(
            "--use_alts_credentials: ALTS exists inside Google Cloud alone and is not supported; \
             --ssl_config_file gives the gRPC port TLS",
        ));
    }
    let Some(file) = &options.ssl_config_file else {
        tracing::info!("Using InsecureServerCredentials");
        return Ok(None);
    };
    let acceptor = door::tls_acceptor(file)?;
    tracing::info!("Using SSL credentials");
    Ok(Some(acceptor))
}

fn bind_rest(options: &ServeOptions) -> Result<Option<Listener>, Error> {
    let Some(number) = options.rest_api_port.number() else {
        return Ok(None);
    };
    if options.rest_api_port != Port::Auto && options.rest_api_port == options.port {
        return Err(Error::invalid_argument(
            "--rest_api_port cannot be same as --port. Please use a different port for \
             HTTP/REST API. Skipped exporting HTTP/REST API.",
        ));
    }
    bind(options, number).map(Some).map_err(|error| {
        Error::unavailable(format!(
            "Failed to start HTTP Server at localhost:{number}: {}",
            error.message()
        ))
    })
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

fn bind_unix(path: &Path) -> Result<Listener, Error> {
    Listener::bind_unix(path).map_err(|error| {
        let path = path.display();
        Error::unavailable(format!(
            "cannot listen at --grpc_socket_path {path}: {error}"
        ))
    })
}
