//! Texts that stand in many resources, each kept once and compared as a number.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// A text, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Text(NonZeroU32);

/// All texts. The map is asked and never gone through, so its order shows nowhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    ids: HashMap<Arc<str>, Text>,
    texts: Vec<Arc<str>>,
}

impl Texts {
    pub(crate) fn intern(&mut self, text: &str) -> Text {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        // Four thousand million texts do not fit into the memory of one process.
        let id = Text(u32::try_from(self.texts.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX));
        self.ids.insert(text, id);
        id
    }

    /// The number of a text that is there; one that is not stands in no resource.
    pub(crate) fn find(&self, text: &str) -> Option<Text> {
        self.ids.get(text).copied()
    }

    pub(crate) fn get(&self, text: Text) -> &str {
        self.texts.get(text.0.get() as usize - 1).map_or("", |text| text)
    }
}
