//! Batches within the limits of a call.

/// Divides items with their sizes into calls of at most `count` items and `bytes` bytes. A larger item is a call of its own.
pub(crate) fn batches<T>(items: impl IntoIterator<Item = (usize, T)>, count: usize, bytes: usize) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut used = 0_usize;
    for (size, item) in items {
        used = used.saturating_add(size);
        match batches.last_mut() {
            Some(batch) if batch.len() < count && used <= bytes => batch.push(item),
            _ => {
                used = size;
                batches.push(vec![item]);
            }
        }
    }
    batches
}
