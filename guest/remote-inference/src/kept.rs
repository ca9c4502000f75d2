//! What is kept of versions between requests: version, digest and signatures, so that a bad request
//! never leaves the edge, and a good one leaves it once.
//!
//! An entry is the time at which the host said it (milliseconds since 1970, eight bytes,
//! little-endian) and what it said (`tensorgate.edge.v1.Opened`). It is believed for
//! `tensorgate_signature_ttl_s`; after that the host is asked whether it still holds, and what it
//! then says again costs a digest.

use std::time::Duration;

use tensorgate_logic::remote::Known;
use tensorgate_types::{ModelSpec, VersionChoice};

use crate::settings::Settings;
use crate::world::World;

/// An entry, as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) known: Known,
    /// How long ago the host said so; none where somebody's clock was wrong.
    pub(crate) age: Option<Duration>,
    bytes: Vec<u8>,
}

/// Where a model's entry is. Another host is another model.
fn key(settings: &Settings, spec: &ModelSpec) -> String {
    let choice = match &spec.version {
        VersionChoice::Latest => "latest".to_owned(),
        VersionChoice::Specific(version) => format!("versions/{version}"),
        VersionChoice::Label(label) => format!("labels/{label}"),
    };
    // The lengths keep names with strokes in them apart.
    format!(
        "tensorgate/1/signatures/{}/{}/{}/{choice}",
        settings.url,
        spec.name.len(),
        spec.name
    )
}

/// What is kept of a model, if anything is that can be read.
pub(crate) fn load(world: &impl World, settings: &Settings, spec: &ModelSpec) -> Option<Kept> {
    if settings.signature_ttl.is_zero() {
        return None;
    }
    let store = settings.store.as_deref()?;
    let entry = world.load(store, &key(settings, spec))?;
    let (time, bytes) = entry.split_first_chunk::<8>()?;
    let known = Known::from_bytes(bytes).ok()?;
    let age = world.unix_ms().checked_sub(u64::from_le_bytes(*time));
    Some(Kept {
        known,
        age: age.map(Duration::from_millis),
        bytes: bytes.to_vec(),
    })
}

/// Keeps what the host says of a model.
pub(crate) fn keep(world: &impl World, settings: &Settings, spec: &ModelSpec, opened: &[u8]) {
    if settings.signature_ttl.is_zero() {
        return;
    }
    if let Some(store) = settings.store.as_deref() {
        let mut entry = world.unix_ms().to_le_bytes().to_vec();
        entry.extend_from_slice(opened);
        world.keep(store, &key(settings, spec), &entry);
    }
}

/// Keeps an entry that the host has confirmed.
pub(crate) fn confirm(world: &impl World, settings: &Settings, spec: &ModelSpec, kept: &Kept) {
    keep(world, settings, spec, &kept.bytes);
}
