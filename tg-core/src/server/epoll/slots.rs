//! A table whose places are used again, so that a token names a connection. Changes with how tokens map
//! to connections.

/// Values by small numbers.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Where the next value will go.
    pub fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.places.len())
    }

    /// Puts `value` where [`Slots::next`] said.
    pub fn insert(&mut self, value: T) {
        match self.free.pop() {
            Some(slot) => self.places[slot] = Some(value),
            None => self.places.push(Some(value)),
        }
    }

    pub fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.places.get_mut(slot)?.as_mut()
    }

    pub fn remove(&mut self, slot: usize) -> Option<T> {
        let value = self.places.get_mut(slot)?.take()?;
        self.free.push(slot);
        Some(value)
    }

    pub fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    /// Takes all values out.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.free.clear();
        std::mem::take(&mut self.places).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_an_empty_one_gives_nothing() {
        let mut slots = Slots::default();
        for value in ["a", "b"] {
            slots.insert(value);
        }
        assert_eq!(slots.remove(0), Some("a"));
        assert_eq!(slots.remove(0), None);
        assert_eq!(slots.get_mut(0), None);
        assert_eq!(slots.get_mut(9), None);
        assert_eq!((slots.next(), slots.is_empty()), (0, false));
        slots.insert("c");
        assert_eq!(slots.get_mut(0), Some(&mut "c"));
        assert_eq!(slots.next(), 2);
        assert_eq!(slots.drain().collect::<Vec<_>>(), ["c", "b"]);
        assert!(slots.is_empty());
    }
}
