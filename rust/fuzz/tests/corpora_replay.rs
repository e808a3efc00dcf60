//! What fuzzing has found once stays found: every input that was kept is run again, and cut off at every length.

use std::fs;
use std::path::Path;

#[test]
fn every_kept_input_is_survived_whole_and_cut_off() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for name in fuzz_targets::names() {
        let target = fuzz_targets::find(name).unwrap();
        let mut inputs = 0;
        for entry in
            fs::read_dir(corpora.join(name)).unwrap_or_else(|error| panic!("corpus of {name}: {error}"))
        {
            let input = fs::read(entry.unwrap().path()).unwrap();
            target(&input);
            // A cut of a script is the script of a shorter call. Two targets are slow.
            let cuts = if ["engine", "wav"].contains(&name) { 3 } else { 32 };
            let step = (input.len() / cuts).max(1);
            (0..input.len())
                .step_by(step)
                .for_each(|length| target(&input[..length]));
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
}

#[test]
fn a_corpus_is_a_few_kilobytes_and_each_has_its_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for corpus in fs::read_dir(corpora).unwrap() {
        let corpus = corpus.unwrap();
        let name = corpus.file_name().into_string().unwrap();
        assert!(
            fuzz_targets::find(&name).is_some(),
            "{name} is the corpus of no target"
        );
        let sizes = fs::read_dir(corpus.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len());
        let bytes: u64 = sizes.sum();
        assert!(
            bytes <= 32 << 10,
            "{name}: {bytes} bytes, keep fewer and smaller inputs"
        );
    }
}
