//! Server reflection, v1 and v1alpha: what services there are, for clients that were not told.

use tensorgate_types::Error;
use tonic::service::Routes;
use tonic_reflection::server::Builder;

use super::GrpcOptions;

/// Adds both versions of the service.
pub(super) fn add(routes: Routes, options: &GrpcOptions) -> Result<Routes, Error> {
    let broken =
        |error: &dyn std::error::Error| Error::internal(format!("cannot reflect: {error}"));
    let v1 = builder(options)
        .build_v1()
        .map_err(|error| broken(&error))?;
    let alpha = builder(options);
    let alpha = alpha.build_v1alpha().map_err(|error| broken(&error))?;
    Ok(routes.add_service(v1).add_service(alpha))
}

fn builder(options: &GrpcOptions) -> Builder<'_> {
    let health = options
        .health
        .then_some(tonic_health::pb::FILE_DESCRIPTOR_SET);
    // Each version lists the other, too.
    [
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ]
    .into_iter()
    .chain(health)
    .chain(options.descriptors.iter().copied())
    .fold(
        Builder::configure().include_reflection_service(false),
        Builder::register_encoded_file_descriptor_set,
    )
}
