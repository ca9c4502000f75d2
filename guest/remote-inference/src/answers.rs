//! Answers that are given again: off unless `tensorgate_answer_ttl_s` is set.
//!
//! An answer belongs to everything that was sent for it: model, version, digest, signature, wanted
//! outputs, inputs. There is room for a fixed number of answers, so that a store does not grow with
//! the requests: each has one place, by its hash, and takes it from whoever had it before.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::settings::Settings;
use crate::world::World;

/// Places for answers.
const PLACES: u16 = 4096;

/// Larger answers are not kept: stores hold small values.
const MAX_ANSWER: usize = 1 << 20;

/// Time, and hash, before the answer.
const HEAD: usize = 8 + 32;

/// What a question is known by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a question to this host; none where answers are not kept.
    pub(crate) fn of(settings: &Settings, question: &[Vec<u8>]) -> Option<Self> {
        if settings.answer_ttl.is_zero() || settings.store.is_none() {
            return None;
        }
        let mut hash = Sha256::new();
        hash.update((settings.url.len() as u64).to_le_bytes());
        hash.update(&settings.url);
        for piece in question {
            hash.update(piece);
        }
        Some(Self(hash.finalize().into()))
    }

    fn key(self) -> String {
        let place = u16::from_le_bytes([self.0[0], self.0[1]]) % PLACES;
        format!("tensorgate/1/answers/{place}")
    }
}

/// The answer to a question, if one is kept and not too old.
pub(crate) fn load(
    world: &impl World,
    settings: &Settings,
    question: Fingerprint,
) -> Option<Vec<u8>> {
    let store = settings.store.as_deref()?;
    let mut entry = world.load(store, &question.key())?;
    let head = entry.first_chunk::<HEAD>()?;
    let (time, hash) = head.split_first_chunk::<8>()?;
    let age = world.unix_ms().checked_sub(u64::from_le_bytes(*time))?;
    let is_it = hash == question.0 && Duration::from_millis(age) < settings.answer_ttl;
    is_it.then(|| entry.split_off(HEAD))
}

/// Keeps an answer.
pub(crate) fn keep(world: &impl World, settings: &Settings, question: Fingerprint, answer: &[u8]) {
    if answer.len() > MAX_ANSWER {
        return;
    }
    if let Some(store) = settings.store.as_deref() {
        let mut entry = world.unix_ms().to_le_bytes().to_vec();
        entry.extend_from_slice(&question.0);
        entry.extend_from_slice(answer);
        world.keep(store, &question.key(), &entry);
    }
}
