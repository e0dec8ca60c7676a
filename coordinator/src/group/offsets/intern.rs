//! Values kept once each, and named by a number while anybody uses them.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Values with numbers. Each use is counted; a number is free for another value when the last use
/// has been given back.
pub(super) struct Interner<T> {
    numbers: HashMap<T, u32>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

struct Slot<T> {
    /// `None` while the slot is free.
    value: Option<T>,
    uses: usize,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), slots: Vec::new(), free: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// The value's number, with one more use of it; `own` makes what is kept if it is a new one.
    ///
    /// # Panics
    /// When more than 2^32 values are in use at once.
    pub(super) fn acquire<Q>(&mut self, value: &Q, own: impl FnOnce(&Q) -> T) -> u32
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(&number) = self.numbers.get(value) {
            self.slots[number as usize].uses += 1;
            return number;
        }
        let value = own(value);
        let slot = Slot { value: Some(value.clone()), uses: 1 };
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = slot;
                number
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("memory ends long before")
            }
        };
        self.numbers.insert(value, number);
        number
    }

    /// Gives one use back.
    ///
    /// # Panics
    /// When the number has no use.
    pub(super) fn release(&mut self, number: u32) {
        let slot = &mut self.slots[number as usize];
        assert!(slot.uses > 0, "a use that was never acquired");
        slot.uses -= 1;
        if slot.uses == 0 {
            let value = slot.value.take().expect("a slot in use has a value");
            self.numbers.remove(&value);
            self.free.push(number);
        }
    }

    /// The value's number, if it is in use.
    pub(super) fn find<Q>(&self, value: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.numbers.get(value).copied()
    }

    /// The value of a number.
    ///
    /// # Panics
    /// When the number has no use.
    pub(super) fn value(&self, number: u32) -> &T {
        self.slots[number as usize].value.as_ref().expect("the number is in use")
    }

    /// How many values are in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}
