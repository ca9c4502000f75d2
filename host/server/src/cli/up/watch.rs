//! `--watch`: looks at what an app is made of, and makes it again when that has changed.
//!
//! Sources are built again; components, files and the manifest are loaded again. The app that
//! runs goes on until there is a new one, and its models stay: only other settings for models need
//! a new process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tensorgate_spin::lock::LockedApp;
use tensorgate_spin::manifest::{Manifest, Mount, Source as ComponentSource};
use tensorgate_spin::run::RunError;

use super::super::component::watched::{Look, Watched, changed};
use super::super::print;
use super::flags::Options;
use super::models::Tables;
use super::say::Voice;
use super::source::{self, Source};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Looks until what changes is taken to have changed.
const MOST_LOOKS: usize = 50;

/// Builds in a row, each of which changed a source, before that is taken to be what it does.
const MOST_AGAIN: usize = 3;

/// What came of a change.
pub(super) enum Changed {
    /// The app, made again; or why it could not be.
    App(Result<LockedApp, RunError>),
    /// The settings of models.
    Models,
}

/// Watches one app.
pub(super) struct Watch<'a> {
    source: &'a Source,
    options: &'a Options,
    tables: Tables,
    copies: &'a Path,
    rounds: usize,
    again: usize,
    seen: Seen,
}

/// What was there at a look.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Seen {
    manifest: Look,
    /// What the build makes components of.
    sources: Vec<Look>,
    /// What is loaded.
    made: Vec<Look>,
}

impl<'a> Watch<'a> {
    /// `seen` is what there was before `tables` and the app that runs were read: what changed
    /// while they were is a change.
    pub(super) fn new(
        source: &'a Source,
        options: &'a Options,
        tables: Tables,
        copies: &'a Path,
        seen: Seen,
    ) -> Self {
        Self {
            source,
            options,
            tables,
            copies,
            rounds: 0,
            again: 0,
            seen,
        }
    }

    /// Waits for the next change, and makes the app of it.
    pub(super) async fn next(&mut self, voice: &Voice) -> Changed {
        let before = self.seen.clone();
        let (now, file) = self.wait(&before).await;
        print(&format!("\nchanged: {}\n", file.display()));
        let builds = before.sources != now.sources || before.manifest != now.manifest;
        self.seen = now.clone();
        if builds {
            let built = tokio::task::block_in_place(|| self.source.build(self.options, voice));
            self.note_build(&now);
            if let Err(error) = built {
                return Changed::App(Err(error));
            }
        }
        self.rounds += 1;
        // Instances that run have the files of the rounds before.
        let copies = self.copies.join(self.rounds.to_string());
        let loaded = tokio::task::block_in_place(|| {
            let app = self.source.load(self.options, &copies, voice)?;
            let tables = self.source.tables(&app)?;
            Ok((app, tables))
        });
        match loaded {
            Ok((_, tables)) if tables != self.tables => Changed::Models,
            Ok((app, _)) => Changed::App(Ok(app)),
            Err(error) => Changed::App(Err(error)),
        }
    }

    /// Returns when something is another than before, and changes no more: what there is, and the
    /// first file that is another.
    async fn wait(&self, before: &Seen) -> (Seen, PathBuf) {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut now = Seen::look(self.source, None);
            let Some(file) = first_change(before, &now) else {
                continue;
            };
            for _ in 0..MOST_LOOKS {
                tokio::time::sleep(LOOK).await;
                let later = Seen::look(self.source, None);
                if first_change(&now, &later).is_none() {
                    break;
                }
                now = later;
            }
            return (now, file);
        }
    }

    /// Takes what the build made for known; where it has changed its own sources, not for ever.
    fn note_build(&mut self, before: &Seen) {
        let now = Seen::look(self.source, None);
        let same = before.sources == now.sources;
        self.again = if same { 0 } else { self.again + 1 };
        let sources = if self.again >= MOST_AGAIN {
            self.again = 0;
            now.sources
        } else {
            before.sources.clone()
        };
        self.seen = Seen {
            manifest: before.manifest.clone(),
            sources,
            made: now.made,
        };
    }
}

impl Seen {
    /// What there is now. `voice` says what cannot be watched.
    pub(super) fn look(source: &Source, voice: Option<&Voice>) -> Self {
        let mut seen = Self {
            manifest: Look::new(),
            sources: Vec::new(),
            made: Vec::new(),
        };
        let Source::Manifest(path) = source else {
            seen.made.push(files([source.path()]));
            return seen;
        };
        seen.manifest = files([path.as_path()]);
        // A manifest that cannot be read now is one that will change.
        let Ok(manifest) = source::read(path) else {
            return seen;
        };
        seen.look_at(&source.directory(), &manifest, voice);
        seen
    }

    /// The same after a build: what it made is known, what changed beside it is not.
    pub(super) fn built(self, source: &Source) -> Self {
        Self {
            made: Self::look(source, None).made,
            ..self
        }
    }

    fn look_at(&mut self, root: &Path, manifest: &Manifest, voice: Option<&Voice>) {
        for (id, component) in &manifest.components {
            if let ComponentSource::File(path) = &component.source {
                self.made.push(files([root.join(path).as_path()]));
            }
            for mount in &component.files {
                let pattern = match mount {
                    Mount::Pattern(pattern) => pattern.clone(),
                    Mount::Placement { source, .. } => format!("{source}/**"),
                };
                self.made
                    .push(matching(root, [pattern.as_str()]).unwrap_or_default());
            }
            let Some(build) = &component.build else {
                continue;
            };
            let directory = build.workdir.as_ref().map(|directory| root.join(directory));
            let directory = directory.unwrap_or_else(|| root.to_owned());
            let patterns = build.watch.iter().map(String::as_str);
            match (matching(&directory, patterns), voice) {
                (Ok(look), _) => self.sources.push(look),
                (Err(problem), Some(voice)) => {
                    voice.warning(&format!("component {id} is not watched: {problem}"));
                }
                (Err(_), None) => {}
            }
        }
    }
}

/// Files as they are now; those that are not there are left out.
fn files<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Look {
    let found = paths.into_iter().filter_map(|path| {
        let found = std::fs::metadata(path).ok()?;
        Some((path.to_owned(), (found.modified().ok(), found.len())))
    });
    found.collect()
}

fn matching<'a>(
    directory: &Path,
    patterns: impl IntoIterator<Item = &'a str>,
) -> Result<Look, String> {
    Watched::new(directory, patterns)?.look()
}

/// The first file that is another one. Where what is watched has changed, so has the manifest.
fn first_change(before: &Seen, now: &Seen) -> Option<PathBuf> {
    let pairs = |one: &[Look], other: &[Look]| {
        one.iter()
            .zip(other)
            .find_map(|(before, now)| changed(before, now))
    };
    changed(&before.manifest, &now.manifest)
        .or_else(|| pairs(&before.sources, &now.sources))
        .or_else(|| pairs(&before.made, &now.made))
}
