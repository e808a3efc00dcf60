//! Digits, detection and quality as the control protocol has them.

use std::path::Path;
use std::sync::Arc;

use media::quality::{Direction, Quality};
use media::vad::Evidence;
use media::vad::silero::Model;
use runtime::command::Vad;
use serde::Deserialize;
use serde_json::{Value, json};

/// `vad` of `leg.detect`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VadName {
    #[default]
    Off,
    Energy,
    Silero,
}

impl From<VadName> for Vad {
    fn from(name: VadName) -> Vad {
        match name {
            VadName::Off => Vad::Off,
            VadName::Energy => Vad::Energy,
            VadName::Silero => Vad::Silero,
        }
    }
}

/// The weights of `--silero-weights`.
pub fn load_weights(path: Option<&Path>) -> Result<Option<Arc<Model>>, String> {
    let Some(path) = path else { return Ok(None) };
    let told = |why: &dyn std::fmt::Display| format!("--silero-weights {}: {why}", path.display());
    let file = std::fs::read(path).map_err(|error| told(&error))?;
    let model = Model::parse(&file).map_err(|error| told(&error))?;
    Ok(Some(Arc::new(model)))
}

/// Quality, with null for all that was not measured.
pub fn quality(quality: &Quality) -> Value {
    json!({
        "interval_ms": quality.interval_ms, "round_trip_ms": rounded(quality.round_trip_ms),
        "heard": direction(&quality.heard), "sent": direction(&quality.sent),
    })
}

fn direction(direction: &Direction) -> Value {
    json!({
        "packets": direction.packets,
        "loss_pct": rounded(direction.loss_pct), "discard_pct": rounded(direction.discard_pct),
        "burst_density_pct": rounded(direction.burst_density_pct), "burst_ms": rounded(direction.burst_ms),
        "gap_density_pct": rounded(direction.gap_density_pct), "gap_ms": rounded(direction.gap_ms),
        "jitter_ms": rounded(direction.jitter_ms), "buffer_ms": rounded(direction.buffer_ms),
        "delay_ms": rounded(direction.delay_ms), "r_factor": rounded(direction.r_factor),
        "mos_lq": rounded(direction.mos_lq), "mos_cq": rounded(direction.mos_cq),
        "scored_by": direction.scored_by.map(media::quality::Scorer::as_str),
    })
}

/// Two digits after the point are more than any of it is worth.
fn rounded(value: Option<f64>) -> Option<f64> {
    value.map(|value| (value * 100.0).round() / 100.0)
}

/// What told that somebody speaks: a level, or a probability.
pub fn evidence(evidence: Evidence) -> (Option<f64>, Option<f64>) {
    match evidence {
        Evidence::Level(level) => (rounded(Some(f64::from(level))), None),
        Evidence::Probability(probability) => (None, rounded(Some(f64::from(probability)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_null() {
        let told = quality(&Quality::default());
        for part in ["heard", "sent"] {
            let fields = told[part].as_object().unwrap();
            assert!(fields.values().all(Value::is_null), "{fields:?}");
        }
        assert_eq!(told["round_trip_ms"], Value::Null);
    }

    #[test]
    fn weights_that_are_none_are_refused_in_words() {
        assert!(load_weights(None).unwrap().is_none());
        let refused = load_weights(Some(Path::new(file!()))).unwrap_err();
        assert!(refused.contains("--silero-weights"), "{refused}");
    }
}
