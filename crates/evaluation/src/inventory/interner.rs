//! An interner: strings that many resources share are stored once and compared as numbers.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(NonZeroU32);

/// Never iterated, so that the order of the map has no effect.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interner {
    ids: HashMap<Arc<str>, Symbol>,
    texts: Vec<Arc<str>>,
}

impl Interner {
    pub(crate) fn intern(&mut self, text: &str) -> Symbol {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        // 2^32 strings do not fit into memory.
        let id = Symbol(u32::try_from(self.texts.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX));
        self.ids.insert(text, id);
        id
    }

    /// Returns the symbol; a string without one occurs in no resource.
    pub(crate) fn find(&self, text: &str) -> Option<Symbol> {
        self.ids.get(text).copied()
    }

    pub(crate) fn get(&self, text: Symbol) -> &str {
        self.texts.get(text.0.get() as usize - 1).map_or("", |text| text)
    }
}
