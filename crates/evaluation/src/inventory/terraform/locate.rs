//! The places of blocks in the source of the root module.

use std::collections::BTreeMap;

use syntax::diagnostic::Position;

use super::configuration::tokens;
use super::{TerraformPlan, static_address};

/// The start of a block `resource "TYPE" "NAME"`.
#[derive(Debug)]
pub(super) struct Block {
    /// The index of its file.
    pub(super) file: usize,
    pub(super) at: Position,
    /// The text of its line.
    pub(super) line: String,
}

impl TerraformPlan {
    /// Takes the `.tf` files of the root module, with names and texts, so that findings name their lines.
    #[must_use]
    pub fn with_sources(mut self, sources: Vec<(String, String)>) -> Self {
        let mut blocks: BTreeMap<String, Option<Block>> = BTreeMap::new();
        for (file, (_, text)) in sources.iter().enumerate() {
            for (number, line) in text.lines().enumerate() {
                let Some(name) = block(line) else { continue };
                let column = line.chars().take_while(|c| c.is_whitespace()).count() + 1;
                let found = Block { file, at: Position { line: number + 1, column }, line: line.to_owned() };
                // A name that occurs twice, such as in a comment, is ambiguous.
                blocks.entry(name).and_modify(|known| *known = None).or_insert(Some(found));
            }
        }
        self.blocks = blocks.into_iter().filter_map(|(name, block)| Some((name, block?))).collect();
        self.sources = sources.into_iter().map(|(name, _)| name).collect();
        self
    }

    /// Returns the block of a resource of the root module.
    pub(super) fn block(&self, address: &str) -> Option<&Block> {
        let is_of_root = !matches!(tokens(address).as_slice(), ["module", ..]);
        self.blocks.get(&static_address(address)).filter(|_| is_of_root)
    }
}

/// Returns `type.name` of a line that begins a block `resource "TYPE" "NAME"`.
fn block(line: &str) -> Option<String> {
    let rest = line.trim_start().strip_prefix("resource")?.trim_start();
    let (kind, rest) = rest.strip_prefix('"')?.split_once('"')?;
    let (name, rest) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    rest.trim_start().starts_with('{').then(|| format!("{kind}.{name}"))
}
