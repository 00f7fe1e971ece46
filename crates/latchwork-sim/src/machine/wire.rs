// SPDX-License-Identifier: MIT OR Apache-2.0
//! Edges under way: their doorbell has rung, and they have not reached their CPU yet.

use super::Bell;

/// One edge under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flight {
    /// The CPU that it goes to.
    pub cpu: usize,
    /// What rang.
    pub bell: Bell,
    /// When it lands at the latest, in microseconds.
    pub due_us: u64,
}

/// All edges under way, in order: by CPU, doorbell and time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wire {
    flights: Vec<Flight>,
}

impl Wire {
    /// An edge sets out.
    pub fn send(&mut self, flight: Flight) {
        let place = self.flights.partition_point(|other| *other <= flight);
        self.flights.insert(place, flight);
    }

    /// The oldest edge of `bell` to `cpu` lands. Returns whether there was one.
    pub fn land(&mut self, cpu: usize, bell: Bell) -> bool {
        let place = self.flights.iter().position(|flight| flight.cpu == cpu && flight.bell == bell);
        place.map(|place| self.flights.remove(place)).is_some()
    }

    /// The next edge that must land by `now_us`.
    pub fn overdue(&self, now_us: u64) -> Option<Flight> {
        self.flights.iter().copied().find(|flight| flight.due_us <= now_us)
    }

    /// When the next edge must land.
    pub fn next_due_us(&self) -> Option<u64> {
        self.flights.iter().map(|flight| flight.due_us).min()
    }

    /// The edges that may land now: one for each CPU and doorbell.
    pub fn landings(&self) -> impl Iterator<Item = (usize, Bell)> + '_ {
        let mut before = None;
        self.flights.iter().filter_map(move |flight| {
            let landing = Some((flight.cpu, flight.bell));
            let is_new = landing != before;
            before = landing;
            landing.filter(|_| is_new)
        })
    }

    /// How many edges of `bell` are under way to `cpu`.
    pub fn count(&self, cpu: usize, bell: Bell) -> usize {
        self.flights.iter().filter(|flight| flight.cpu == cpu && flight.bell == bell).count()
    }

    /// How many edges are under way.
    pub fn edges(&self) -> usize {
        self.flights.len()
    }

    /// Whether one of `bell` is under way.
    pub fn has(&self, bell: Bell) -> bool {
        self.flights.iter().any(|flight| flight.bell == bell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cpu_and_doorbell_may_land_once_at_a_time() {
        let mut wire = Wire::default();
        for (cpu, bell, due_us) in [(1, Bell::Lvt, 9), (0, Bell::Software, 5), (1, Bell::Lvt, 7)] {
            wire.send(Flight { cpu, bell, due_us });
        }
        let landings: Vec<_> = wire.landings().collect();
        assert_eq!(landings, [(0, Bell::Software), (1, Bell::Lvt)]);
        assert_eq!(wire.next_due_us(), Some(5));
        assert_eq!(wire.overdue(4), None);
        assert!(wire.land(1, Bell::Lvt));
        assert_eq!(wire.overdue(9).map(|flight| flight.cpu), Some(0));
        assert!(wire.land(0, Bell::Software) && !wire.land(0, Bell::Software));
        assert_eq!(wire.next_due_us(), Some(9), "the older of the two has landed");
    }
}
