//! How much work a diagnosis does, counted in tests: time says little on a busy machine.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Notes that so many tallies were looked at; nothing outside tests.
#[inline]
pub(super) fn count(tallies: u64) {
    #[cfg(test)]
    DONE.with(|done| done.set(done.get() + tallies));
    #[cfg(not(test))]
    let _ = tallies;
}

/// How many tallies `action` looked at.
#[cfg(test)]
pub(super) fn of<T>(action: impl FnOnce() -> T) -> u64 {
    DONE.with(|done| done.set(0));
    action();
    DONE.with(Cell::get)
}
