//! One `stats`: groups by interned keys, with the state of all aggregates of a group side by side.
//! Groups keep the order in which they were first seen.

use std::hash::BuildHasher;

use bumpalo::Bump;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};

use crate::expression::{Scalar, Surroundings};
use crate::plan::{Aggregate, Grouping};
use crate::value::{Value, natural_order, print_number};

/// A missing key part groups with other missing ones.
const MISSING: u32 = u32::MAX;

/// Numbers each distinct value by how it prints, so that the number 443 and the text "443" are one
/// group, as they are one row to whoever reads it.
pub(crate) struct Interner<'a> {
    arena: &'a Bump,
    by_text: HashMap<&'a str, u32>,
    by_number: HashMap<u64, u32>,
    values: Vec<Value<'a>>,
}

impl<'a> Interner<'a> {
    pub(crate) fn new(arena: &'a Bump) -> Self {
        Interner { arena, by_text: HashMap::new(), by_number: HashMap::new(), values: Vec::new() }
    }

    fn symbol(&mut self, value: Value<'a>) -> u32 {
        match value {
            Value::Missing => MISSING,
            Value::Text(text) => self.text_symbol(text, value),
            Value::Number(number) => {
                if let Some(symbol) = self.by_number.get(&number.to_bits()) {
                    return *symbol;
                }
                let text = self.arena.alloc_str(&print_number(number));
                let symbol = self.text_symbol(text, value);
                self.by_number.insert(number.to_bits(), symbol);
                symbol
            }
        }
    }

    fn text_symbol(&mut self, text: &'a str, value: Value<'a>) -> u32 {
        let next = self.values.len() as u32;
        let symbol = *self.by_text.entry(text).or_insert(next);
        if symbol == next {
            self.values.push(value);
        }
        symbol
    }

    fn value(&self, symbol: u32) -> Value<'a> {
        self.values.get(symbol as usize).copied().unwrap_or(Value::Missing)
    }
}

/// Where an aggregate keeps its state, counted within a group's share of each table.
#[derive(Clone, Copy)]
enum Place {
    /// NaN until there is a value.
    Cell(usize),
    SumAndCount(usize),
    Set(usize),
    Pick(usize),
}

pub(crate) struct Groups<'a> {
    grouping: &'a Grouping,
    places: Vec<Place>,
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    keys: Vec<u32>,
    fresh_cells: Vec<f64>,
    cells: Vec<f64>,
    set_count: usize,
    sets: Vec<HashSet<u32>>,
    pick_count: usize,
    /// The time that decides, and the value picked by it.
    picks: Vec<(f64, Value<'a>)>,
    count: usize,
    key: Vec<u32>,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(grouping: &'a Grouping) -> Self {
        let mut fresh_cells = Vec::new();
        let (mut set_count, mut pick_count) = (0, 0);
        let places = grouping
            .aggregates
            .iter()
            .map(|aggregate| match aggregate {
                Aggregate::Count(_) => {
                    fresh_cells.push(0.0);
                    Place::Cell(fresh_cells.len() - 1)
                }
                Aggregate::Sum(_) | Aggregate::Min(_) | Aggregate::Max(_) => {
                    fresh_cells.push(f64::NAN);
                    Place::Cell(fresh_cells.len() - 1)
                }
                Aggregate::Average(_) => {
                    fresh_cells.extend([0.0, 0.0]);
                    Place::SumAndCount(fresh_cells.len() - 2)
                }
                Aggregate::CountDistinct(_) => {
                    set_count += 1;
                    Place::Set(set_count - 1)
                }
                Aggregate::ByTime { .. } | Aggregate::ByOrder { .. } => {
                    pick_count += 1;
                    Place::Pick(pick_count - 1)
                }
            })
            .collect();
        Groups {
            grouping,
            places,
            hasher: DefaultHashBuilder::default(),
            index: HashTable::new(),
            keys: Vec::new(),
            fresh_cells,
            cells: Vec::new(),
            set_count,
            sets: Vec::new(),
            pick_count,
            picks: Vec::new(),
            count: 0,
            key: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn add(
        &mut self,
        slots: &[Value<'a>],
        around: &Surroundings<'a>,
        interner: &mut Interner<'a>,
    ) {
        let group = self.group_of(slots, around, interner);
        let cells = &mut self.cells[group * self.fresh_cells.len()..];
        for (aggregate, place) in self.grouping.aggregates.iter().zip(&self.places) {
            match (aggregate, *place) {
                (Aggregate::Count(None), Place::Cell(cell)) => cells[cell] += 1.0,
                (Aggregate::Count(Some(scalar)), Place::Cell(cell)) => {
                    if !scalar.value(slots, around).is_missing() {
                        cells[cell] += 1.0;
                    }
                }
                (Aggregate::Sum(scalar), Place::Cell(cell)) => {
                    let number = scalar.number(slots, around);
                    if !number.is_nan() {
                        let sum = &mut cells[cell];
                        *sum = if sum.is_nan() { number } else { *sum + number };
                    }
                }
                // `f64::min` and `max` pass over NaN on either side.
                (Aggregate::Min(scalar), Place::Cell(cell)) => {
                    cells[cell] = cells[cell].min(scalar.number(slots, around));
                }
                (Aggregate::Max(scalar), Place::Cell(cell)) => {
                    cells[cell] = cells[cell].max(scalar.number(slots, around));
                }
                (Aggregate::Average(scalar), Place::SumAndCount(cell)) => {
                    let number = scalar.number(slots, around);
                    if !number.is_nan() {
                        cells[cell] += number;
                        cells[cell + 1] += 1.0;
                    }
                }
                (Aggregate::CountDistinct(scalar), Place::Set(set)) => {
                    let symbol = interner.symbol(scalar.value(slots, around));
                    if symbol != MISSING {
                        self.sets[group * self.set_count + set].insert(symbol);
                    }
                }
                (Aggregate::ByTime { latest, value, time }, Place::Pick(pick)) => {
                    let pick = &mut self.picks[group * self.pick_count + pick];
                    let (value, time) = (value.value(slots, around), slots[*time].number());
                    let better = if *latest { time > pick.0 } else { time < pick.0 };
                    if !value.is_missing() && !time.is_nan() && (pick.1.is_missing() || better) {
                        *pick = (time, value);
                    }
                }
                (Aggregate::ByOrder { last, value }, Place::Pick(pick)) => {
                    let pick = &mut self.picks[group * self.pick_count + pick];
                    let value = value.value(slots, around);
                    let order = natural_order(value, pick.1);
                    let better = if *last { order.is_gt() } else { order.is_lt() };
                    if !value.is_missing() && (pick.1.is_missing() || better) {
                        pick.1 = value;
                    }
                }
                (aggregate, _) => unreachable!("{aggregate:?} was given a place of another kind"),
            }
        }
    }

    fn group_of(
        &mut self,
        slots: &[Value<'a>],
        around: &Surroundings<'a>,
        interner: &mut Interner<'a>,
    ) -> usize {
        self.key.clear();
        let grouping = self.grouping;
        self.key
            .extend(grouping.keys.iter().map(|key: &'a Scalar| interner.symbol(key.value(slots, around))));
        let width = self.key.len();
        let hash = self.hasher.hash_one(&self.key[..]);
        let key_of = |group: u32| &self.keys[group as usize * width..][..width];
        if let Some(group) = self.index.find(hash, |group| key_of(*group) == &self.key[..]) {
            return *group as usize;
        }
        let group = self.count;
        let hasher = &self.hasher;
        self.keys.extend_from_slice(&self.key);
        let keys = &self.keys;
        self.index.insert_unique(hash, group as u32, |group| {
            hasher.hash_one(&keys[*group as usize * width..][..width])
        });
        self.cells.extend_from_slice(&self.fresh_cells);
        self.sets.resize_with(self.sets.len() + self.set_count, HashSet::new);
        self.picks.resize(self.picks.len() + self.pick_count, (f64::NAN, Value::Missing));
        self.count += 1;
        group
    }

    /// Puts a group into the first slots of the next segment: its keys, then its results.
    pub(crate) fn fill(&self, group: usize, interner: &Interner<'a>, slots: &mut [Value<'a>]) {
        let width = self.grouping.keys.len();
        let (key_slots, result_slots) = slots.split_at_mut(width);
        for (slot, symbol) in key_slots.iter_mut().zip(&self.keys[group * width..]) {
            *slot = interner.value(*symbol);
        }
        let cells = &self.cells[group * self.fresh_cells.len()..];
        for (slot, place) in result_slots.iter_mut().zip(&self.places) {
            *slot = match *place {
                Place::Cell(cell) => Value::from_number(cells[cell]),
                Place::SumAndCount(cell) => Value::from_number(cells[cell] / cells[cell + 1]),
                Place::Set(set) => Value::Number(self.sets[group * self.set_count + set].len() as f64),
                Place::Pick(pick) => self.picks[group * self.pick_count + pick].1,
            };
        }
    }
}
