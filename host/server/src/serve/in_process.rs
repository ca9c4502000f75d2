//! Models without a server of their own: for apps that run in this process and call them there.
//!
//! The house is the one that `tensorgate serve` builds, doors included where flags name ports.

use std::sync::Arc;
use std::time::Instant;

use tensorgate_edge::Models;
use tensorgate_types::Error;

use crate::door::{self, Door, DoorOptions};
use crate::metrics::{Metrics, watch_budget};
use crate::options::{Manner, Port, ServeOptions};
use crate::wiring::EdgeHandler;

use super::house::House;
use super::ports::Ports;
use super::{UNLOAD, prepare};

/// Models that are served to this process.
pub(crate) struct InProcess {
    house: House,
    options: ServeOptions,
    door: Arc<Door<EdgeHandler>>,
    ports: Option<Ports>,
    started: Instant,
}

impl InProcess {
    /// Builds the house; models are being loaded when this returns.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn open(options: &ServeOptions) -> Result<Self, Error> {
        let started = Instant::now();
        let (options, told) = prepare(options)?;
        let metrics = Metrics::new();
        let door = Door::new(DoorOptions {
            timeout: options.rest_api_timeout,
            max_body_bytes: options.max_body_bytes,
            model_limits: options.model_limits.clone(),
            max_buffered_bytes: options.max_buffered_bytes,
            cors: options.rest_api_enable_cors_support,
            pace: door::Pace {
                idle: door::IDLE,
                least: options.min_upload_bytes_per_second,
            },
            metrics: None,
        });
        watch_budget(&metrics.registry, door.budget().clone());
        let mut ports = has_door(&options)
            .then(|| Ports::new(&options, Manner::Tensorgate))
            .transpose()?;
        if let Some(ports) = &mut ports {
            ports.open(&options, Manner::Tensorgate, &door)?;
        }
        let house = House::build(&options, told, &metrics, started).await?;
        door.open(house.handler());
        Ok(Self {
            house,
            options,
            door,
            ports,
            started,
        })
    }

    /// What apps may call.
    pub(crate) fn models(&self) -> Arc<dyn Models> {
        self.house.models()
    }

    /// Waits until the first load of every model has ended.
    ///
    /// # Errors
    /// When one failed, and flags say that this is the end.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        self.house.settle(self.started).await;
        if self.options.exit_on_failed_start {
            self.house.wait_for_an_answer(&self.options).await?;
        }
        Ok(())
    }

    /// Looks at the config file again and again, where flags say so. Never ends.
    pub(crate) async fn poll_config(&self) {
        self.house.poll_config(&self.options).await;
    }

    /// Ends in order, when nobody calls the models any more.
    pub(crate) async fn close(self) {
        self.house.hurry();
        if let Some(ports) = self.ports {
            ports.shut_down(self.options.drain, &self.door).await;
        }
        self.house.close(UNLOAD).await;
    }
}

/// Whether flags ask for doors of the server's own.
fn has_door(options: &ServeOptions) -> bool {
    options.port != Port::Off
        || options.rest_api_port != Port::Off
        || options.grpc_socket_path.is_some()
}
