//! The gateway's metrics as CloudWatch would hold them: one datapoint per minute.

/// One minute of one gateway, or of one zone of a regional gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MinuteMetrics {
    /// First second of the minute, since 1970.
    pub minute: i64,
    /// The zone's name, the second dimension of a regional gateway's metrics; `None` for the others.
    pub zone: Option<String>,
    /// Sum: attempts (first packets and their repetitions) that found no port.
    pub error_port_allocation: u64,
    /// Maximum: TCP connections that hold a port.
    pub active_connection_count: u64,
    /// Sum: first SYN of each attempt, repetitions not counted.
    pub connection_attempt_count: u64,
    /// Sum: handshakes that were answered.
    pub connection_established_count: u64,
    /// Sum: connections forgotten after 350 s without packets.
    pub idle_timeout_count: u64,
    /// Sum: packets that went no further, refused ones included.
    pub packets_drop_count: u64,
    /// Sum, leg A.
    pub packets_in_from_source: u64,
    /// Sum, leg B.
    pub packets_out_to_destination: u64,
    /// Sum, leg C.
    pub packets_in_from_destination: u64,
    /// Sum, leg D.
    pub packets_out_to_source: u64,
    /// Sum, leg A.
    pub bytes_in_from_source: u64,
    /// Sum, leg B.
    pub bytes_out_to_destination: u64,
    /// Sum, leg C.
    pub bytes_in_from_destination: u64,
    /// Sum, leg D.
    pub bytes_out_to_source: u64,
}

/// The minutes of one incident, for one series per zone (one in all for other gateways).
#[derive(Debug)]
pub(crate) struct Meter {
    start: i64,
    first_minute: i64,
    minutes: usize,
    rows: Vec<MinuteMetrics>,
    active: Vec<u64>,
    /// Per series: the minute up to which the active count has been carried forward.
    carried: Vec<usize>,
}

impl Meter {
    pub(crate) fn new(start: i64, duration_s: u32, series: &[Option<String>]) -> Self {
        let first_minute = start.div_euclid(60);
        let last_minute = (start + i64::from(duration_s) - 1).div_euclid(60);
        let minutes = (last_minute - first_minute + 1) as usize;
        let rows = series
            .iter()
            .flat_map(|zone| {
                (0..minutes).map(|i| MinuteMetrics {
                    minute: (first_minute + i as i64) * 60,
                    zone: zone.clone(),
                    ..MinuteMetrics::default()
                })
            })
            .collect();
        Self {
            start,
            first_minute,
            minutes,
            rows,
            active: vec![0; series.len()],
            carried: vec![0; series.len()],
        }
    }

    pub(crate) fn at(&mut self, series: usize, at_ms: u32) -> Option<&mut MinuteMetrics> {
        let index = self.index(at_ms);
        (index < self.minutes).then(|| &mut self.rows[series * self.minutes + index])
    }

    pub(crate) fn last(&mut self, series: usize, back: usize) -> Option<&mut MinuteMetrics> {
        let index = self.minutes.checked_sub(1 + back)?;
        Some(&mut self.rows[series * self.minutes + index])
    }

    /// Changes the number of active connections at a moment not before the last change.
    pub(crate) fn active(&mut self, series: usize, at_ms: u32, change: i64) {
        let index = self.index(at_ms).min(self.minutes - 1);
        self.carry(series, index);
        self.active[series] = self.active[series].checked_add_signed(change).expect("closes follow opens");
        let row = &mut self.rows[series * self.minutes + index];
        row.active_connection_count = row.active_connection_count.max(self.active[series]);
    }

    /// A connection open at the turn of a minute counts in the new one too.
    fn carry(&mut self, series: usize, to: usize) {
        for index in self.carried[series] + 1..=to {
            let row = &mut self.rows[series * self.minutes + index];
            row.active_connection_count = row.active_connection_count.max(self.active[series]);
        }
        self.carried[series] = self.carried[series].max(to);
    }

    pub(crate) fn finish(mut self) -> Vec<MinuteMetrics> {
        for series in 0..self.active.len() {
            self.carry(series, self.minutes - 1);
        }
        self.rows
    }

    fn index(&self, at_ms: u32) -> usize {
        ((self.start + i64::from(at_ms / 1000)).div_euclid(60) - self.first_minute) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_stay_active_over_the_turn_of_a_minute() {
        let mut meter = Meter::new(30, 200, &[None]);
        meter.active(0, 1_000, 2);
        meter.active(0, 150_000, -1);
        let active: Vec<u64> = meter.finish().iter().map(|row| row.active_connection_count).collect();
        assert_eq!(active, [2, 2, 2, 2]);

        let mut meter = Meter::new(0, 180, &[None]);
        meter.active(0, 59_000, 1);
        meter.active(0, 61_000, -1);
        let active: Vec<u64> = meter.finish().iter().map(|row| row.active_connection_count).collect();
        assert_eq!(active, [1, 1, 0]);
    }
}
