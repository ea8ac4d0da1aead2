//! The formats of the input, and what counting can rely on in them.

use crate::evidence::Side;
use crate::flow::{Field, LogFormat};

/// What all formats of the gateway's records have, on which the counting relies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Assumed {
    pub(super) ends_visible: bool,
    pub(super) packet_addresses: bool,
}

impl Assumed {
    pub(super) fn of<'f>(formats: impl Iterator<Item = &'f LogFormat> + Clone) -> Self {
        Self {
            ends_visible: formats.clone().all(|f| f.has(Field::TcpFlags)),
            packet_addresses: formats.clone().all(LogFormat::has_packet_addresses),
        }
    }
}

/// The formats of the input, and which of them gave records of the gateway. Another interface's log in the same
/// folder says nothing of what the gateway's lacks.
#[derive(Default)]
pub(super) struct Formats {
    pub(super) met: Vec<FormatUse>,
    pub(super) current: usize,
}

pub(super) struct FormatUse {
    pub(super) format: LogFormat,
    pub(super) by_gateway: bool,
    pub(super) by_clients: bool,
}

impl Formats {
    pub(super) fn current(&mut self, format: &LogFormat) {
        self.current = self.met.iter().position(|met| met.format == *format).unwrap_or_else(|| {
            self.met.push(FormatUse { format: format.clone(), by_gateway: false, by_clients: false });
            self.met.len() - 1
        });
    }

    pub(super) fn used(&mut self, side: Side) {
        if let Some(current) = self.met.get_mut(self.current) {
            match side {
                Side::AtClient => current.by_clients = true,
                Side::Gateway | Side::Client => current.by_gateway = true,
            }
        }
    }

    /// What can be relied on; `None` without any record.
    pub(super) fn assumed(&self) -> Option<Assumed> {
        let at_gateway = || self.met.iter().filter(|met| met.by_gateway).map(|met| &met.format);
        let at_clients = || self.met.iter().filter(|met| met.by_clients).map(|met| &met.format);
        let by_gateway = Assumed::of(at_gateway());
        match (at_gateway().next(), at_clients().next()) {
            (None, None) => None,
            (None, Some(_)) => Some(Assumed::of(at_clients())),
            // Where the clients' own interfaces have to join the two, their format counts as well.
            (Some(_), Some(_)) if !by_gateway.packet_addresses => Some(Assumed {
                ends_visible: by_gateway.ends_visible && Assumed::of(at_clients()).ends_visible,
                ..by_gateway
            }),
            (Some(_), _) => Some(by_gateway),
        }
    }

    /// Those that gave records of the gateway; `None` where none did.
    pub(super) fn of_gateway(&self) -> Option<Vec<LogFormat>> {
        let used: Vec<LogFormat> =
            self.met.iter().filter(|met| met.by_gateway).map(|met| met.format.clone()).collect();
        (!used.is_empty()).then_some(used)
    }
}
