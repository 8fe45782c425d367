//! Runs every fuzz target over its corpus and a few thousand mutations of it. libFuzzer finds more and takes longer
//! (`cargo xtask fuzz`).

use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fuzzing::{TARGETS, Target};

/// Mutations of the corpus of each target, in addition to the corpus itself.
const MADE: u64 = 1_500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path, found: &mut Vec<Vec<u8>>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("`{}`: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() { files(&path, found) } else { found.push(fs::read(&path).unwrap()) }
    }
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    files(&root().join("fuzz/corpus").join(target.name), &mut found);
    assert!(!found.is_empty(), "the corpus of `{}` is empty", target.name);
    target.more.iter().for_each(|more| files(&root().join(more), &mut found));
    found
}

/// The entries of a libFuzzer dictionary: one quoted string on each line.
fn words(target: &Target) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(root().join("fuzz/dictionaries").join(format!("{}.dict", target.name))).unwrap();
    let words: Vec<Vec<u8>> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix('"'))
        .map(|word| unescaped(&word.replace("\\\"", "\"")))
        .collect();
    assert!(!words.is_empty(), "no words for `{}`", target.name);
    words
}

/// The bytes of a word; `\x0A` is one byte.
fn unescaped(word: &str) -> Vec<u8> {
    let mut parts = word.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    bytes
}

/// SplitMix64: the seed determines the input.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }
}

/// Removes, inserts, duplicates, exchanges or truncates a few pieces of a file.
fn slipped(dice: &mut Dice, corpus: &[Vec<u8>], words: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() + 1);
        let end = (at + dice.below(16)).min(input.len());
        let new: Vec<u8> = match dice.below(8) {
            0 => Vec::new(),
            1 => vec![b"-:[]{},&*!|>'\"#% \t\n\r09azAZ$?\\/\0\xff"[dice.below(32)]],
            2 | 3 => words[dice.below(words.len())].clone(),
            4 => input[at..end].repeat(1 + dice.below(3)),
            5 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len() + 1);
                other[from..(from + dice.below(64)).min(other.len())].to_vec()
            }
            6 => {
                input.truncate(at);
                continue;
            }
            _ => input[at..end].iter().map(|byte| byte ^ (1 << dice.below(7))).collect(),
        };
        // Half of the time it is inserted, otherwise it replaces a piece.
        let end = if dice.below(2) == 0 { at } else { end };
        input.splice(at..end, new);
    }
    input
}

fn run(target: &Target, input: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-crash", target.name));
        fs::write(&file, input).unwrap();
        panic!("`{}` fails on {what}; the input is in `{}`", target.name, file.display());
    }
}

fn hold(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let (corpus, words) = (corpus(target), words(target));
    for (number, input) in corpus.iter().enumerate() {
        run(target, input, &format!("file {number} of its corpus"));
    }
    // Half are equal in every run, half are new.
    let new = std::hash::RandomState::new().build_hasher().finish();
    for seed in (0..MADE / 2).chain((0..MADE / 2).map(|number| new.wrapping_add(number))) {
        let input = slipped(&mut Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)), &corpus, &words);
        run(target, &input, &format!("seed {seed}"));
    }
}

#[test]
fn templates() {
    hold("template");
}

#[test]
fn checks() {
    hold("check");
}

#[test]
fn policies() {
    hold("policy");
}

#[test]
fn schedules() {
    hold("schedule");
}

#[test]
fn vault_policies() {
    hold("vault_policy");
}

#[test]
fn events() {
    hold("event");
}

#[test]
fn inventories() {
    hold("inventory");
}

#[test]
fn archives() {
    hold("archive");
}

#[test]
fn every_target_has_a_libfuzzer_binary() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let command = fs::read_to_string(root().join("xtask/src/fuzz.rs")).unwrap();
    for target in TARGETS {
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "fuzz/Cargo.toml: no `{}`", target.name);
        let entry = format!("(\"{}\", &{:?})", target.name, target.more);
        assert!(command.contains(&entry), "xtask/src/fuzz.rs: no `{entry}`");
        let program = root().join("fuzz/fuzz_targets").join(format!("{}.rs", target.name));
        let text = fs::read_to_string(&program).unwrap_or_else(|error| panic!("`{}`: {error}", program.display()));
        assert!(text.contains(&format!("fuzzing::{}(", target.name)), "`{}` runs something else", program.display());
    }
}
