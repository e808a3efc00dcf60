//! The weights of Silero, which `scripts/setup.sh --test` fetches.

use std::sync::Arc;

use media::vad::silero::Model;

/// `None`, and a word about it, where they were not fetched: there is nothing to test then.
pub fn model() -> Option<Arc<Model>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.setup/silero.weights");
    let Ok(file) = std::fs::read(path) else {
        eprintln!("no {path}: run scripts/fetch_silero.py; nothing is tested");
        return None;
    };
    Some(Arc::new(Model::parse(&file).unwrap()))
}
